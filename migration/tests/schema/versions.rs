//! Two versions of the program and one database: a later one migrates it, this one finds it so.

use migration::testing::{Postgres, up_as_a_newer_program};
use migration::{Schema, schema, up};
use sea_orm::{ConnectionTrait, DatabaseConnection};

use crate::adoption::{TABLES, live};
use crate::catalog::lines;
use crate::sqlite::Sqlite;

const NEWER: &str = "m20991231_000001_of_a_newer_version";

/// What says that the later version's migration is there.
async fn has_the_newer_column(db: &DatabaseConnection) -> bool {
    db.execute_unprepared("SELECT of_a_newer_version FROM files")
        .await
        .is_ok()
}

#[tokio::test]
async fn a_schema_of_a_newer_program_that_only_adds_stays_as_it_is_and_this_program_may_run() {
    let (postgres, sqlite) = (Postgres::empty().await, Sqlite::empty().await);
    for db in [&postgres.db, &sqlite.db] {
        up_as_a_newer_program(db, "0.1.0").await;
        let found = schema(db).await.unwrap();
        assert_eq!(found, Schema::Newer(vec![NEWER.to_owned()]));
        assert!(found.may_run());
        assert!(
            found
                .to_string()
                .starts_with("the schema is newer: it has m2099"),
            "{found}"
        );

        assert_eq!(
            up(db).await.unwrap(),
            found,
            "an older program changes nothing"
        );
        assert!(has_the_newer_column(db).await);
    }
}

#[tokio::test]
async fn a_schema_that_only_newer_programs_may_run_with_names_the_oldest_of_them() {
    let (postgres, sqlite) = (Postgres::empty().await, Sqlite::empty().await);
    for db in [&postgres.db, &sqlite.db] {
        up_as_a_newer_program(db, "99.1.0").await;
        let found = schema(db).await.unwrap();
        assert_eq!(found, Schema::TooNew("99.1.0".parse().unwrap()));
        assert!(!found.may_run());
        assert!(
            found.to_string().contains("only fluxhls 99.1.0 and later"),
            "{found}"
        );

        assert_eq!(up(db).await.unwrap(), found);
        let floor = lines(db, "SELECT oldest_program AS line FROM fluxhls_schema").await;
        assert_eq!(floor, ["99.1.0"], "an older program does not lower it");
    }
}

#[tokio::test]
async fn a_schema_that_has_unknown_migrations_and_lacks_known_ones_is_left_alone() {
    let scratch = Postgres::empty().await;
    up_as_a_newer_program(&scratch.db, "0.1.0").await;
    let forget = "DELETE FROM seaql_migrations WHERE version = 'm20261126_000001_count_jobs'";
    scratch.db.execute_unprepared(forget).await.unwrap();
    let found = up(&scratch.db).await.unwrap();
    assert!(
        matches!(found, Schema::Apart { .. }) && !found.may_run(),
        "{found}"
    );
    let told = found.to_string();
    assert!(
        told.contains(NEWER) && told.contains("count_jobs"),
        "{told}"
    );
}

#[tokio::test]
async fn a_newer_program_takes_over_what_this_one_migrated_and_a_live_fluxstudio_database() {
    let ours = Postgres::empty().await;
    up(&ours.db).await.unwrap();
    let old = live(&[TABLES]).await;
    for db in [&ours.db, &old.db] {
        up_as_a_newer_program(db, "0.1.0").await;
        assert!(schema(db).await.unwrap().may_run());
    }
}

#[tokio::test]
async fn each_migrated_database_says_in_one_row_which_programs_may_run() {
    let scratch = Postgres::empty().await;
    up(&scratch.db).await.unwrap();
    up(&scratch.db).await.unwrap();

    let rows = lines(
        &scratch.db,
        "SELECT id::text || ' ' || oldest_program AS line FROM fluxhls_schema",
    )
    .await;
    assert_eq!(rows, ["1 0.1.0"]);
}

#[tokio::test]
async fn a_user_who_may_not_read_what_was_migrated_hears_that_and_not_that_it_is_missing() {
    let scratch = Postgres::empty().await;
    up(&scratch.db).await.unwrap();
    scratch
        .db
        .execute_unprepared("CREATE ROLE stranger LOGIN")
        .await
        .unwrap();

    let stranger = migration::connect(scratch.url().replace("fluxhls@", "stranger@"))
        .await
        .unwrap();

    let refused = schema(&stranger).await.unwrap_err().to_string();
    assert!(
        refused.contains("permission denied for table fluxhls_schema"),
        "{refused}"
    );
}
