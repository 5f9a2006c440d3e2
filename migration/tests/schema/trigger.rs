//! `updated_at` follows every writer that does not say otherwise.

use migration::testing::Postgres;
use migration::up;
use sea_orm::{ConnectionTrait, DatabaseConnection};

use crate::catalog::lines;
use crate::sqlite::Sqlite;

const OLD: &str = "2001-02-03 04:05:06";

#[tokio::test]
async fn updated_at_follows_writers_on_postgres() {
    let scratch = Postgres::empty().await;
    updated_at_follows_writers(&scratch.db).await;
}

#[tokio::test]
async fn updated_at_follows_writers_on_sqlite() {
    let scratch = Sqlite::empty().await;
    updated_at_follows_writers(&scratch.db).await;
}

async fn updated_at_follows_writers(db: &DatabaseConnection) {
    up(db).await.unwrap();
    let insert = "INSERT INTO files (id, name, mime_type, size, file_url, updated_at) VALUES ";
    db.execute_unprepared(&format!("{insert} ('f', 'a', 'b', 1, 'c', '{OLD}')"))
        .await
        .unwrap();

    assert!(
        after(db, "name = 'b'").await.as_str() > "2026",
        "a writer that says nothing"
    );
    assert_eq!(
        after(db, &format!("updated_at = '{OLD}'")).await,
        OLD,
        "an explicit time"
    );

    // The writer that moves `fact_seq` is the projector, whose time counts even where the row has
    // it already.
    assert_eq!(
        after(db, &format!("updated_at = '{OLD}', fact_seq = 7")).await,
        OLD,
        "the projector, with the time the row already has"
    );
    assert!(
        after(db, "fact_seq = 7").await.as_str() > "2026",
        "a guard that does not move"
    );
}

/// `updated_at` after this change, cut to seconds.
async fn after(db: &DatabaseConnection, change: &str) -> String {
    db.execute_unprepared(&format!("UPDATE files SET {change}"))
        .await
        .unwrap();
    let line = lines(db, "SELECT CAST(updated_at AS TEXT) AS line FROM files").await;
    line[0][..19].to_owned()
}
