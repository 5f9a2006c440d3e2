//! Deleted files: a live projector leaves their rows as they are, and a rebuild does not bring them
//! back.

use std::collections::BTreeMap;

use entity::files;
use jetstream::testing::{Server, publish};
use jetstream::{Log, OutboundMessage, StoredMessage};
use migration::Purpose;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;
use streams::delete::Tombstone;
use streams::{EventOrder, subject, topology};
use tokio::runtime::Runtime;

use super::facts::{
    accepted_of, accepted_too_late, accepted_with, cancel, canceled, completed, deleted, planned,
    pruned, verdict,
};
use super::tables::{Rows, Tables};
use crate::pipeline::project::entry::Entry;
use crate::pipeline::project::fold::Fold;
use crate::pipeline::project::references::References;
use crate::pipeline::project::{batch, rebuild, rows};

/// One life of file `f`: its job `j` completes, and is deleted.
fn life() -> Vec<StoredMessage> {
    vec![
        accepted_of(1, "j", "f", 10),
        planned(2, "j", "f"),
        completed(3, "j", "f", false),
        deleted(4, "j", "f"),
    ]
}

/// The event of this sequence, in the second in which all events of these tests came.
fn event(upload_seq: u64) -> EventOrder {
    EventOrder::new(upload_seq, "2026-11-22T10:00:00Z".parse().unwrap())
}

async fn rebuilt(tables: &Tables, log: &[StoredMessage], tombstones: &[(&str, u64)]) -> Rows {
    let tombstones = tombstones
        .iter()
        .map(|(file, seq)| (file.parse().unwrap(), event(*seq)));
    let mut fold = Fold::over(tombstones.collect::<BTreeMap<_, _>>());
    for message in log {
        fold.push(&Entry::read(message).unwrap());
    }

    let transaction = migration::begin(&tables.db, Purpose::Write).await.unwrap();
    rows::clear_guards(&transaction).await.unwrap();
    let references = References::read(&transaction).await.unwrap();
    let refused = batch::try_apply(&transaction, references, &fold.into_changes())
        .await
        .unwrap();
    assert_eq!(refused, None);
    transaction.commit().await.unwrap();
    tables.rows().await
}

async fn emptied(tables: &Tables) {
    tables.run("DELETE FROM transcoding_jobs").await;
    tables.run("DELETE FROM files").await;
}

#[tokio::test]
async fn a_deleted_file_keeps_its_row_as_it_stands_and_loses_those_of_its_jobs() {
    for tables in Tables::both().await {
        tables.apply(&life()[..3]).await;
        let before = tables.rows().await;
        tables.apply(&life()[3..]).await;

        let after = tables.rows().await;
        assert_eq!(after.files, before.files);
        assert!(after.jobs.is_empty());
        assert_eq!(
            rebuilt(&tables, &life(), &[("f", 11)]).await,
            after,
            "rebuilt over what is there"
        );
    }
}

#[tokio::test]
async fn a_rebuild_on_emptied_tables_does_not_bring_a_deleted_file_back() {
    for tables in Tables::both().await {
        let nothing = rebuilt(&tables, &life(), &[("f", 11)]).await;
        assert!(nothing.files.is_empty() && nothing.jobs.is_empty());

        // Not even one whose row went by its age before, nor one whose deletion is not carried out
        // yet.
        for end in [&[pruned(4, "j", "f")][..], &[]] {
            let log = [&life()[..3], end].concat();
            let nothing = rebuilt(&tables, &log, &[("f", 11)]).await;
            assert!(nothing.files.is_empty() && nothing.jobs.is_empty());
        }

        assert_eq!(
            rebuilt(&tables, &life()[..3], &[("f", 9)])
                .await
                .files
                .len(),
            1,
            "uploaded after it"
        );
    }
}

#[tokio::test]
async fn a_rebuild_leaves_the_row_of_a_deleted_file_as_the_api_left_it() {
    for tables in Tables::both().await {
        tables.apply(&life()).await;
        tables
            .run(
                "UPDATE files SET deleted_at = '2026-11-23 00:00:00', hls_manifest_url = NULL, thumbnail_url = NULL, \
                 transcoding_status = 'deleted', updated_at = '2026-11-23 00:00:00'",
            )
            .await;

        let before = tables.rows().await;
        assert_eq!(rebuilt(&tables, &life(), &[("f", 11)]).await, before);
    }
}

#[tokio::test]
async fn a_file_that_lives_again_is_inserted_and_followed_again() {
    for tables in Tables::both().await {
        let again = json!({"name": "again.mp4"});
        let mut next = accepted_with(5, "k", "f", &again);
        next.payload = accepted_of(5, "k", "f", 12).payload;
        let log = [
            life(),
            vec![next, planned(6, "k", "f"), completed(7, "k", "f", false)],
        ]
        .concat();

        for message in &log {
            tables.apply(std::slice::from_ref(message)).await;
        }

        let live = tables.rows().await;
        assert_eq!(
            live.files[0].thumbnail_url.as_deref(),
            Some("https://cdn/hls/f/k/poster.jpg")
        );
        assert_eq!(rebuilt(&tables, &log, &[("f", 11)]).await, live);

        emptied(&tables).await;
        let rows = rebuilt(&tables, &log, &[("f", 11)]).await;
        assert_eq!(rows.jobs, live.jobs);
        assert_eq!(
            rows.files[0].transcoding_status.as_deref(),
            Some("completed")
        );
        assert_eq!(
            rows.files[0].created_at,
            super::facts::row_time(5),
            "by its new life alone"
        );
    }
}

