//! The checkpoint moves by compare-and-set and knows its message again.

use chrono::TimeDelta;
use jetstream::StoredMessage;
use migration::Purpose;
use sea_orm::{ConnectionTrait as _, DatabaseBackend, Statement};

use super::facts::{accepted, planned, time};
use super::tables::Tables;
use crate::pipeline::project::checkpoint::{self, Checkpoint};

#[tokio::test]
async fn only_one_of_two_projectors_moves_it() {
    for tables in Tables::both().await {
        let start = Checkpoint::start(time(0));
        let one = start.after(&accepted(1, "j", "f"));
        let two = one.after(&planned(2, "j", "f"));

        assert_eq!(checkpoint::read(&tables.db).await.unwrap(), None);
        assert!(
            !checkpoint::advance(&tables.db, &start, &one).await.unwrap(),
            "there is none to move"
        );

        checkpoint::put(&tables.db, &start).await.unwrap();
        assert!(checkpoint::advance(&tables.db, &start, &one).await.unwrap());
        assert!(!checkpoint::advance(&tables.db, &start, &two).await.unwrap());
        assert_eq!(
            checkpoint::read(&tables.db).await.unwrap(),
            Some(one.clone())
        );
        let of_another_stream = Checkpoint::start(time(99)).after(&accepted(1, "j", "f"));
        assert!(
            !checkpoint::advance(&tables.db, &of_another_stream, &two)
                .await
                .unwrap()
        );

        checkpoint::put(&tables.db, &start).await.unwrap();
        assert_eq!(
            checkpoint::read(&tables.db).await.unwrap(),
            Some(start),
            "a rebuild may go back"
        );
    }
}

#[tokio::test]
async fn a_second_projector_waits_for_the_first_and_then_loses() {
    for tables in Tables::both().await {
        let start = Checkpoint::start(time(0));
        let to = start.after(&accepted(1, "j", "f"));
        checkpoint::put(&tables.db, &start).await.unwrap();
        let first = migration::begin(&tables.db, Purpose::Write).await.unwrap();
        assert!(checkpoint::advance(&first, &start, &to).await.unwrap());

        let second = migration::connect(&tables.url).await.unwrap();
        let contender = {
            let (start, to) = (start.clone(), to.clone());
            tokio::spawn(async move {
                let transaction = migration::begin(&second, Purpose::Write).await.unwrap();
                checkpoint::advance(&transaction, &start, &to)
                    .await
                    .unwrap()
            })
        };

        // The second one may begin before or after the first commits; it loses either way.
        tokio::task::yield_now().await;
        first.commit().await.unwrap();
        assert!(!contender.await.unwrap());
    }
}

#[tokio::test]
async fn a_projector_that_falls_silent_in_its_transaction_keeps_the_tables_for_a_minute_at_most() {
    let tables = Tables::postgres().await;
    let ask = || {
        Statement::from_string(
            DatabaseBackend::Postgres,
            "SHOW idle_in_transaction_session_timeout",
        )
    };
    let transaction = migration::begin(&tables.db, Purpose::Write).await.unwrap();
    let row = transaction.query_one_raw(ask()).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<String>(0).unwrap(), "1min");

    transaction.commit().await.unwrap();
    let row = tables.db.query_one_raw(ask()).await.unwrap().unwrap();
    assert_eq!(
        row.try_get_by_index::<String>(0).unwrap(),
        "0",
        "connections of others are left as they are"
    );
}

#[test]
fn it_knows_its_message_again_and_no_other() {
    let message = accepted(7, "j", "f");
    let at = Checkpoint::start(time(0)).after(&message);
    assert_eq!(at.seq(), 7);
    assert!(at.is_at(&message));
    assert!(at.is_of(time(0)) && !at.is_of(time(0) + TimeDelta::nanoseconds(1)));

    let others = [
        accepted(7, "k", "f"),
        accepted(7, "j", "g"),
        StoredMessage {
            time: message.time + TimeDelta::nanoseconds(1),
            ..message.clone()
        },
    ];
    for other in others {
        assert!(!at.is_at(&other), "{other:?}");
    }
}
