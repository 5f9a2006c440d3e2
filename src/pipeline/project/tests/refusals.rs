//! Content that a database refuses costs only the fact it is in; any other trouble costs none.

use std::collections::BTreeSet;

use jetstream::StoredMessage;
use sea_orm::ConnectionTrait as _;
use serde_json::json;
use streams::FactKind;

use super::facts::{accepted, accepted_with, completed, fact, planned};
use super::tables::Tables;
use crate::pipeline::project::batch;
use crate::pipeline::project::references::References;

fn ids(rows: &super::tables::Rows) -> Vec<&str> {
    rows.jobs.iter().map(|job| job.id.as_str()).collect()
}

#[tokio::test]
async fn a_value_too_long_for_its_column_is_set_aside_alone() {
    let tables = Tables::postgres().await;
    let long = json!({"name": "x".repeat(300)});
    let nul = json!({"name": "a\u{0}b"});
    let dead = tables
        .apply(&[
            accepted(1, "a", "f"),
            accepted_with(2, "b", "g", &long),
            accepted_with(3, "c", "h", &nul),
            completed(4, "a", "f", false),
            accepted(5, "d", "i"),
            planned(6, "b", "g"),
        ])
        .await;

    assert_eq!(
        dead.iter()
            .map(super::super::dead::DeadFact::seq)
            .collect::<Vec<_>>(),
        [2, 3]
    );
    assert!(
        dead[0].to_string().contains("value too long"),
        "{}",
        dead[0]
    );
    assert!(!dead[0].to_string().contains("xxx"), "{}", dead[0]);

    let rows = tables.rows().await;
    assert_eq!(ids(&rows), ["a", "d"]);
    assert_eq!(rows.jobs[0].status.as_deref(), Some("completed"));
}

#[tokio::test]
async fn a_constraint_of_sqlite_sets_a_fact_aside_alone() {
    let tables = Tables::sqlite().await;
    tables
        .run(
            "CREATE TRIGGER house_rule BEFORE INSERT ON transcoding_jobs WHEN NEW.id = 'b' \
             BEGIN SELECT RAISE(ABORT, 'no b here'); END",
        )
        .await;

    let dead = tables
        .apply(&[
            accepted(1, "a", "f"),
            accepted(2, "b", "g"),
            accepted(3, "c", "h"),
        ])
        .await;
    assert_eq!(dead.len(), 1);
    assert!(dead[0].to_string().contains("no b here"), "{}", dead[0]);

    let rows = tables.rows().await;
    assert_eq!(ids(&rows), ["a", "c"]);
    assert!(
        rows.files.iter().all(|file| file.id != "g"),
        "all of the fact is undone"
    );
}

#[tokio::test]
async fn what_is_no_fact_is_set_aside_with_a_reason() {
    let tables = Tables::sqlite().await;
    let garbage = StoredMessage {
        payload: "{".into(),
        ..planned(2, "a", "f")
    };
    let other_job = StoredMessage {
        subject: "hls.v1.job.b.planned".to_owned(),
        ..planned(4, "a", "f")
    };

    let dead = tables
        .apply(&[
            accepted(1, "a", "f"),
            garbage,
            other_job,
            completed(5, "a", "f", false),
        ])
        .await;

    let reasons: Vec<String> = dead.iter().map(ToString::to_string).collect();
    assert_eq!(reasons.len(), 2);
    assert!(
        reasons[0].contains("hls.v1.job.a.planned is broken"),
        "{}",
        reasons[0]
    );
    assert!(reasons[1].contains("names job a, not b"), "{}", reasons[1]);
    assert_eq!(
        tables.rows().await.jobs[0].status.as_deref(),
        Some("completed")
    );
}

#[tokio::test]
async fn a_missing_table_blocks_and_sets_nothing_aside() {
    for tables in Tables::both().await {
        tables
            .run("ALTER TABLE transcoding_jobs RENAME TO away")
            .await;
        let transaction = migration::begin(&tables.db, migration::Purpose::Write)
            .await
            .unwrap();
        let references = References::read(&transaction).await.unwrap();
        let outcome = batch::apply(
            &transaction,
            references,
            &[accepted(1, "a", "f")],
            &BTreeSet::new(),
        )
        .await;
        assert!(outcome.is_err());
        transaction.rollback().await.unwrap();

        tables
            .run("ALTER TABLE away RENAME TO transcoding_jobs")
            .await;
        assert!(tables.apply(&[accepted(1, "a", "f")]).await.is_empty());
        assert_eq!(ids(&tables.rows().await), ["a"]);
    }
}

#[tokio::test]
async fn a_full_disk_or_a_broken_connection_is_not_the_fault_of_a_fact() {
    let tables = Tables::postgres().await;
    let terminated = tables
        .db
        .execute_unprepared("SELECT pg_terminate_backend(pg_backend_pid())")
        .await
        .unwrap_err();
    assert!(
        !super::super::refusal::is_of_content(&terminated),
        "{terminated}"
    );

    let full = tables
        .db
        .execute_unprepared("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END $$")
        .await
        .unwrap_err();
    assert!(!super::super::refusal::is_of_content(&full), "{full}");

    let content = tables
        .db
        .execute_unprepared("SELECT 1 / 0")
        .await
        .unwrap_err();
    assert!(super::super::refusal::is_of_content(&content), "{content}");
}

#[test]
fn a_dead_letter_has_the_original_bytes_and_says_where_they_came_from() {
    let message = fact(
        7,
        "a",
        "f",
        FactKind::Playable,
        &json!({"manifest_url": "u"}),
    );
    let letter =
        super::super::dead::DeadFact::new(&message, "it is too long").to_dead_letter(1 << 20);
    let text = format!("{letter:?}");
    for part in [
        "hls.v1.dead.project.7",
        "Fluxhls-Origin-Stream",
        "HLS_JOBS",
        "Fluxhls-Reason",
        "it is too long",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}
