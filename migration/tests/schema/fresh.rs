//! An empty database gets everything, once.

use migration::testing::Postgres;
use migration::{Schema, schema, up};
use sea_orm::{ConnectionTrait, DatabaseConnection};

use crate::catalog::{lines, rows};
use crate::sqlite::Sqlite;

#[tokio::test]
async fn an_empty_postgres_is_migrated_once_and_then_has_nothing_pending() {
    let scratch = Postgres::empty().await;
    migrates_once(&scratch.db).await;
}

#[tokio::test]
async fn an_empty_sqlite_is_migrated_once_and_then_has_nothing_pending() {
    let scratch = Sqlite::empty().await;
    migrates_once(&scratch.db).await;
}

async fn migrates_once(db: &DatabaseConnection) {
    let Schema::Behind(names) = schema(db).await.unwrap() else {
        panic!("an empty database lacks every migration");
    };
    assert_eq!(names.len(), 7);
    assert_eq!(names[0], "m20261122_000001_create_files");
    assert_eq!(up(db).await.unwrap(), Schema::Current);
    assert_eq!(up(db).await.unwrap(), Schema::Current);
    assert_eq!(schema(db).await.unwrap(), Schema::Current);
}

#[tokio::test]
async fn what_is_missing_is_told_to_a_user_who_may_not_change_the_schema() {
    let scratch = Postgres::empty().await;
    let reader = scratch.url().replace("fluxhls@", "reader@");
    scratch
        .db
        .execute_unprepared("CREATE ROLE reader LOGIN")
        .await
        .unwrap();
    let reader = migration::connect(reader).await.unwrap();

    let found = schema(&reader).await.unwrap();
    assert!(
        matches!(&found, Schema::Behind(missing) if missing.len() == 7),
        "{found}"
    );

    let refused = up(&reader).await.unwrap_err().to_string();
    assert!(refused.contains("permission denied"), "{refused}");
}

#[tokio::test]
async fn sqlite_has_the_old_defaults_and_deletes_jobs_with_their_file() {
    let scratch = Sqlite::empty().await;
    up(&scratch.db).await.unwrap();
    scratch
        .db
        .execute_unprepared(
            "INSERT INTO files (id, name, mime_type, size, file_url) VALUES ('f', 'a', 'video/mp4', 1, 's3://b/a'); \
             INSERT INTO transcoding_jobs (id, file_id, input_url) VALUES ('j', 'f', 's3://b/a');",
        )
        .await
        .unwrap();

    let file = lines(
        &scratch.db,
        "SELECT folder_path || ' ' || transcoding_status || ' ' || metadata || ' ' \
         || (created_at IS NOT NULL AND updated_at IS NOT NULL) AS line FROM files",
    )
    .await;
    assert_eq!(file, ["/ pending {} 1"]);

    let status = lines(
        &scratch.db,
        "SELECT status || ' ' || progress || ' ' || settings AS line FROM transcoding_jobs",
    )
    .await;
    assert_eq!(status, ["pending 0 {}"]);

    scratch
        .db
        .execute_unprepared("DELETE FROM files")
        .await
        .unwrap();
    assert!(
        rows(&scratch.db, "SELECT id FROM transcoding_jobs")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn counts_begin_with_the_rows_that_an_older_projector_wrote() {
    let (postgres, sqlite) = (Postgres::empty().await, Sqlite::empty().await);
    for db in [&postgres.db, &sqlite.db] {
        up(db).await.unwrap();
        // As a version before that migration left the tables.
        for column in ["accepted", "completed", "failed", "canceled"] {
            let drop = format!("ALTER TABLE projection_checkpoint DROP COLUMN jobs_{column}");
            db.execute_unprepared(&drop).await.unwrap();
        }

        for sql in [
            "DELETE FROM seaql_migrations WHERE version = 'm20261126_000001_count_jobs'",
            "INSERT INTO projection_checkpoint (name, stream, stream_created, seq) VALUES ('tables', 'HLS_JOBS', 't', 9)",
            "INSERT INTO files (id, name, mime_type, size, file_url) VALUES ('f', 'a', 'video/mp4', 1, 's3://b/a')",
            "INSERT INTO transcoding_jobs (id, file_id, input_url, status, accepted_seq) VALUES \
             ('a', 'f', 'u', 'completed', 1), ('b', 'f', 'u', 'failed', 2), ('c', 'f', 'u', 'processing', 3), \
             ('old', 'f', 'u', 'completed', NULL)",
        ] {
            db.execute_unprepared(sql).await.unwrap();
        }

        up(db).await.unwrap();
        let counts = lines(
            db,
            "SELECT jobs_accepted || ' ' || jobs_completed || ' ' || jobs_failed || ' ' || jobs_canceled AS line \
             FROM projection_checkpoint",
        )
        .await;
        assert_eq!(
            counts,
            ["3 1 1 0"],
            "the old system's own job is none of ours"
        );
    }
}
