//! A panic is a bug in fluxhls: it is reported as one, ends what it concerns, and the worker
//! continues with the rest.

use serde_json::json;
use streams::fact::Outcome;
use streams::{Code, dead, subject, topology};

use crate::harness::clip::{Clip, moving};
use crate::harness::database::Engine;
use crate::harness::world::{World, job_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_whose_intake_panics_is_a_dead_letter() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").panics_at("intake.resolved").start();
    let event = world.event(&moving("320x180", 3.0).make().await).await;
    let seq = world.streams.upload(&event).await;
    world.taken_in(seq).await;

    let letters = world
        .streams
        .all(topology::DEAD, &subject::dead_message("upload", seq))
        .await;
    let [letter] = &letters[..] else {
        panic!("{} dead letters", letters.len());
    };
    assert_eq!(letter.header(dead::CODE), Code::Internal.as_str());
    let reason = letter.header(dead::REASON);
    assert!(reason.contains("panicking at intake.resolved"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_whose_work_panics_fails_its_job_after_its_attempts_and_the_worker_goes_on() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").panics_at("encode.ffmpeg").start();
    let mut event = world
        .event(&moving("320x180", 3.0).silent().make().await)
        .await;
    event["settings"] = json!({ "max_attempts": 2 });
    world.streams.upload(&event).await;

    let ended = world.ended(&job_of(&event)).await;
    let error = ended.error.expect("it failed");
    assert_eq!(
        (ended.outcome, error.code),
        (Outcome::Failed, Code::TooManyAttempts)
    );
    let last = "the last time with internal: The work panicked: panicking at encode.ffmpeg";
    assert!(error.message.contains(last), "{}", error.message);

    let rubbish = Clip::of_bytes(
        world.folder(),
        "notes.mp4",
        &b"words, words, words\n".repeat(1000),
    );
    let job = world.submit(&rubbish).await;
    assert_eq!(world.ended(&job).await.error.unwrap().code, Code::NotMedia);
}
