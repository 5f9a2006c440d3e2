//! One upload, one job: however often and by whomever its event is sent.

use async_nats::jetstream::message::PublishMessage;
use serde_json::{Value, json};
use streams::{FactKind, subject};

use crate::harness::clip::{Clip, moving};
use crate::harness::database::Engine;
use crate::harness::world::{World, file_of, job_of};

async fn small() -> Clip {
    moving("320x180", 2.0).make().await
}

/// Sends the event five times under one id, which the server itself drops, and once without, as
/// after the window.
async fn send_six_times(world: &World, event: &Value) -> u64 {
    let body = event.to_string();
    for _ in 0..5 {
        let message = PublishMessage::build()
            .payload(body.clone().into())
            .message_id("the same");
        world.streams.send(subject::UPLOAD, message).await;
    }
    let last = world.streams.publish(subject::UPLOAD, body).await;
    world.taken_in(last).await;
    last
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_sent_six_times_is_one_job() {
    let world = World::new(Engine::Sqlite).await;
    let event = world.event(&small().await).await;
    let job = job_of(&event);
    let _worker = world.worker("one").start();
    send_six_times(&world, &event).await;
    world.completed(&job).await;
    let late = world.streams.upload(&event).await;
    world.taken_in(late).await;
    assert_eq!(world.jobs().await, std::slice::from_ref(&job));
    assert_eq!(world.facts(&job).await[&FactKind::Ended], 1);
    assert!(world.starts(&job).await.values().all(|starts| *starts == 1));
    assert_eq!(world.database.rows().await.jobs.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_without_a_job_id_is_one_job_too() {
    let world = World::new(Engine::Sqlite).await;
    let mut event = world.event(&small().await).await;
    event.as_object_mut().unwrap().remove("job_id");
    let _worker = world.worker("one").start();
    send_six_times(&world, &event).await;
    let jobs = world.jobs().await;
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    world.completed(&jobs[0]).await;
    assert_eq!(
        world.accepted(&jobs[0]).await.head.file_id.as_str(),
        file_of(&event)
    );

    event["job_id"] = json!("another-job-please");
    world.streams.upload(&event).await;
    let ended = world.completed(&job_of(&event)).await;
    assert_ne!(ended.head.job_id, jobs[0], "a new job id is a new job");
    assert_eq!(world.database.rows().await.jobs.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloud_event_is_known_by_its_source_and_id() {
    let world = World::new(Engine::Sqlite).await;
    let mut event = world.event(&small().await).await;
    event.as_object_mut().unwrap().remove("job_id");
    let binary = PublishMessage::build()
        .payload(event.to_string().into())
        .header("ce-specversion", "1.0")
        .header("ce-type", "hls.v1.upload")
        .header("ce-source", "/api")
        .header("ce-id", "7")
        .header(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        );
    let structured = json!({
        "specversion": "1.0", "type": "hls.v1.upload", "source": "/api", "id": "7", "datacontenttype": "application/json", "data": event,
    });
    let structured = PublishMessage::build()
        .payload(structured.to_string().into())
        .header("Content-Type", "application/cloudevents+json");
    let _worker = world.worker("one").start();
    // One after the other: of two at once either may be the first, and the first one's trace is the
    // job's.
    for event in [binary, structured] {
        let sent = world.streams.send(subject::UPLOAD, event).await;
        world.taken_in(sent).await;
    }
    let jobs = world.jobs().await;
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    world.completed(&jobs[0]).await;
    let ended = world.streams.fact(&jobs[0], FactKind::Ended).await;
    assert!(
        ended
            .header("traceparent")
            .contains("0af7651916cd43dd8448eb211c80319c")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_event_that_breaks_a_rule_leaves_its_job_alone() {
    let world = World::new(Engine::Sqlite).await;
    let event = world.event(&small().await).await;
    let job = job_of(&event);
    // Intake alone first, so that the job is still open when the other events come.
    let intake = world.worker("intake").roles("intake").start();
    let seq = world.streams.upload(&event).await;
    world.taken_in(seq).await;
    for (field, value) in [
        ("settings", json!({ "priority": "now" })),
        ("file_url", json!("https://example.com/a.mp4")),
    ] {
        let mut other = event.clone();
        other[field] = value;
        let seq = world.streams.upload(&other).await;
        world.taken_in(seq).await;
    }
    drop(intake);
    let _worker = world.worker("one").start();
    world.completed(&job).await;
}
