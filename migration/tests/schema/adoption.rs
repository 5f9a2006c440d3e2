//! A live `FluxStudio` database is taken over without losing a byte.

use migration::testing::Postgres;
use migration::{drop_views, up};
use sea_orm::{ConnectionTrait, DatabaseConnection};

use crate::catalog::{lines, printed_rows, rows, schema};

pub(crate) const TABLES: &str = include_str!("fluxstudio.sql");
const ACCOUNTS: &str = include_str!("fluxstudio_accounts.sql");
const FILES: &str = "id, name, mime_type, size, file_url, thumbnail_url, uploaded_by, project_id, folder_path, \
                     hls_manifest_url, transcoding_status, metadata, created_at, updated_at, deleted_at";
const JOBS: &str = "id, file_id, status, input_url, output_prefix, manifest_url, progress, error_message, created_at, \
                    started_at, completed_at, settings";

pub(crate) async fn live(parts: &[&str]) -> Postgres {
    let scratch = Postgres::empty().await;
    for sql in parts {
        scratch.db.execute_unprepared(sql).await.unwrap();
    }
    scratch
}

async fn all_rows(db: &DatabaseConnection) -> Vec<String> {
    let mut all = printed_rows(db, FILES, "files").await;
    all.extend(printed_rows(db, JOBS, "transcoding_jobs").await);
    all
}

#[tokio::test]
async fn adopting_changes_no_row() {
    for parts in [&[TABLES, ACCOUNTS][..], &[TABLES][..]] {
        let scratch = live(parts).await;
        let before = all_rows(&scratch.db).await;
        assert_eq!(before.len(), 6);
        up(&scratch.db).await.unwrap();
        assert_eq!(all_rows(&scratch.db).await, before);
    }
}

#[tokio::test]
async fn an_adopted_schema_equals_a_built_one() {
    for (old, accounts) in [
        (&[TABLES, ACCOUNTS][..], Some(ACCOUNTS)),
        (&[TABLES][..], None),
    ] {
        let adopted = live(old).await;
        up(&adopted.db).await.unwrap();

        let built = Postgres::empty().await;
        if accounts.is_some() {
            built
                .db
                .execute_unprepared(
                    "CREATE TABLE users (id TEXT PRIMARY KEY); CREATE TABLE projects (id TEXT PRIMARY KEY)",
                )
                .await
                .unwrap();
        }

        up(&built.db).await.unwrap();
        assert_eq!(schema(&adopted.db).await, schema(&built.db).await);
    }
}

#[tokio::test]
async fn tables_that_only_share_a_name_with_users_are_not_referred_to() {
    let scratch = Postgres::empty().await;
    scratch
        .db
        .execute_unprepared("CREATE TABLE users (id BIGINT PRIMARY KEY)")
        .await
        .unwrap();

    up(&scratch.db).await.unwrap();
    let references = lines(
        &scratch.db,
        "SELECT conname::text AS line FROM pg_constraint WHERE confrelid <> 0 ORDER BY 1",
    )
    .await;
    assert_eq!(references, ["transcoding_jobs_file_id_fkey"]);
}

#[tokio::test]
async fn the_old_api_and_its_views_keep_working() {
    let scratch = live(&[TABLES, ACCOUNTS]).await;
    let db = &scratch.db;
    up(db).await.unwrap();

    // Submit, as the API does it.
    db.execute_unprepared(
        "INSERT INTO transcoding_jobs (id, file_id, status, input_url, output_prefix) \
         VALUES ('cljobsubmitted', 'clgone', 'pending', 'https://example.org/gone.pdf', 'hls/clgone/'); \
         UPDATE files SET transcoding_status = 'pending' WHERE id = 'clgone';",
    )
    .await
    .unwrap();

    // Cancel.
    db.execute_unprepared(
        "UPDATE transcoding_jobs SET status = 'canceled', completed_at = NOW() \
         WHERE id = 'cljobrunning' AND status IN ('pending', 'processing')",
    )
    .await
    .unwrap();

    // Status of a file: its newest job.
    let status = lines(
        db,
        "SELECT concat_ws(' ', j.id, j.status, f.hls_manifest_url) AS line FROM transcoding_jobs j \
         JOIN files f ON f.id = j.file_id WHERE f.id = 'clholiday' ORDER BY j.created_at DESC LIMIT 1",
    )
    .await;
    assert_eq!(
        status,
        [
            "cljobdone completed https://fluxstudio.nyc3.cdn.digitaloceanspaces.com/hls/clholiday/master.m3u8"
        ]
    );

    let statistics = lines(
        db,
        "SELECT concat_ws(' ', status, count(*), round(avg(extract(epoch FROM completed_at - created_at)))) AS line \
         FROM transcoding_jobs WHERE created_at > TIMESTAMP '2025-01-08' - INTERVAL '7 days' AND status = 'completed' \
         GROUP BY status",
    )
    .await;
    assert_eq!(statistics, ["completed 1 120"]);

    let active = lines(
        db,
        "SELECT concat_ws(' ', id, file_name) AS line FROM active_transcoding_jobs",
    )
    .await;
    assert_eq!(active, ["cljobsubmitted gone.pdf"]);

    let history = lines(
        db,
        "SELECT concat_ws(' ', id, duration_seconds::int, user_email) AS line FROM transcoding_history \
         WHERE status <> 'canceled'",
    )
    .await;
    assert_eq!(
        history,
        [
            "cljobdone 120 ana@example.org",
            "cljobfailed 20 ana@example.org"
        ]
    );
}

