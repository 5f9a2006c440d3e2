//! A database that can be read and not be written, or not at all: readiness, doctor,
//! `migrate status` and the metric say so, with the server's words and what to do, and the tables
//! catch up when it is over.

use sea_orm::{ConnectionTrait as _, DatabaseConnection};
use streams::FactKind;

use crate::harness::clip::small;
use crate::harness::database::Engine;
use crate::harness::process::Process;
use crate::harness::until;
use crate::harness::worker::{page, readiness, say_in};
use crate::harness::world::{World, job_of};
use migration::testing::Cluster;

/// Waits until the worker is not ready for a reason that has these words.
async fn is_unready_with(worker: &Process, words: &str) {
    until(&format!("it is not ready: {words}"), async || {
        let answer = readiness(worker).await;
        answer.status == 503 && String::from_utf8_lossy(&answer.body).contains(words)
    })
    .await;
}

/// Waits until a metric of the worker fits.
async fn metric(worker: &Process, name: &str, fits: impl Fn(f64) -> bool) {
    until(&format!("{name} is as expected"), async || {
        let text = page(worker, "/metrics").await.body;
        let text = String::from_utf8_lossy(&text).into_owned();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.is_some_and(&fits)
    })
    .await;
}

/// Ends every connection to the database, as a failover to a replica does.
async fn end_connections(admin: &DatabaseConnection, database: &str) {
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
    );
    admin.execute_unprepared(&end).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_postgresql_is_told_everywhere_and_the_tables_catch_up_when_it_takes_writes_again()
 {
    let cluster = Cluster::start().await;
    let world = World::on(&cluster).await;
    let admin = sea_orm::Database::connect(cluster.url("postgres"))
        .await
        .unwrap();
    let database = world.database.url.rsplit('/').next().unwrap().to_owned();
    let worker = world.worker("one").start();
    metric(&worker, "fluxhls_database_up", |up| up > 0.5).await;

    let read_only = format!("ALTER DATABASE {database} SET default_transaction_read_only = on");
    admin.execute_unprepared(&read_only).await.unwrap();
    end_connections(&admin, &database).await;
    is_unready_with(
        &worker,
        "in a read-only transaction; the database accepts no writes",
    )
    .await;
    metric(&worker, "fluxhls_database_up", |up| up < 0.5).await;
    let event = world.event(&small().make().await).await;
    world.streams.upload(&event).await;
    let ended = world.streams.fact(&job_of(&event), FactKind::Ended).await;
    metric(&worker, "fluxhls_projection_lag_messages", |lag| lag > 0.0).await;
    is_unready_with(&worker, "the tables do not follow the job log").await;

    let status = world.say(&["migrate", "status"]).await;
    assert_eq!(status.code, Some(4), "{status:?}");
    assert!(
        status.out.contains("default_transaction_read_only"),
        "{status:?}"
    );
    let doctor = world.say(&["doctor"]).await;
    let line = doctor
        .out
        .lines()
        .find(|line| line.contains(" database "))
        .unwrap_or_default();
    assert!(
        line.starts_with("fix") && line.contains("read-only transaction"),
        "{doctor:?}"
    );

    let again = format!("ALTER DATABASE {database} RESET default_transaction_read_only");
    admin.execute_unprepared(&again).await.unwrap();
    end_connections(&admin, &database).await;
    world.database.has_projected(ended.seq).await;
    until("it is ready again", async || {
        readiness(&worker).await.status == 200
    })
    .await;
    metric(&worker, "fluxhls_database_up", |up| up > 0.5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_without_grants_is_told_which_ones_are_missing() {
    let cluster = Cluster::start().await;
    let world = World::on(&cluster).await;
    let owner = world.database.connection();
    for sql in [
        "CREATE ROLE limited LOGIN",
        "GRANT SELECT ON files, transcoding_jobs, projection_checkpoint, fluxhls_schema, seaql_migrations TO limited",
    ] {
        owner.execute_unprepared(sql).await.unwrap();
    }
    let mut environment = world.environment();
    environment.insert(
        "DATABASE_URL",
        world.database.url.replace("fluxhls@", "limited@"),
    );
    let worker = world
        .worker("limited")
        .roles("project")
        .setting("DATABASE_URL", &environment["DATABASE_URL"])
        .start();
    is_unready_with(
        &worker,
        "permission denied for table projection_checkpoint; grant the user",
    )
    .await;
    metric(&worker, "fluxhls_database_up", |up| up < 0.5).await;
    let status = say_in(environment.clone(), &["migrate", "status"]).await;
    assert_eq!(status.code, Some(4), "{status:?}");
    assert!(
        status.out.contains("SELECT, INSERT, UPDATE and DELETE"),
        "{status:?}"
    );
    let doctor = say_in(environment.clone(), &["doctor"]).await;
    assert!(
        doctor
            .out
            .contains("permission denied for table projection_checkpoint"),
        "{doctor:?}"
    );

    // The sentence as it is written, and it is well.
    owner
        .execute_unprepared(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON files, transcoding_jobs, projection_checkpoint TO limited",
        )
        .await
        .unwrap();
    until("it is ready", async || {
        readiness(&worker).await.status == 200
    })
    .await;
    assert_eq!(
        say_in(environment, &["migrate", "status"]).await.code,
        Some(0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_that_is_stopped_is_told_by_readiness_and_metric() {
    let mut cluster = Cluster::start().await;
    let world = World::on(&cluster).await;
    let worker = world.worker("one").roles("project").start();
    until("it is ready", async || {
        readiness(&worker).await.status == 200
    })
    .await;
    cluster.kill().await;
    is_unready_with(&worker, "check DATABASE_URL and that the database runs").await;
    metric(&worker, "fluxhls_database_up", |up| up < 0.5).await;
    cluster.restart().await;
    until("it is ready again", async || {
        readiness(&worker).await.status == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sqlite_file_that_cannot_be_written_is_told_with_the_fix() {
    let world = World::new(Engine::Sqlite).await;
    let mut environment = world.environment();
    let url = world.database.url.replace("mode=rwc", "mode=ro");
    environment.insert("DATABASE_URL", url);
    let status = say_in(environment.clone(), &["migrate", "status"]).await;
    assert_eq!(status.code, Some(4), "{status:?}");
    assert!(
        status.out.contains("must be able to write the file"),
        "{status:?}"
    );
    let listed = say_in(environment, &["jobs", "list"]).await;
    assert_eq!(listed.code, Some(0), "reading needs no more: {listed:?}");
}
