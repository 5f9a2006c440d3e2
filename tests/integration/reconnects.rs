//! What the program does when NATS keeps silent, or has lost what it was to keep.

use std::net::SocketAddr;
use std::time::Duration;

use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream;
use jetstream::{CreateOutcome, Log, Nats, NatsSettings, OutboundMessage};
use nix::sys::signal::Signal;
use streams::task::Duty;
use streams::work::{Attempt, WorkKind};
use streams::{FactKind, JobId, TaskName, subject, topology};
use url::Url;

use crate::harness::clip::{Clip, small};
use crate::harness::database::Engine;
use crate::harness::output::http::get;
use crate::harness::output::verify;
use crate::harness::process::Process;
use crate::harness::until;
use crate::harness::wire::Wire;
use crate::harness::world::World;

async fn log_at(address: SocketAddr) -> Log {
    let settings = NatsSettings::new(format!("nats://{address}"), "test");
    Log::new(Nats::connect(&settings).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publish_whose_answer_was_lost_counts_once_even_when_the_server_has_forgotten_its_id() {
    let world = World::new(Engine::Sqlite).await;
    let mut work = world.streams.js.get_stream(topology::WORK).await.unwrap();
    let config = stream::Config {
        duplicate_window: Duration::from_secs(1),
        ..work.info().await.unwrap().config.clone()
    };
    world.streams.js.update_stream(config).await.unwrap();
    let job: JobId = "ghost".parse().unwrap();
    let of = |kind, task| subject::work(&job, kind, task);
    let count = async |subject: &str| {
        let counts = world.streams.counts(topology::WORK, subject).await;
        counts.values().sum::<u64>()
    };
    let (attempt, done) = (
        of(WorkKind::Attempt, TaskName::PLAN),
        of(WorkKind::Done, TaskName::PLAN),
    );

    let wire = Wire::to(world.nats.address()).await;
    let log = log_at(wire.address()).await;
    // The start of another worker already exists, so that this one is not the only one.
    let others = OutboundMessage::json(attempt.clone(), "{}").with_id("theirs");
    log.append(topology::WORK, others).await.unwrap();
    wire.loses_answers(true);
    let appended = OutboundMessage::json(attempt.clone(), "{}").with_id("ours");
    let (log, again) = (log.clone(), log);
    let appending = tokio::spawn(async move { log.append(topology::WORK, appended).await });
    let created = OutboundMessage::json(done.clone(), "{}");
    let creating = tokio::spawn(async move { again.create(topology::WORK, created).await });
    until("both have landed", async || {
        count(&attempt).await == 2 && count(&done).await == 1
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    wire.loses_answers(false);

    let seq = appending.await.unwrap().unwrap();
    assert_eq!(count(&attempt).await, 2, "no second copy");
    let last = world
        .streams
        .all(topology::WORK, &attempt)
        .await
        .pop()
        .unwrap();
    assert_eq!((last.seq, last.header("Nats-Msg-Id")), (seq, "ours"));
    let ours = creating.await.unwrap().unwrap();
    assert!(matches!(ours, CreateOutcome::Created(_)), "{ours:?}");
    assert_eq!(count(&done).await, 1);
    // The server itself would have taken it twice.
    let copy = PublishMessage::build()
        .message_id("ours")
        .payload("{}".into());
    world.streams.send(&attempt, copy).await;
    assert_eq!(count(&attempt).await, 3);
}

fn is_chunk(attempt: &Attempt) -> bool {
    matches!(attempt.task.duty, Duty::Video(_))
}

async fn has_ended_once(world: &World, job: &JobId, clip: &Clip) {
    let ended = world.completed(job).await;
    verify(&ended, &world.planned(job).await, &clip.path).await;
    for fact in [
        FactKind::Accepted,
        FactKind::Planned,
        FactKind::Verdict,
        FactKind::Ended,
    ] {
        assert_eq!(world.facts(job).await[&fact], 1, "{fact:?}");
    }
    world.queue_is_empty().await;
}

/// The readiness URL of a worker.
async fn readiness(worker: &Process) -> Url {
    let address = || {
        Some(
            worker
                .said()
                .split("address=")
                .nth(1)?
                .split_whitespace()
                .next()?
                .to_owned(),
        )
    };
    until("the worker names its address", async || address().is_some()).await;
    format!("http://{}/readyz", address().unwrap())
        .parse()
        .unwrap()
}

async fn reads(url: &Url, status: u16, words: &str) {
    until(
        &format!("{url} answers {status} with {words:?}"),
        async || {
            let answer = get(url).await;
            answer.status == status && String::from_utf8_lossy(&answer.body).contains(words)
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_and_the_queue_may_be_deleted_under_a_running_task_and_provisioned_again() {
    let world = World::bare(Engine::Sqlite).await;
    assert_eq!(world.say(&["migrate", "up"]).await.code, Some(0));
    let worker = world.worker("one").start();
    let ready = readiness(&worker).await;
    reads(&ready, 503, "run `fluxhls provision`").await;
    assert_eq!(world.say(&["provision"]).await.code, Some(0));
    reads(&ready, 200, "ready").await;

    let clip = small().make().await;
    let job = world.submit(&clip).await;
    let first = world.started(&job, is_chunk).await;
    let queue = world.streams.js.get_stream(topology::TASKS).await.unwrap();
    for durable in ["encode-hi", "encode-lo", "tracks", "package"] {
        queue.delete_consumer(durable).await.unwrap();
    }
    reads(&ready, 503, "consumer encode-lo of HLS_TASKS").await;
    assert_eq!(world.say(&["provision"]).await.code, Some(0));
    reads(&ready, 200, "ready").await;

    world
        .started(&job, |attempt| {
            is_chunk(attempt) && attempt.task != first.task
        })
        .await;
    world
        .streams
        .js
        .delete_stream(topology::TASKS)
        .await
        .unwrap();
    reads(&ready, 503, "HLS_TASKS").await;
    assert_eq!(world.say(&["provision"]).await.code, Some(0));
    has_ended_once(&world, &job, &clip).await;
    let starts = world.starts(&job).await;
    assert!(starts.values().all(|starts| *starts <= 3), "{starts:?}");
    // Each lane says once for each loss that it finds nothing, not each second.
    let complaints = worker.said().matches("nothing can be pulled").count();
    assert!(complaints <= 12, "{complaints} complaints");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_frozen_for_longer_than_anybody_waits_wakes_up_and_the_job_goes_on() {
    let world = World::new(Engine::Sqlite).await;
    let clip = small().make().await;
    let _worker = world.worker("one").start();
    let job = world.submit(&clip).await;
    world.started(&job, is_chunk).await;
    world.nats.signal(Signal::SIGSTOP);
    // Two pings go unanswered: what the client sent since then has been sent again, on a new
    // connection.
    tokio::time::sleep(Duration::from_secs(25)).await;
    world.nats.signal(Signal::SIGCONT);
    has_ended_once(&world, &job, &clip).await;
    let starts = world.starts(&job).await;
    assert!(starts.values().all(|starts| *starts <= 2), "{starts:?}");
}
