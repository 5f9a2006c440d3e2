//! What cannot even become a job is kept, whole, with the reason.

use async_nats::jetstream::message::PublishMessage;
use serde_json::json;
use streams::{Code, Lane, TaskKey, TaskName, dead, subject, topology};

use crate::harness::clip::{Clip, moving};
use crate::harness::database::Engine;
use crate::harness::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_event_is_kept_with_its_bytes_and_the_reason() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").roles("intake").start();
    let bodies: [&[u8]; 4] = [
        b"not JSON \xff\x00 at all",
        br#"{"name":"a.mp4"}"#,
        br#"{"file_id":"../etc","name":"a"}"#,
        br#"{"file_id":"f1","job_id":"a b"}"#,
    ];
    for body in bodies {
        let seq = world
            .streams
            .send(subject::UPLOAD, PublishMessage::build().payload(body.to_vec().into()))
            .await;
        let letter = world
            .streams
            .first(topology::DEAD, &subject::dead_message("upload", seq), |_| true)
            .await;
        assert_eq!(letter.payload, body, "the original bytes");
        assert_eq!(letter.header(dead::ORIGIN_STREAM), topology::UPLOADS);
        assert_eq!(letter.header(dead::ORIGIN_SEQ), seq.to_string());
        assert_eq!(letter.header(dead::CODE), Code::InvalidEvent.as_str());
        assert!(!letter.header(dead::REASON).is_empty());
    }
    assert_eq!(world.jobs().await, [], "no facts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_job_id_of_another_file_is_a_dead_letter_and_leaves_that_job_alone() {
    let world = World::new(Engine::Postgresql).await;
    let _worker = world.worker("one").start();
    let clip = moving("320x180", 2.0).make().await;
    let event = world.event(&clip).await;
    world.streams.upload(&event).await;
    let mut thief = event.clone();
    thief["file_id"] = json!("another-file");
    let job = crate::harness::world::job_of(&event);
    world.completed(&job).await;
    let seq = world.streams.upload(&thief).await;
    let letter = world
        .streams
        .first(topology::DEAD, &subject::dead_message("upload", seq), |_| true)
        .await;
    assert_eq!(letter.json(), thief);
    assert!(letter.header(dead::REASON).contains(job.as_str()));
    assert_eq!(world.database.file("another-file").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_fails_for_good_leaves_what_an_operator_needs() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").start();
    let clip = Clip::of_bytes(
        world.folder(),
        "notes.mp4",
        "words, words, words\n".repeat(1000).as_bytes(),
    );
    let job = world.submit(&clip).await;
    world.ended(&job).await;
    let key = TaskKey::new(job.clone(), TaskName::PLAN, Lane::Lo);
    let letter = world
        .streams
        .first(topology::DEAD, &subject::dead_task(&key), |_| true)
        .await;
    assert_eq!(letter.header(dead::CODE), Code::NotMedia.as_str());
    assert_eq!(letter.header(dead::ORIGIN_STREAM), topology::TASKS);
    let report: dead::TaskReport = serde_json::from_str(letter.header(dead::REPORT)).unwrap();
    assert_eq!((report.key, report.error.code), (key, Code::NotMedia));
}
