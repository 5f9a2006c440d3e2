//! However the log is divided into batches, and whatever is delivered again, the rows are the same.

use std::collections::BTreeSet;
use std::ops::Range;

use jetstream::StoredMessage;
use migration::Purpose;
use proptest::prelude::*;
use proptest::sample::Index;
use tokio::runtime::Runtime;

use super::facts::{
    accepted, accepted_with, cancel, canceled, completed, failed, planned, playable, pruned,
    verdict,
};
use super::tables::{Rows, Tables};
use crate::pipeline::project::batch;
use crate::pipeline::project::entry::Entry;
use crate::pipeline::project::fold::Fold;
use crate::pipeline::project::references::References;
use crate::pipeline::project::rows;

/// Five jobs of two files, each fact at most once. Half of the logs have the facts of a job in
/// order, jobs interleaved; the other half have them in any order, even those in which no honest
/// log has them.
fn log() -> impl Strategy<Value = Vec<StoredMessage>> {
    let facts: Vec<(usize, usize)> = (0..5)
        .flat_map(|job| (0..7).map(move |kind| (job, kind)))
        .collect();
    let times = proptest::collection::vec(1_u32..1000, facts.len());
    let chosen = proptest::sample::subsequence(facts, 4..=35);

    (chosen, times, 1_u64..4, any::<bool>()).prop_map(|(mut chosen, times, step, honest)| {
        // By the sum of its times the facts of a job stay in order; by single times they do not.
        chosen.sort_by_key(|(job, kind)| {
            let of_job = &times[job * 7..=job * 7 + kind];
            if honest {
                of_job.iter().sum::<u32>()
            } else {
                of_job[*kind]
            }
        });

        let seqs = (1..).map(|n| n * step);
        seqs.zip(chosen)
            .map(|(seq, (job, kind))| message(seq, job, kind))
            .collect()
    })
}

fn message(seq: u64, job: usize, kind: usize) -> StoredMessage {
    let file = ["f", "g"][job % 2];
    let job = ["a", "b", "c", "d", "e"][job];
    match kind {
        0 if job == "c" => {
            let unknown = serde_json::json!({"size": 0, "mime_type": "application/octet-stream", "name": "c"});
            accepted_with(seq, job, file, &unknown)
        }
        0 => accepted(seq, job, file),
        1 => planned(seq, job, file),
        2 => playable(seq, job, file),
        3 => cancel(seq, job, file),
        4 => verdict(seq, job, file),
        5 if job == "a" => failed(seq, job, file),
        5 if job == "b" => canceled(seq, job, file),
        5 => completed(seq, job, file, job == "d"),
        _ => pruned(seq, job, file),
    }
}

/// Cuts a range at these places.
fn cut(range: Range<usize>, cuts: &[Index]) -> Vec<Range<usize>> {
    let mut ends: Vec<usize> = cuts
        .iter()
        .map(|cut| range.start + cut.index(range.len() + 1))
        .collect();
    ends.push(range.end);
    ends.sort_unstable();

    let mut start = range.start;
    ends.into_iter()
        .map(|end| std::mem::replace(&mut start, end)..end)
        .collect()
}

async fn emptied(tables: &Tables) {
    tables.run("DELETE FROM transcoding_jobs").await;
    tables.run("DELETE FROM files").await;
    tables
        .run(
            "INSERT INTO files (id, name, mime_type, size, file_url, created_at, updated_at) \
              VALUES ('g', 'api', 'application/octet-stream', 0, 'api', '2020-01-01 00:00:00', '2020-01-01 00:00:00')",
        )
        .await;
}

async fn one_by_one(tables: &Tables, log: &[StoredMessage]) -> Rows {
    emptied(tables).await;
    for message in log {
        assert!(tables.apply(std::slice::from_ref(message)).await.is_empty());
    }
    tables.rows().await
}

async fn rebuilt(tables: &Tables, log: &[StoredMessage]) -> Rows {
    let entries: Vec<Entry> = log
        .iter()
        .map(|message| Entry::read(message).unwrap())
        .collect();

    // As `rebuild` does it, without a log to read.
    let transaction = migration::begin(&tables.db, Purpose::Write).await.unwrap();
    rows::clear_guards(&transaction).await.unwrap();
    let references = References::read(&transaction).await.unwrap();
    let refused = batch::try_apply(
        &transaction,
        references,
        &Fold::of(&entries, &BTreeSet::new()),
    )
    .await
    .unwrap();
    assert_eq!(refused, None);
    transaction.commit().await.unwrap();
    tables.rows().await
}

async fn holds(
    tables: &Tables,
    log: &[StoredMessage],
    cuts: &[Index],
    again: &[Index],
) -> Result<(), TestCaseError> {
    let expected = one_by_one(tables, log).await;

    emptied(tables).await;
    for range in cut(0..log.len(), cuts) {
        tables.apply(&log[range]).await;
    }
    prop_assert_eq!(&tables.rows().await, &expected, "in batches");

    for start in again {
        for range in cut(start.index(log.len())..log.len(), cuts) {
            tables.apply(&log[range]).await;
        }
        prop_assert_eq!(
            &tables.rows().await,
            &expected,
            "from {} on again",
            start.index(log.len())
        );
    }

    prop_assert_eq!(
        &rebuilt(tables, log).await,
        &expected,
        "rebuilt over what is there"
    );
    emptied(tables).await;
    prop_assert_eq!(
        &rebuilt(tables, log).await,
        &expected,
        "rebuilt on emptied tables"
    );
    Ok(())
}

fn any_cuts() -> impl Strategy<Value = Vec<Index>> {
    proptest::collection::vec(any::<Index>(), 0..6)
}

#[test]
fn any_batching_and_any_redelivery_give_the_same_rows_on_sqlite() {
    let runtime = Runtime::new().unwrap();
    let tables = runtime.block_on(Tables::sqlite());
    let config = ProptestConfig {
        cases: 48,
        ..ProptestConfig::default()
    };
    proptest!(config, |(log in log(), cuts in any_cuts(), again in proptest::collection::vec(any::<Index>(), 1..3))| {
        runtime.block_on(holds(&tables, &log, &cuts, &again))?;
    });
}

#[test]
fn any_batching_and_any_redelivery_give_the_same_rows_on_postgres() {
    let runtime = Runtime::new().unwrap();
    let tables = runtime.block_on(Tables::postgres());
    let config = ProptestConfig {
        cases: 24,
        ..ProptestConfig::default()
    };
    proptest!(config, |(log in log(), cuts in any_cuts(), again in proptest::collection::vec(any::<Index>(), 1..3))| {
        runtime.block_on(holds(&tables, &log, &cuts, &again))?;
    });
}