#[tokio::test]
async fn views_and_clean_up_go_only_when_asked_for() {
    let scratch = live(&[TABLES, ACCOUNTS]).await;
    up(&scratch.db).await.unwrap();
    let leftovers = "SELECT viewname::text AS line FROM pg_views WHERE schemaname = 'public' \
                     UNION ALL SELECT proname::text FROM pg_proc WHERE proname LIKE 'cleanup%' ORDER BY line";
    assert_eq!(
        lines(&scratch.db, leftovers).await,
        [
            "active_transcoding_jobs",
            "cleanup_old_transcoding_jobs",
            "transcoding_history"
        ]
    );

    let before = all_rows(&scratch.db).await;
    drop_views(&scratch.db).await.unwrap();
    // Twice, since to drop what is gone is no error.
    drop_views(&scratch.db).await.unwrap();
    assert!(lines(&scratch.db, leftovers).await.is_empty());
    assert_eq!(all_rows(&scratch.db).await, before);
}

#[tokio::test]
async fn uuid_ids_are_refused_with_the_fix_and_nothing_is_touched() {
    let first = TABLES
        .split("INSERT INTO")
        .next()
        .unwrap()
        .replace("id TEXT PRIMARY KEY", "id UUID PRIMARY KEY")
        .replace("file_id TEXT", "file_id UUID");

    let scratch = live(&[&first]).await;
    let before = schema(&scratch.db).await;
    let refused = up(&scratch.db).await.unwrap_err().to_string();

    assert!(
        refused.contains("cannot adopt table files: its id column is of type uuid"),
        "{refused}"
    );
    assert!(refused.contains("ALTER TABLE"), "{refused}");

    assert_eq!(schema(&scratch.db).await, before);
    assert!(
        rows(
            &scratch.db,
            "SELECT 1 AS one FROM pg_tables WHERE tablename = 'seaql_migrations'"
        )
        .await
        .is_empty()
    );
}

#[tokio::test]
async fn the_fix_for_uuid_ids_works_as_it_is_written() {
    let first = TABLES
        .split("INSERT INTO")
        .next()
        .unwrap()
        .replace("id TEXT PRIMARY KEY", "id UUID PRIMARY KEY")
        .replace("file_id TEXT", "file_id UUID");

    let scratch = live(&[
        &first,
        "INSERT INTO files (id, name, mime_type, size, file_url) \
         VALUES ('5f0e0c1a-0000-4000-8000-000000000001', 'a', 'b', 1, 'c')",
        "ALTER TABLE transcoding_jobs DROP CONSTRAINT transcoding_jobs_file_id_fkey",
        "ALTER TABLE files ALTER COLUMN id TYPE text",
        "ALTER TABLE transcoding_jobs ALTER COLUMN id TYPE text",
        "ALTER TABLE transcoding_jobs ALTER COLUMN file_id TYPE text",
        "ALTER TABLE transcoding_jobs ADD FOREIGN KEY (file_id) REFERENCES files(id) ON DELETE CASCADE",
    ])
    .await;

    up(&scratch.db).await.unwrap();
    let ids = lines(&scratch.db, "SELECT id AS line FROM files").await;
    assert_eq!(ids, ["5f0e0c1a-0000-4000-8000-000000000001"]);
}

#[tokio::test]
async fn a_table_that_lacks_a_column_is_refused_by_name() {
    let scratch = live(&[TABLES, "ALTER TABLE transcoding_jobs DROP COLUMN settings"]).await;
    let refused = up(&scratch.db).await.unwrap_err().to_string();
    assert!(
        refused.contains("cannot adopt table transcoding_jobs: it has no column settings"),
        "{refused}"
    );
}
