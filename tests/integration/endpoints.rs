//! Questions by request and reply, and what answers where something is missing or away.

use async_nats::Message;
use futures::StreamExt as _;
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use serde_json::{Value, json};
use streams::FactKind;

use crate::harness::clip::small;
use crate::harness::database::Engine;
use crate::harness::worker::page;
use crate::harness::world::{World, file_of, job_of};
use crate::harness::{DEADLINE, until};
use migration::testing::Cluster;

/// An answer: a body, or a code and a sentence.
type Answer = Result<Value, (u16, String)>;

async fn ask(world: &World, question: &str, body: &str) -> Answer {
    let client = world.nats.connect().await.client();
    let reply = client
        .request(format!("hls.v1.api.{question}"), body.to_owned().into())
        .await;
    answer(&reply.unwrap())
}

fn answer(reply: &Message) -> Answer {
    let header = |name| reply.headers.as_ref()?.get(name).map(ToString::to_string);
    match header("Nats-Service-Error-Code") {
        Some(code) => Err((code.parse().unwrap(), header("Nats-Service-Error").unwrap())),
        None => Ok(serde_json::from_slice(&reply.payload).unwrap()),
    }
}

async fn refused(world: &World, question: &str, body: &str) -> u16 {
    ask(world, question, body).await.unwrap_err().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_service_needs_no_database() {
    let world = World::new(Engine::Postgresql).await;
    let worker = world.worker("one").start();
    page(&worker, "/livez").await;
    let event = world.event(&small().make().await).await;
    let (job, file) = (job_of(&event), file_of(&event));
    for question in ["status", "cancel", "retry"] {
        let unknown = json!({ "job_id": job }).to_string();
        assert_eq!(refused(&world, question, &unknown).await, 404, "{question}");
        for body in ["{", "[]", "", r#"{"job_id": 7}"#, r#"{"job_id": "a b"}"#] {
            assert_eq!(
                refused(&world, question, body).await,
                400,
                "{question} {body}"
            );
        }
    }
    assert_eq!(
        refused(&world, "status", r#"{"job_id": "a", "file_id": "b"}"#).await,
        400
    );
    world.streams.upload(&event).await;
    let ended = world.completed(&job).await;
    let seq = world.streams.fact(&job, FactKind::Ended).await.seq;
    world.database.has_projected(seq).await;
    for body in [json!({ "job_id": job }), json!({ "file_id": file })] {
        let status = ask(&world, "status", &body.to_string()).await.unwrap();
        assert_eq!(
            (
                &status["job_id"],
                &status["status"],
                &status["progress"],
                &status["manifest_url"]
            ),
            (
                &json!(job),
                &json!("completed"),
                &json!(100),
                &json!(ended.manifest_url)
            ),
        );
    }
    let retry = json!({ "job_id": job, "new_job_id": "again" }).to_string();
    let retried = ask(&world, "retry", &retry).await.unwrap();
    assert_eq!(retried["job_id"], json!("again"));
    world.completed(&"again".parse().unwrap()).await;
    until("both are counted", async || {
        ask(&world, "stats", "").await.unwrap()["jobs"] == json!({ "completed": 2 })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_told_of_before_it_is_in_the_tables() {
    let world = World::new(Engine::Postgresql).await;
    let projector = world.worker("one").roles("intake,project").start();
    page(&projector, "/livez").await;
    // Rows can be read, and not be written.
    let database = sea_orm::Database::connect(&world.database.url)
        .await
        .unwrap();
    let held = database.begin().await.unwrap();
    held.execute_unprepared("LOCK TABLE transcoding_jobs IN EXCLUSIVE MODE")
        .await
        .unwrap();
    let event = world.event(&small().make().await).await;
    let job = job_of(&event);
    world.streams.upload(&event).await;
    world.streams.fact(&job, FactKind::Accepted).await;
    let status = ask(&world, "status", &json!({ "job_id": job }).to_string())
        .await
        .unwrap();
    assert_eq!(
        (&status["status"], &status["file_name"]),
        (&json!("pending"), &event["name"])
    );
    assert!(
        world.database.job(job.as_str()).await.is_none(),
        "the tables know nothing of it"
    );
    held.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_projectors_share_the_questions_and_the_one_that_stays_answers_all() {
    let world = World::new(Engine::Postgresql).await;
    let mut one = world.worker("one").roles("project").start();
    let two = world.worker("two").roles("project").start();
    for projector in [&one, &two] {
        page(projector, "/livez").await;
    }
    let client = world.nats.connect().await.client();
    until("both answer to the name of the service", async || {
        let inbox = client.new_inbox();
        let mut replies = client.subscribe(inbox.clone()).await.unwrap();
        client
            .publish_with_reply("$SRV.PING.fluxhls", inbox, "".into())
            .await
            .unwrap();
        let mut heard = 0;
        let patience = std::time::Duration::from_millis(500);
        while let Ok(Some(_)) = tokio::time::timeout(patience, replies.next()).await {
            heard += 1;
        }
        heard == 2
    })
    .await;
    let database = sea_orm::Database::connect(&world.database.url)
        .await
        .unwrap();
    let held = database.begin().await.unwrap();
    held.execute_unprepared("LOCK TABLE transcoding_jobs IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let inbox = client.new_inbox();
    let replies = client.subscribe(inbox.clone()).await.unwrap();
    for _ in 0..QUESTIONS {
        let asked = client.publish_with_reply("hls.v1.api.stats", inbox.clone(), "".into());
        asked.await.unwrap();
    }
    until("both have questions and wait for the tables", async || {
        waiting(&database).await > CONNECTIONS
    })
    .await;
    one.signal(nix::sys::signal::Signal::SIGTERM);
    held.rollback().await.unwrap();
    let answered =
        tokio::time::timeout(DEADLINE, replies.take(QUESTIONS).collect::<Vec<_>>()).await;
    for reply in answered.expect("who leaves answers what it was asked before") {
        answer(&reply).unwrap();
    }
    one.ended_within(DEADLINE).await;
    for _ in 0..20 {
        ask(&world, "stats", "").await.unwrap();
    }
}

/// More questions than two projectors work on at a time.
const QUESTIONS: usize = 60;
/// What one projector has to the database, at most.
const CONNECTIONS: i64 = 5;

/// How many connections wait for a lock of a table.
async fn waiting(database: &sea_orm::DatabaseConnection) -> i64 {
    let question = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let row = database
        .query_one_raw(sea_orm::Statement::from_string(
            database.get_database_backend(),
            question,
        ))
        .await;
    row.unwrap().unwrap().try_get_by_index(0).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_while_the_database_is_away_is_to_be_asked_again() {
    let mut cluster = Cluster::start().await;
    let world = World::on(&cluster).await;
    let worker = world.worker("one").roles("project").start();
    page(&worker, "/livez").await;
    until("it answers", async || {
        ask(&world, "stats", "").await.is_ok()
    })
    .await;
    cluster.kill().await;
    let (code, sentence) = ask(&world, "stats", "").await.unwrap_err();
    assert_eq!(code, 503, "{sentence}");
    assert!(!sentence.contains("postgres"), "{sentence}");
    cluster.restart().await;
    until("it answers again", async || {
        ask(&world, "stats", "").await.is_ok()
    })
    .await;
}
