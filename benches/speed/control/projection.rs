//! The projection of facts into the tables, compared with the minimum: the same rows, written when
//! the log names them, in batches of the same size, by one upsert for each table and a checkpoint in
//! one transaction.

use std::collections::BTreeMap;
use std::time::Instant;

use async_nats::jetstream::consumer::pull::OrderedConfig;
use entity::{files, transcoding_jobs};
use fluxhls::config::DATABASE_MAX_CONNECTIONS;
use fluxhls::pipeline::project::{self, DatabaseSettings, Projector};
use futures::StreamExt as _;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, EntityTrait as _, IntoActiveModel as _,
    Iterable as _, TransactionTrait as _,
};
use streams::{Fact, subject, topology};
use tokio_util::sync::CancellationToken;

use crate::harness::database::{Database, Engine, Rows};
use crate::harness::worker::say_in;
use crate::harness::world::World;
use crate::timing::median;

/// Pairs of runs on each database.
const PAIRS: usize = 5;

/// Facts of a transaction, as the projector takes them.
const BATCH: usize = 500;

pub(super) async fn run(world: &World) -> String {
    let mut text = String::from(
        "| facts per second | projector | hand-written upsert | ratio |\n|---|---:|---:|---:|\n",
    );
    for (engine, word) in [
        (Engine::Postgresql, "PostgreSQL"),
        (Engine::Sqlite, "SQLite"),
    ] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for pair in 0..PAIRS {
            let database = fresh(world, engine, pair * 2).await;
            ours.push(projected(world, &database).await);
            let rows = database.rows().await;
            let database = fresh(world, engine, pair * 2 + 1).await;
            theirs.push(upserted(world, &database, &rows).await);
            assert_eq!(database.rows().await.jobs.len(), rows.jobs.len());
        }
        let share = median(ours.iter().zip(&theirs).map(|(own, theirs)| own / theirs));
        let (own, their) = (median(ours), median(theirs));
        eprintln!("control: {word} {own:.0} facts a second to {their:.0}, {share:.2}");
        text += &format!(
            "| {word} | {own:.0} | {their:.0} | **{:.0} %** |\n",
            share * 100.0
        );
    }
    text
}

/// A migrated, empty database.
async fn fresh(world: &World, engine: Engine, n: usize) -> Database {
    let folder = world.folder().join(format!("database-{n}"));
    std::fs::create_dir_all(&folder).unwrap();
    let database = Database::create(engine, &folder).await;
    let mut environment = world.environment();
    environment.insert("DATABASE_URL", database.url.clone());
    let said = say_in(environment, &["migrate", "up"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    database
}

async fn connect(database: &Database) -> DatabaseConnection {
    sea_orm::Database::connect(&database.url).await.unwrap()
}

/// As the service connects.
async fn connect_as_service(database: &Database) -> project::Database {
    let settings = DatabaseSettings {
        url: database.url.clone().into(),
        max_connections: DATABASE_MAX_CONNECTIONS,
    };
    project::Database::connect(&settings).await.unwrap()
}

/// Sequence of the last fact.
async fn last(world: &World) -> u64 {
    let facts = world.streams.all(topology::JOBS, subject::ALL_FACTS).await;
    facts.last().unwrap().seq
}

/// Facts a second of the projector, from its start to the last fact.
async fn projected(world: &World, database: &Database) -> f64 {
    let (last, facts) = (
        last(world).await,
        world
            .streams
            .counts(topology::JOBS, subject::ALL_FACTS)
            .await
            .len(),
    );
    let projector = Projector::new(connect_as_service(database).await, world.access().await.log);
    let (mut position, stop) = (projector.position(), CancellationToken::new());
    let begun = Instant::now();
    let running = tokio::spawn(projector.run(stop.clone()));
    position
        .wait_for(|position| position.seq >= last)
        .await
        .unwrap();
    let rate = facts as f64 / begun.elapsed().as_secs_f64();
    stop.cancel();
    running.await.unwrap();
    rate
}

/// Facts a second of the upsert.
async fn upserted(world: &World, database: &Database, rows: &Rows) -> f64 {
    let last = last(world).await;
    let jobs: BTreeMap<&str, &transcoding_jobs::Model> =
        rows.jobs.iter().map(|row| (row.id.as_str(), row)).collect();
    let files: BTreeMap<&str, &files::Model> = rows
        .files
        .iter()
        .map(|row| (row.id.as_str(), row))
        .collect();
    let db = connect(database).await;
    let begun = Instant::now();
    let stream = world.streams.js.get_stream(topology::JOBS).await.unwrap();
    let config = OrderedConfig {
        filter_subject: subject::ALL_FACTS.to_owned(),
        ..OrderedConfig::default()
    };
    let messages = stream
        .create_consumer(config)
        .await
        .unwrap()
        .messages()
        .await
        .unwrap();
    let mut batches = messages.ready_chunks(BATCH);
    let (mut facts, mut reached) = (0, 0);
    while reached < last {
        let (mut touched_jobs, mut touched_files) = (BTreeMap::new(), BTreeMap::new());
        for message in batches.next().await.unwrap() {
            let message = message.unwrap();
            let (_, kind) = subject::parse_fact(&message.subject).unwrap();
            let fact = Fact::decode(&message.subject, kind, &message.payload).unwrap();
            let (job, file) = (
                jobs[fact.head().job_id.as_str()],
                files[fact.head().file_id.as_str()],
            );
            touched_jobs.insert(job.id.as_str(), job);
            touched_files.insert(file.id.as_str(), file);
            reached = message.info().unwrap().stream_sequence;
            facts += 1;
        }
        write(
            &db,
            touched_files.into_values(),
            touched_jobs.into_values(),
            reached,
        )
        .await;
    }
    f64::from(facts) / begun.elapsed().as_secs_f64()
}

async fn write<'r>(
    db: &DatabaseConnection,
    files: impl Iterator<Item = &'r files::Model>,
    jobs: impl Iterator<Item = &'r transcoding_jobs::Model>,
    seq: u64,
) {
    let transaction = db.begin().await.unwrap();
    let upsert = OnConflict::column(files::Column::Id)
        .update_columns(files::Column::iter().filter(|column| !matches!(column, files::Column::Id)))
        .to_owned();
    files::Entity::insert_many(files.cloned().map(files::Model::into_active_model))
        .on_conflict(upsert)
        .exec_without_returning(&transaction)
        .await
        .unwrap();
    let upsert = OnConflict::column(transcoding_jobs::Column::Id)
        .update_columns(
            transcoding_jobs::Column::iter()
                .filter(|column| !matches!(column, transcoding_jobs::Column::Id)),
        )
        .to_owned();
    transcoding_jobs::Entity::insert_many(
        jobs.cloned()
            .map(transcoding_jobs::Model::into_active_model),
    )
    .on_conflict(upsert)
    .exec_without_returning(&transaction)
    .await
    .unwrap();
    let checkpoint = format!("UPDATE projection_checkpoint SET seq = {seq}");
    transaction.execute_unprepared(&checkpoint).await.unwrap();
    transaction.commit().await.unwrap();
}
