//! Several processes may migrate at once.

use migration::testing::Postgres;
use migration::{Schema, schema, up};

use crate::sqlite::Sqlite;

#[tokio::test(flavor = "multi_thread")]
async fn eight_migrators_at_once_leave_one_migrated_postgres() {
    let scratch = Postgres::empty().await;
    eight_at_once(scratch.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_migrators_at_once_leave_one_migrated_sqlite() {
    let scratch = Sqlite::empty().await;
    eight_at_once(&scratch.url).await;
    assert_eq!(schema(&scratch.db).await.unwrap(), Schema::Current);
}

async fn eight_at_once(url: &str) {
    let migrators: Vec<_> = (0..8)
        .map(|_| {
            let url = url.to_owned();
            tokio::spawn(async move {
                let db = migration::connect(url).await.unwrap();
                up(&db).await.unwrap();
                assert_eq!(schema(&db).await.unwrap(), Schema::Current);
            })
        })
        .collect();

    for migrator in migrators {
        migrator.await.unwrap();
    }
}
