//! The table "fact → columns" of the contract, line by line, on both databases.

use entity::{files, transcoding_jobs};
use serde_json::json;

use super::facts::{
    accepted, accepted_with, cancel, canceled, completed, failed, planned, playable, pruned,
    row_time, verdict,
};
use super::tables::{Rows, Tables};
use crate::pipeline::project::progress;

/// The rows right after `accepted(1, "j", "f")` on empty tables.
fn fresh() -> (files::Model, transcoding_jobs::Model) {
    let file = files::Model {
        id: "f".to_owned(),
        name: "holiday.mp4".to_owned(),
        mime_type: "video/mp4".to_owned(),
        size: 1000,
        file_url: "s3://b/holiday.mp4".to_owned(),
        thumbnail_url: None,
        uploaded_by: Some("ana".to_owned()),
        project_id: Some("summer".to_owned()),
        folder_path: Some("/a".to_owned()),
        hls_manifest_url: None,
        transcoding_status: Some("pending".to_owned()),
        metadata: Some(json!({"k": [1]})),
        created_at: row_time(1),
        updated_at: row_time(1),
        deleted_at: None,
        accepted_seq: Some(1),
        fact_seq: Some(1),
    };

    let job = transcoding_jobs::Model {
        id: "j".to_owned(),
        file_id: "f".to_owned(),
        status: Some("pending".to_owned()),
        input_url: "s3://b/holiday.mp4".to_owned(),
        output_prefix: Some("hls/f/".to_owned()),
        manifest_url: None,
        progress: Some(0),
        error_message: None,
        created_at: row_time(1),
        started_at: None,
        completed_at: None,
        settings: Some(json!({"profile": "standard", "priority": "normal", "max_attempts": 5})),
        accepted_seq: Some(1),
        fact_seq: Some(1),
    };
    (file, job)
}

fn one(file: &files::Model, job: &transcoding_jobs::Model) -> Rows {
    Rows {
        files: vec![file.clone()],
        jobs: vec![job.clone()],
    }
}

#[tokio::test]
async fn a_job_that_completes_writes_the_columns_of_the_contract() {
    for tables in Tables::both().await {
        let (mut file, mut job) = fresh();
        tables.apply(&[accepted(1, "j", "f")]).await;
        assert_eq!(tables.rows().await, one(&file, &job), "accepted");

        tables.apply(&[planned(3, "j", "f")]).await;
        job.status = Some("processing".to_owned());
        job.started_at = row_time(3);
        job.fact_seq = Some(3);
        file.transcoding_status = Some("processing".to_owned());
        file.updated_at = row_time(3);
        file.fact_seq = Some(3);
        assert_eq!(tables.rows().await, one(&file, &job), "planned");

        tables.apply(&[playable(4, "j", "f")]).await;
        job.manifest_url = Some("https://cdn/hls/f/j/live.m3u8".to_owned());
        job.fact_seq = Some(4);
        assert_eq!(tables.rows().await, one(&file, &job), "playable");

        tables
            .apply(&[verdict(5, "j", "f"), completed(6, "j", "f", false)])
            .await;
        job.status = Some("completed".to_owned());
        job.progress = Some(100);
        job.completed_at = row_time(6);
        job.manifest_url = Some("https://cdn/hls/f/master.m3u8".to_owned());
        job.fact_seq = Some(6);
        file.transcoding_status = Some("completed".to_owned());
        file.thumbnail_url = Some("https://cdn/hls/f/j/poster.jpg".to_owned());
        file.hls_manifest_url = Some("https://cdn/hls/f/master.m3u8".to_owned());
        file.updated_at = row_time(6);
        file.fact_seq = Some(6);
        assert_eq!(tables.rows().await, one(&file, &job), "ended");

        tables.apply(&[pruned(7, "j", "f")]).await;
        let gone = Rows {
            files: vec![file],
            jobs: vec![],
        };
        assert_eq!(tables.rows().await, gone, "pruned");
    }
}

