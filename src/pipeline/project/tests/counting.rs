//! The counts in the checkpoint table: each job once, whatever restarts, and whatever is removed
//! from the log.

use jetstream::Log;
use jetstream::testing::{Server, publish};
use streams::topology;
use tokio_util::sync::CancellationToken;

use super::facts::{accepted, canceled, completed, failed, planned};
use super::tables::Tables;
use crate::pipeline::project::job_counters::JobCounters;
use crate::pipeline::project::{Projector, checkpoint, rebuild};

const FIRST: JobCounters = JobCounters {
    accepted: 3,
    completed: 1,
    failed: 1,
    canceled: 0,
};

async fn counted(tables: &Tables) -> JobCounters {
    checkpoint::read(&tables.db)
        .await
        .unwrap()
        .unwrap()
        .job_counters()
}

/// Runs a projector until the tables hold the fact at `seq`.
async fn project(tables: &Tables, log: &Log, seq: u64) {
    let projector = Projector::new(
        migration::connect(&tables.url).await.unwrap().into(),
        log.clone(),
    );
    let (mut position, stop) = (projector.position(), CancellationToken::new());
    let running = tokio::spawn(projector.run(stop.clone()));
    position
        .wait_for(|at| at.seq == seq && at.following)
        .await
        .unwrap();
    stop.cancel();
    running.await.unwrap();
}

async fn begin(log: &Log) -> u64 {
    publish(
        log,
        &[
            accepted(0, "a", "f"),
            accepted(0, "b", "g"),
            planned(0, "a", "f"),
            completed(0, "a", "f", false),
            failed(0, "b", "g"),
            accepted(0, "c", "h"),
        ],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_job_counts_once_over_restarts_and_rebuilds() {
    let (_server, log) = Server::start().await;
    let seq = begin(&log).await;
    for tables in Tables::both().await {
        project(&tables, &log, seq).await;
        assert_eq!(counted(&tables).await, FIRST);
        rebuild(&tables.db.clone().into(), &log).await.unwrap();
        assert_eq!(
            counted(&tables).await,
            FIRST,
            "a rebuild counts nothing twice"
        );
    }

    let tables = Tables::sqlite().await;
    project(&tables, &log, seq).await;
    let seq = publish(&log, &[canceled(0, "c", "h")]).await;
    project(&tables, &log, seq).await;
    assert_eq!(
        counted(&tables).await,
        JobCounters {
            canceled: 1,
            ..FIRST
        }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_has_forgotten_stays_counted() {
    let (_server, log) = Server::start().await;
    let tables = Tables::sqlite().await;
    let seq = begin(&log).await;
    project(&tables, &log, seq).await;

    // A purge does at once what the age limit of the stream does in time.
    let stream = log.nats().js.get_stream(topology::JOBS).await.unwrap();
    stream.purge().await.unwrap();
    publish(&log, &[canceled(0, "c", "h"), accepted(0, "d", "f")]).await;
    rebuild(&tables.db.clone().into(), &log).await.unwrap();
    let all = JobCounters {
        accepted: 4,
        canceled: 1,
        ..FIRST
    };
    assert_eq!(counted(&tables).await, all);

    rebuild(&tables.db.clone().into(), &log).await.unwrap();
    assert_eq!(counted(&tables).await, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_log_lowers_no_count() {
    let (_server, log) = Server::start().await;
    let tables = Tables::sqlite().await;
    let seq = begin(&log).await;
    project(&tables, &log, seq).await;

    let (_other, log) = Server::start().await;
    let seq = publish(&log, &[accepted(0, "x", "f"), canceled(0, "x", "f")]).await;
    project(&tables, &log, seq).await;
    assert_eq!(
        counted(&tables).await,
        JobCounters {
            canceled: 1,
            ..FIRST
        }
    );
}
