//! What a newer release writes is left alone by an older one: never acknowledged, dropped or
//! skipped, and readiness says what it needs.

use async_nats::jetstream::consumer::pull;
use serde_json::json;
use streams::fact::Outcome;
use streams::{FactKind, JobId, subject, topology};

use crate::harness::clip::moving;
use crate::harness::database::Engine;
use crate::harness::process::Process;
use crate::harness::until;
use crate::harness::worker::readiness;
use crate::harness::world::World;

/// Waits until a process is not ready for this message.
async fn leaves_to_a_newer_one(worker: &Process, what: &str) {
    let sentence = format!("{what} needs a newer fluxhls");
    until(&format!("readiness says that {sentence}"), async || {
        let ready = readiness(worker).await;
        ready.status == 503 && String::from_utf8_lossy(&ready.body).contains(&sentence)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_a_subject_that_is_not_known_stays_in_its_stream() {
    let world = World::new(Engine::Sqlite).await;
    let worker = world.worker("one").roles("intake").start();
    // A newer release takes one more kind of event into the stream. The durable consumer of this
    // one goes past it.
    let mut uploads = world
        .streams
        .js
        .get_stream(topology::UPLOADS)
        .await
        .unwrap();
    let mut config = uploads.info().await.unwrap().config.clone();
    config.subjects.push("hls.v1.amend".to_owned());
    world.streams.js.update_stream(config).await.unwrap();
    let amend = async || {
        world
            .streams
            .publish("hls.v1.amend", r#"{"file_id":"f1"}"#)
            .await
    };
    amend().await;
    let malformed = world.streams.publish(subject::UPLOAD, "not JSON").await;
    world.taken_in(malformed).await;
    until("the process is ready: it never saw it", async || {
        readiness(&worker).await.status == 200
    })
    .await;

    // Then it has its own processes take both kinds, while this one still runs.
    let intake = topology::durables(&topology::Sizing::default())
        .into_iter()
        .find(|durable| durable.stream == topology::UPLOADS);
    let wider = pull::Config {
        filter_subjects: vec!["hls.v1.*".to_owned()],
        ..intake.unwrap().config
    };
    uploads.create_consumer(wider).await.unwrap();
    let seq = amend().await;
    leaves_to_a_newer_one(&worker, "hls.v1.amend").await;
    let info = uploads.consumer_info(topology::INTAKE).await.unwrap();
    assert!(
        info.num_ack_pending >= 1,
        "{seq} is not acknowledged: {info:?}"
    );
    assert_eq!(world.jobs().await, []);
    assert_eq!(
        world
            .streams
            .counts(topology::DEAD, subject::ALL_DEAD)
            .await
            .len(),
        1,
        "the malformed one"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_is_not_known_stays_on_the_queue() {
    let world = World::new(Engine::Sqlite).await;
    let worker = world.worker("one").start();
    let of_newer = [
        "hls.v1.task.encode.lo.j1.s0",
        "hls.v1.task.plan.low.j1.plan",
        "hls.v1.task.package.lo.j1.v0",
    ];
    for subject in of_newer {
        world.streams.publish(subject, "{}").await;
    }
    for subject in of_newer {
        leaves_to_a_newer_one(&worker, subject).await;
    }
    assert_eq!(
        world
            .streams
            .counts(topology::TASKS, subject::ALL_TASKS)
            .await
            .len(),
        3
    );
    // The worker is good for everything else.
    let job = world.submit(&moving("320x180", 2.0).make().await).await;
    world.completed(&job).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_with_a_word_that_is_not_known_is_left_alone_and_the_tables_wait_before_it() {
    let world = World::new(Engine::Postgresql).await;
    let event = world.event(&moving("320x180", 2.0).make().await).await;
    let job = world.plan_alone(&event).await;
    let queued = world
        .streams
        .counts(topology::TASKS, subject::ALL_TASKS)
        .await;
    // The tables follow the log before it holds anything newer: a first projection of all of it
    // refuses to begin.
    let mut projector = world.worker("projector").roles("project").start();
    let planned = world.streams.fact(&job, FactKind::Planned).await;
    world.database.has_projected(planned.seq).await;
    projector.kill().await;
    let verdict = subject::fact(&job, FactKind::Verdict);
    let body = json!({
        "v": 1, "job_id": job, "file_id": event["file_id"], "at": "2026-11-22T10:00:00Z", "outcome": "amend", "error": null
    });
    world.streams.publish(&verdict, body.to_string()).await;

    let worker = world.worker("one").start();
    leaves_to_a_newer_one(&worker, &verdict).await;
    assert_eq!(
        world
            .streams
            .counts(topology::TASKS, subject::ALL_TASKS)
            .await,
        queued
    );
    assert_eq!(world.facts(&job).await.get(&FactKind::Ended), None);
    let canceled = world.say(&["jobs", "cancel", job.as_str()]).await;
    assert!(
        canceled.code == Some(1) && canceled.err.contains("needs a newer fluxhls"),
        "{canceled:?}"
    );

    // Other jobs continue in the log; the tables stop before the fact, and skip none.
    let other = world.submit(&moving("320x180", 2.0).make().await).await;
    let ended: streams::fact::Ended =
        serde_json::from_slice(&world.streams.fact(&other, FactKind::Ended).await.payload).unwrap();
    assert_eq!(ended.outcome, Outcome::Completed);
    let row = world
        .database
        .job(job.as_str())
        .await
        .expect("what is before it is there");
    assert_eq!(row.status.as_deref(), Some("processing"));
    assert_eq!(world.database.job(other.as_str()).await, None);
    assert_eq!(
        world
            .streams
            .counts(topology::DEAD, subject::ALL_DEAD)
            .await
            .len(),
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_with_a_broken_fact_ends_as_failed_with_a_dead_letter() {
    for kind in [FactKind::Accepted, FactKind::Planned, FactKind::Verdict] {
        let world = World::new(Engine::Sqlite).await;
        let mut event = world.event(&moving("320x180", 2.0).make().await).await;
        let job: JobId = crate::harness::world::job_of(&event);
        if kind == FactKind::Accepted {
            world
                .streams
                .publish(&subject::fact(&job, kind), r#"{"v":1}"#)
                .await;
        } else {
            // Whatever comes of it before, it is not planned.
            event["file_url"] = json!("s3://media/uploads/missing.mp4");
            world
                .streams
                .publish(&subject::fact(&job, kind), r#"{"v":1}"#)
                .await;
        }
        world.streams.upload(&event).await;
        let _worker = world.worker("one").start();

        let ended: streams::fact::Ended =
            serde_json::from_slice(&world.streams.fact(&job, FactKind::Ended).await.payload)
                .unwrap();
        let error = ended.error.expect("it failed");
        assert_eq!(
            (ended.outcome, error.code),
            (Outcome::Failed, streams::Code::Internal),
            "{kind:?}"
        );
        assert!(error.message.contains("is broken"), "{}", error.message);
        let filter = format!("hls.v1.dead.plan.{job}.>");
        let letter = world.streams.first(topology::DEAD, &filter, |_| true).await;
        assert_eq!(letter.payload, r#"{"v":1}"#, "{kind:?}");
        world.queue_is_empty().await;
    }
}