#[tokio::test]
async fn a_job_that_fails_or_is_canceled_clears_its_url_and_never_those_of_the_file() {
    for tables in Tables::both().await {
        tables
            .apply(&[accepted(1, "j", "f"), completed(2, "j", "f", false)])
            .await;
        let done = tables.rows().await.files.remove(0);

        tables
            .apply(&[
                accepted(3, "k", "f"),
                planned(4, "k", "f"),
                playable(5, "k", "f"),
                failed(6, "k", "f"),
            ])
            .await;
        let mut rows = tables.rows().await;
        let job = rows.jobs.remove(1);
        assert_eq!(job.status.as_deref(), Some("failed"));
        assert_eq!(
            job.error_message.as_deref(),
            Some("truncated_upload: It ends early.")
        );
        assert_eq!(
            (job.progress, job.manifest_url, job.completed_at),
            (Some(37), None, row_time(6))
        );

        let expected = files::Model {
            transcoding_status: Some("failed".to_owned()),
            updated_at: row_time(6),
            accepted_seq: Some(3),
            fact_seq: Some(6),
            ..done.clone()
        };
        assert_eq!(rows.files[0], expected);

        tables
            .apply(&[
                accepted(7, "l", "f"),
                playable(8, "l", "f"),
                cancel(9, "l", "f"),
                canceled(10, "l", "f"),
            ])
            .await;
        let mut rows = tables.rows().await;
        let job = rows.jobs.remove(2);
        assert_eq!(job.status.as_deref(), Some("canceled"));
        assert_eq!(
            (
                job.progress,
                job.manifest_url,
                job.error_message,
                job.completed_at
            ),
            (Some(12), None, None, row_time(10))
        );
        assert_eq!(
            rows.files[0].transcoding_status.as_deref(),
            Some("canceled")
        );
        assert_eq!(rows.files[0].hls_manifest_url, done.hls_manifest_url);
        assert_eq!(rows.files[0].thumbnail_url, done.thumbnail_url);
    }
}

#[tokio::test]
async fn rows_that_an_api_made_keep_what_is_not_ours() {
    for tables in Tables::both().await {
        tables
            .run(
                "INSERT INTO files (id, name, mime_type, size, file_url, folder_path, metadata, uploaded_by, deleted_at, \
                                    created_at, updated_at) \
                 VALUES ('f', 'mine', 'application/octet-stream', 0, 'mine', '/mine', '{\"mine\": 1}', 'me', \
                         '2020-01-01 00:00:00', '2020-01-02 00:00:00', '2030-01-01 00:00:00'); \
                 INSERT INTO transcoding_jobs (id, file_id, input_url, output_prefix, status) \
                 VALUES ('j', 'f', 'api', 'api/', 'pending');",
            )
            .await;

        let before = tables.rows().await.files.remove(0);
        tables.apply(&[accepted(1, "j", "f")]).await;
        let rows = tables.rows().await;
        assert_eq!(rows.jobs, [fresh().1], "the job is as the fact says");
        let mut file = files::Model {
            transcoding_status: Some("pending".to_owned()),
            accepted_seq: Some(1),
            fact_seq: Some(1),
            ..before
        };
        assert_eq!(
            rows.files,
            [file.clone()],
            "a later updated_at of the API stays, too"
        );

        tables.apply(&[planned(2, "j", "f")]).await;
        file.transcoding_status = Some("processing".to_owned());
        file.size = 2000;
        file.mime_type = "video/quicktime".to_owned();
        file.fact_seq = Some(2);
        assert_eq!(
            tables.rows().await.files,
            [file],
            "only planned fills size and type, and only here"
        );
    }
}

#[tokio::test]
async fn a_file_follows_only_its_newest_job() {
    for tables in Tables::both().await {
        tables
            .apply(&[accepted(1, "old", "f"), planned(2, "old", "f")])
            .await;
        tables.apply(&[accepted(3, "new", "f")]).await;
        tables.apply(&[completed(4, "old", "f", true)]).await;
        let rows = tables.rows().await;
        assert_eq!(rows.files[0].transcoding_status.as_deref(), Some("pending"));
        assert_eq!(rows.files[0].thumbnail_url, None);
        assert_eq!(
            rows.jobs[1].status.as_deref(),
            Some("completed"),
            "the job itself continues"
        );

        tables.apply(&[completed(5, "new", "f", true)]).await;
        let file = tables.rows().await.files.remove(0);
        assert_eq!(file.transcoding_status.as_deref(), Some("completed"));
        assert_eq!(file.hls_manifest_url, None, "superseded");
        assert!(file.thumbnail_url.is_some());
    }
}

