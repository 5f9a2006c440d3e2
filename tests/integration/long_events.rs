//! A server that takes shorter messages than fluxhls needs: nothing that it acknowledged is
//! forgotten.

use serde_json::{Value, json};
use streams::fact::Outcome;
use streams::{Code, dead, subject, topology};

use crate::harness::clip::moving;
use crate::harness::database::Engine;
use crate::harness::until;
use crate::harness::worker::readiness;
use crate::harness::world::{World, job_of};

/// Far below the 512 KiB that fluxhls needs.
const SHORT: &str = "max_payload: 64KB";

/// An event of exactly this many bytes.
fn padded(event: &Value, bytes: usize) -> Value {
    let mut event = event.clone();
    event["metadata"] = json!({ "pad": "" });
    let pad = bytes - event.to_string().len();
    event["metadata"]["pad"] = json!("x".repeat(pad));
    event
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_too_long_to_be_told_on_fails_and_is_kept_as_far_as_it_fits() {
    let mut world = World::new(Engine::Sqlite).await;
    world.nats.reconfigure(SHORT).await;
    let worker = world.worker("one").start();
    let clip = moving("320x180", 2.0).make().await;
    let short = padded(&world.event(&clip).await, 20_000);
    world.streams.upload(&short).await;

    let mut letters = 0;
    // The last one is all that the server takes: nothing can be added to it.
    for bytes in [65_000, 65_300, 65_536] {
        let event = padded(&world.event(&clip).await, bytes);
        let seq = world.streams.upload(&event).await;
        world.taken_in(seq).await;
        let ended = world.ended(&job_of(&event)).await;
        let error = ended.error.expect("it failed");
        assert_eq!(
            (ended.outcome, error.code),
            (Outcome::Failed, Code::InvalidEvent)
        );
        assert!(error.message.contains("max_payload"), "{}", error.message);
        let accepted = world.accepted(&job_of(&event)).await;
        assert_eq!(accepted.upload.metadata, json!({}));

        let letter = dead_letter(&world, seq).await;
        assert!(
            event.to_string().as_bytes().starts_with(&letter.payload)
                && letter.payload.len() > 60_000
        );
        assert_eq!(letter.header(dead::TRUNCATED), bytes.to_string());
        letters += 1;
    }
    world.completed(&job_of(&short)).await;
    assert_eq!(
        world
            .streams
            .counts(topology::DEAD, subject::ALL_DEAD)
            .await
            .len(),
        letters
    );

    until("readiness names the setting", async || {
        let ready = readiness(&worker).await;
        ready.status == 503 && String::from_utf8_lossy(&ready.body).contains("max_payload: 524288")
    })
    .await;
    let said = world.say(&["provision"]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("max_payload: 524288"), "{said:?}");
    let said = world.say(&["doctor"]).await;
    assert!(said.out.contains("max_payload: 524288"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_event_as_long_as_a_message_may_be_is_kept_as_far_as_it_fits() {
    let mut world = World::new(Engine::Sqlite).await;
    world.nats.reconfigure(SHORT).await;
    let _worker = world.worker("one").roles("intake").start();
    for body in [vec![b'x'; 65_536], vec![b'x'; 64_000], vec![b'x'; 10]] {
        let seq = world.streams.publish(subject::UPLOAD, body.clone()).await;
        let letter = dead_letter(&world, seq).await;
        assert!(
            body.starts_with(&letter.payload) && letter.payload.len() > body.len().min(60_000) - 1
        );
        let full = letter
            .headers
            .get(dead::TRUNCATED)
            .map(|full| full.as_str().to_owned());
        assert_eq!(
            full,
            (letter.payload.len() < body.len()).then(|| body.len().to_string())
        );
        world.taken_in(seq).await;
    }
}

async fn dead_letter(world: &World, seq: u64) -> crate::harness::streams::Message {
    let subject = subject::dead_message("upload", seq);
    world
        .streams
        .first(topology::DEAD, &subject, |_| true)
        .await
}