#[tokio::test]
async fn an_event_taken_in_after_its_file_was_deleted_makes_no_row_and_ends_what_an_api_made() {
    for tables in Tables::both().await {
        let late = [
            accepted_too_late(1, "j", "f"),
            cancel(2, "j", "f"),
            verdict(3, "j", "f"),
            canceled(4, "j", "f"),
            deleted(5, "j", "f"),
        ];
        tables.apply(&late).await;
        let rows = tables.rows().await;
        assert!(rows.files.is_empty() && rows.jobs.is_empty());

        tables
            .run(
                "INSERT INTO files (id, name, mime_type, size, file_url, transcoding_status) VALUES ('f', 'n', 'm', 0, 'u', 'pending'); \
                 INSERT INTO transcoding_jobs (id, file_id, input_url, output_prefix, status) VALUES ('j', 'f', 'api', 'api/', 'pending');",
            )
            .await;

        let before = tables.rows().await;
        for message in &late[..4] {
            tables.apply(std::slice::from_ref(message)).await;
        }
        let rows = tables.rows().await;
        assert_eq!(rows.jobs[0].status.as_deref(), Some("canceled"));
        assert_eq!(rows.files, before.files);

        tables.apply(&late[4..]).await;
        let rows = tables.rows().await;
        assert_eq!((rows.jobs.len(), rows.files), (0, before.files));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tombstones_of_the_log_are_what_a_rebuild_goes_by() {
    let (_server, log) = Server::start().await;
    let lives: Vec<_> = ["f", "g"].map(|file| accepted_of(0, file, file, 10)).into();
    publish(&log, &lives).await;
    publish_dead_letters(&log, "f", 11).await;
    publish_dead_letters(&log, "g", 9).await;
    // Something after it, for the checkpoint to be at.
    publish(&log, &[completed(0, "g", "g", false)]).await;

    for tables in Tables::both().await {
        rebuild(&tables.db.clone().into(), &log).await.unwrap();
        let ids: Vec<String> = tables
            .rows()
            .await
            .files
            .into_iter()
            .map(|file: files::Model| file.id)
            .collect();
        assert_eq!(ids, ["g"]);
    }
}

async fn publish_dead_letters(log: &Log, file: &str, upload_seq: u64) {
    let tombstone = Tombstone::new(file.parse().unwrap(), event(upload_seq));
    let body = serde_json::to_vec(&tombstone).unwrap();
    log.append(
        topology::JOBS,
        OutboundMessage::json(subject::deleted(&tombstone.file_id), body),
    )
    .await
    .unwrap();
}

/// Three jobs of one file, each fact in its order, jobs interleaved. The first two were uploaded
/// before the file was deleted.
fn lives() -> impl Strategy<Value = Vec<StoredMessage>> {
    let facts: Vec<(usize, usize)> = (0..3)
        .flat_map(|job| (0..4).map(move |kind| (job, kind)))
        .collect();
    let times = proptest::collection::vec(1_u32..1000, facts.len());
    let chosen = proptest::sample::subsequence(facts, 1..=12);

    (chosen, times).prop_map(|(mut chosen, times)| {
        chosen.sort_by_key(|(job, kind)| times[job * 4..=job * 4 + kind].iter().sum::<u32>());
        (1..)
            .zip(chosen)
            .map(|(seq, (job, kind))| message(seq, job, kind))
            .collect()
    })
}

fn message(seq: u64, job: usize, kind: usize) -> StoredMessage {
    let name = ["a", "b", "c"][job];
    match kind {
        0 => accepted_of(seq, name, "f", [10, 11, 13][job]),
        1 => planned(seq, name, "f"),
        2 => completed(seq, name, "f", false),
        _ if job == 2 => pruned(seq, name, "f"),
        _ => deleted(seq, name, "f"),
    }
}

/// The rows without the guards, which may have seen facts that changed nothing else.
fn unguarded(mut rows: Rows) -> Rows {
    for file in &mut rows.files {
        (file.accepted_seq, file.fact_seq) = (None, None);
    }
    rows
}

async fn holds(tables: &Tables, log: &[StoredMessage], cut: Index) -> Result<(), TestCaseError> {
    emptied(tables).await;
    for message in log {
        tables.apply(std::slice::from_ref(message)).await;
    }
    let expected = tables.rows().await;

    emptied(tables).await;
    let (early, late) = log.split_at(cut.index(log.len() + 1));
    tables.apply(early).await;
    tables.apply(late).await;
    prop_assert_eq!(tables.rows().await, expected, "in two batches");

    let alive: Vec<StoredMessage> = log
        .iter()
        .filter(|message| message.subject.contains(".c."))
        .cloned()
        .collect();

    emptied(tables).await;
    tables.apply(&alive).await;
    let expected = unguarded(tables.rows().await);
    emptied(tables).await;
    let rows = unguarded(rebuilt(tables, log, &[("f", 12)]).await);
    prop_assert_eq!(
        rows,
        expected,
        "a rebuild is as if deleted jobs had never been"
    );
    Ok(())
}

#[test]
fn batches_do_not_matter_and_a_rebuild_knows_no_deleted_jobs_on_sqlite() {
    let runtime = Runtime::new().unwrap();
    let tables = runtime.block_on(Tables::sqlite());
    let config = ProptestConfig {
        cases: 48,
        ..ProptestConfig::default()
    };
    proptest!(config, |(log in lives(), cut in any::<Index>())| {
        runtime.block_on(holds(&tables, &log, cut))?;
    });
}

#[test]
fn batches_do_not_matter_and_a_rebuild_knows_no_deleted_jobs_on_postgres() {
    let runtime = Runtime::new().unwrap();
    let tables = runtime.block_on(Tables::postgres());
    let config = ProptestConfig {
        cases: 16,
        ..ProptestConfig::default()
    };
    proptest!(config, |(log in lives(), cut in any::<Index>())| {
        runtime.block_on(holds(&tables, &log, cut))?;
    });
}