#[tokio::test]
async fn what_comes_after_the_end_changes_nothing() {
    for tables in Tables::both().await {
        tables
            .apply(&[accepted(1, "j", "f"), canceled(2, "j", "f")])
            .await;
        let before = tables.rows().await;
        tables.apply(&[planned(3, "j", "f")]).await;
        tables.apply(&[playable(4, "j", "f")]).await;
        assert_eq!(tables.rows().await, before);
    }
}

#[tokio::test]
async fn what_is_in_the_tables_already_changes_nothing() {
    for tables in Tables::both().await {
        let facts = [
            accepted(1, "j", "f"),
            planned(2, "j", "f"),
            playable(3, "j", "f"),
            failed(4, "j", "f"),
        ];

        tables.apply(&facts).await;
        let before = tables.rows().await;
        for again in [&facts[..1], &facts[..3], &facts[1..3], &facts[..]] {
            tables.apply(again).await;
            assert_eq!(tables.rows().await, before);
        }
    }
}

#[tokio::test]
async fn facts_of_a_job_that_nobody_accepted_change_nothing() {
    for tables in Tables::both().await {
        let messages = [
            planned(1, "j", "f"),
            completed(2, "j", "f", false),
            pruned(3, "j", "f"),
        ];
        assert!(tables.apply(&messages).await.is_empty());
        let rows = tables.rows().await;
        assert!(rows.files.is_empty() && rows.jobs.is_empty());
    }
}

#[tokio::test]
async fn unknown_users_and_projects_become_null_only_where_a_foreign_key_asks() {
    let accounts = "CREATE TABLE users (id TEXT PRIMARY KEY); CREATE TABLE projects (id TEXT PRIMARY KEY); \
                    INSERT INTO users VALUES ('ana');";
    let tables = Tables::postgres_with(accounts).await;

    let stranger = json!({"uploaded_by": "bo"});
    let messages = [accepted(1, "j", "f"), accepted_with(2, "k", "g", &stranger)];
    assert!(tables.apply(&messages).await.is_empty());
    let rows = tables.rows().await;
    assert_eq!(rows.files[0].uploaded_by.as_deref(), Some("ana"));
    assert_eq!(rows.files[0].project_id, None);
    assert_eq!(rows.files[1].uploaded_by, None);

    let alone = Tables::postgres().await;
    alone.apply(&[accepted(1, "j", "f")]).await;
    let file = alone.rows().await.files.remove(0);
    assert_eq!(
        (file.uploaded_by.as_deref(), file.project_id.as_deref()),
        (Some("ana"), Some("summer"))
    );
}

#[tokio::test]
async fn a_missing_size_and_type_are_filled_by_planned_within_one_batch_too() {
    for tables in Tables::both().await {
        let unknown = json!({"size": 0, "mime_type": "application/octet-stream"});
        tables
            .apply(&[accepted_with(1, "j", "f", &unknown), planned(2, "j", "f")])
            .await;
        let file = tables.rows().await.files.remove(0);
        assert_eq!(
            (file.size, file.mime_type.as_str()),
            (2000, "video/quicktime")
        );
    }
}

#[tokio::test]
async fn progress_only_rises_and_only_while_a_job_is_processing() {
    for tables in Tables::both().await {
        let job = "j".parse().unwrap();
        let mut seen = Vec::new();
        tables.apply(&[accepted(1, "j", "f")]).await;

        for step in [30, 0, 60, 40, 99] {
            // The job is processing from the second step on.
            if step == 0 {
                tables.apply(&[planned(2, "j", "f")]).await;
            }
            progress::raise(&tables.db, &job, step).await.unwrap();
            seen.push(tables.rows().await.jobs[0].progress.unwrap());
        }

        tables.apply(&[failed(3, "j", "f")]).await;
        progress::raise(&tables.db, &job, 99).await.unwrap();
        seen.push(tables.rows().await.jobs[0].progress.unwrap());
        assert_eq!(seen, [0, 0, 60, 60, 99, 37]);
    }
}
