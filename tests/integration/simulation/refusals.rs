//! Whatever message the server never accepts, every event ends or is a dead letter, and nothing is
//! retried forever.
//!
//! Each kind of message is refused in turn, in worlds in which nothing else goes wrong.

use jetstream::StoredMessage;
use jetstream::testing::model::Refusal;
use storage::testing::TestS3;
use streams::work::WorkKind;
use streams::{FactKind, subject, topology};
use strum::VariantArray as _;

use super::world::World;

/// Worlds for each kind of message.
const SEEDS: u64 = 12;

/// Messages of the log and the queue that are neither facts nor work. Without dead letters nothing
/// can be kept.
const OTHERS: [&str; 6] = [
    ".job.",
    ".source.",
    ".source.file.",
    ".source.deleted.",
    ".current.",
    ".task.",
];

/// A part of the subject of each kind of message that a job has.
fn kinds() -> Vec<String> {
    let facts = FactKind::VARIANTS
        .iter()
        .map(|kind| format!(".{}", kind.as_str()));
    let work = WorkKind::VARIANTS
        .iter()
        .map(|kind| format!(".{}.", kind.as_str()));
    let others = OTHERS.iter().map(|part| (*part).to_owned());
    facts.chain(work).chain(others).collect()
}

/// Events without their end: what they ask for is neither done nor kept.
fn forgotten(world: &World) -> Vec<String> {
    let letters = world.model.messages(topology::DEAD);
    let log = world.model.messages(topology::JOBS);
    let is_there = |subject: &str| log.iter().any(|message| message.subject == subject);
    let mut forgotten = Vec::new();
    for event in world.model.messages(topology::UPLOADS) {
        let body: serde_json::Value = serde_json::from_slice(&event.payload).unwrap();
        let stage = if event.subject == subject::DELETE {
            "delete"
        } else {
            "upload"
        };
        let file = body["file_id"].as_str().unwrap();
        let has_letter = letters
            .iter()
            .any(|letter| letter.subject == subject::dead_message(stage, event.seq));
        let tells = |message: &&StoredMessage| {
            let body: serde_json::Value =
                serde_json::from_slice(&message.payload).unwrap_or_default();
            body["file_id"] == file && message.subject.ends_with(".accepted")
        };
        let mut jobs = log
            .iter()
            .filter(tells)
            .map(|message| message.subject.split('.').nth(3).unwrap());
        let is_kept = |job: &str| {
            is_there(&format!("hls.v1.job.{job}.ended"))
                || letters
                    .iter()
                    .any(|letter| letter.subject.contains(&format!(".{job}.")))
        };
        let is_done = match stage {
            "delete" => is_there(&format!("hls.v1.source.deleted.{file}")),
            _ => jobs.any(is_kept),
        };
        if !has_letter && !is_done {
            forgotten.push(format!("{stage} event {} of file {file}", event.seq));
        }
    }
    forgotten
}

/// Lets worlds come to rest in which such messages are refused.
async fn refuse(refusal: Refusal) {
    let s3 = TestS3::start().await;
    let bucket = s3.bucket().await;
    for seed in 0..SEEDS {
        let mut world = World::new(seed, bucket.clone());
        world.model.refuse(refusal.clone());
        let rests = world.rest().await;
        let forgotten = forgotten(&world);
        assert!(
            rests && forgotten.is_empty(),
            "{refusal:?}, seed {seed}: at rest: {rests}, forgotten: {forgotten:#?}\nthe log:\n{}",
            world.log()
        );
    }
}

#[tokio::test]
async fn whatever_message_the_server_refuses_every_event_ends_or_is_a_dead_letter() {
    for subject in kinds() {
        refuse(Refusal {
            subject,
            longer_than: 0,
        })
        .await;
    }
}

#[tokio::test]
async fn messages_over_the_limit_of_the_server_end_in_a_failure_or_a_dead_letter() {
    for longer_than in [100, 300, 600, 900] {
        refuse(Refusal {
            subject: "hls.v1.job.".to_owned(),
            longer_than,
        })
        .await;
    }
}
