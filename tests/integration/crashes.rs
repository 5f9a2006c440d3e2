//! A process dies after each single step of each handler; another one takes over, and the job ends
//! once.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use storage::ObjectKind;
use streams::fact::Outcome;
use streams::work::WorkKind;
use streams::{FactKind, JobId, subject, topology};

use crate::harness::clip::{Clip, make, moving};
use crate::harness::database::Engine;
use crate::harness::output::verify;
use crate::harness::sources::sources;
use crate::harness::world::{World, file_of, job_of};

/// How many deaths are tried at the same time: they are mostly waiting.
const AT_ONCE: usize = 6;

/// A way to bring a process to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    /// A silent video becomes HLS.
    Video,
    /// An audio file becomes HLS.
    Sound,
    /// What was uploaded is no media.
    Rubbish,
    /// The event names a source no one may read.
    Forbidden,
    /// The event names no file.
    Malformed,
    /// A segment is damaged in the bucket before it is checked.
    Damaged,
    /// The file of a job that waits is deleted.
    Deleted,
    /// A file is deleted whose output is public.
    Unpublished,
}

/// The steps that a role takes in a story, in their order.
const STEPS: &[(&str, Story, &[&str])] = &[
    (
        "intake",
        Story::Video,
        &[
            "intake.resolved",
            "intake.indexed",
            "intake.accepted",
            "intake.queued",
        ],
    ),
    (
        "intake",
        Story::Deleted,
        &[
            "delete.tombstone",
            "delete.ended",
            "delete.removed",
            "delete.pruned",
            "delete.forgotten",
            "delete.done",
        ],
    ),
    ("intake", Story::Unpublished, &["delete.retired"]),
    ("intake", Story::Malformed, &["intake.buried"]),
    (
        "intake",
        Story::Forbidden,
        &["verdict.published", "verdict.executed", "verdict.ended"],
    ),
    (
        "plan",
        Story::Video,
        &[
            "step.read",
            "step.attempt",
            "plan.probed",
            "plan.copied",
            "step.worked",
            "step.published",
            "step.advanced",
        ],
    ),
    (
        "plan",
        Story::Rubbish,
        &[
            "step.worked",
            "step.dead",
            "verdict.published",
            "verdict.executed",
            "verdict.ended",
        ],
    ),
    (
        "encode",
        Story::Video,
        &[
            "step.read",
            "step.attempt",
            "encode.closed",
            "encode.ffmpeg",
            "encode.uploaded",
            "encode.verified",
            "step.worked",
            "step.published",
            "step.advanced",
        ],
    ),
    (
        "encode",
        Story::Sound,
        &[
            "step.attempt",
            "encode.part",
            "encode.ffmpeg",
            "encode.uploaded",
            "step.published",
            "step.advanced",
        ],
    ),
    (
        "package",
        Story::Video,
        &[
            "step.read",
            "step.attempt",
            "package.checked",
            "package.playlists",
            "package.receipt",
            "step.worked",
            "verdict.published",
            "commit.current",
            "commit.master",
            "verdict.executed",
            "verdict.ended",
        ],
    ),
    (
        "package",
        Story::Sound,
        &["playlist.read", "playlist.written"],
    ),
    ("package", Story::Damaged, &["step.redo"]),
];

#[test]
fn every_step_at_which_a_process_can_die_is_tried() {
    let mut named = BTreeSet::new();
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = std::fs::read_to_string(file).unwrap();
        let points = text
            .split("crash::point(\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next());
        named.extend(points.map(str::to_owned));
    }
    let tried: BTreeSet<String> = STEPS
        .iter()
        .flat_map(|(_, _, steps)| *steps)
        .map(|step| (*step).to_owned())
        .collect();
    assert_eq!(named, tried);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_ends_once_wherever_its_intake_dies() {
    die_everywhere("intake").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_ends_once_wherever_its_planner_dies() {
    die_everywhere("plan").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_ends_once_wherever_its_encoder_dies() {
    die_everywhere("encode").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_ends_once_wherever_its_packager_dies() {
    die_everywhere("package").await;
}

async fn die_everywhere(role: &'static str) {
    let deaths = STEPS
        .iter()
        .filter(|(whose, ..)| *whose == role)
        .flat_map(|(_, story, steps)| steps.iter().map(|step| (*story, *step)));
    futures::stream::iter(deaths)
        .for_each_concurrent(AT_ONCE, |(story, step)| die(role, story, step))
        .await;
}

/// Runs a story in which the process with `role` dies at `step` and another takes over.
async fn die(role: &'static str, story: Story, step: &'static str) {
    let world = World::new(Engine::Sqlite).await;
    world
        .redeliver_after(topology::HEARTBEAT + Duration::from_secs(3))
        .await;
    let clip = story.clip(&world).await;
    let event = story.event(&world, &clip).await;
    let others: Vec<_> = ["intake", "plan", "encode", "package", "project"]
        .into_iter()
        .filter(|other| *other != role && (story != Story::Deleted || *other == "project"))
        .collect();
    let others = others.join(",");
    let _others = world.worker("others").roles(&others).start();
    if story == Story::Damaged {
        // The packager comes only when there is something damaged to check.
        let seq = world.streams.upload(&event).await;
        world.taken_in(seq).await;
        damage(&world, &event).await;
    }
    let mut target = world.worker("target").roles(role).dies_at(step).start();
    let seq = if story == Story::Damaged {
        0
    } else {
        world.streams.upload(&event).await
    };
    if matches!(story, Story::Deleted | Story::Unpublished) {
        delete(&world, story, &event).await;
    }
    let status = target.ended_within(crate::harness::DEADLINE).await;
    assert_eq!(
        status.signal(),
        Some(Signal::SIGABRT as i32),
        "{role} dies at {step}: {status}"
    );
    let _successor = world.worker("successor").roles(role).start();
    if story == Story::Malformed {
        return is_buried(&world, seq, step).await;
    }
    let job = job_of(&event);
    let ended = world.ended(&job).await;
    assert_eq!(
        ended.outcome,
        story.outcome(),
        "after {step}: {:?}",
        ended.error
    );
    if matches!(story, Story::Deleted | Story::Unpublished) {
        return is_gone(&world, &job, seq + 1, step).await;
    }
    if ended.outcome == Outcome::Completed {
        verify(&ended, &world.planned(&job).await, &clip.path).await;
    }
    // The task is done with only when the successor has acknowledged it too.
    world.queue_is_empty().await;
    for (fact, count) in world.facts(&job).await {
        assert_eq!(count, 1, "{fact:?} after {step}");
    }
    assert_eq!(world.jobs().await.len(), 1);
}

impl Story {
    async fn clip(self, world: &World) -> Clip {
        match self {
            Self::Sound => {
                let noise = [
                    "-f",
                    "lavfi",
                    "-i",
                    "anoisesrc=color=pink:seed=7:amplitude=0.4:duration=6",
                    "-c:a",
                    "aac",
                ];
                make(&noise.map(str::to_owned), "m4a").await
            }
            Self::Rubbish => Clip::of_bytes(
                world.folder(),
                "notes.mp4",
                "words, words, words\n".repeat(1000).as_bytes(),
            ),
            _ => moving("320x180", 6.0).silent().make().await,
        }
    }

    async fn event(self, world: &World, clip: &Clip) -> Value {
        let mut event = world.event(clip).await;
        match self {
            Self::Forbidden => event["file_url"] = json!("https://example.com/private.mp4"),
            Self::Malformed => event["file_id"] = json!("no/file"),
            _ => {}
        }
        event
    }

    const fn outcome(self) -> Outcome {
        match self {
            Self::Rubbish | Self::Forbidden | Self::Malformed => Outcome::Failed,
            Self::Deleted => Outcome::Canceled,
            Self::Video | Self::Sound | Self::Damaged | Self::Unpublished => Outcome::Completed,
        }
    }
}

/// Waits until the event is processed, and checks that it is one dead letter.
async fn is_buried(world: &World, seq: u64, step: &str) {
    world.taken_in(seq).await;
    let subject = subject::dead_message("upload", seq);
    let letters = world.streams.all(topology::DEAD, &subject).await;
    assert_eq!(letters.len(), 1, "one dead letter after {step}");
}

/// Waits until the delete event is carried out, and sees that nothing is left.
async fn is_gone(world: &World, job: &JobId, seq: u64, step: &str) {
    world.taken_in(seq).await;
    assert_eq!(world.keys("hls/").await, [""; 0], "after {step}");
    let facts = world.facts(job).await;
    assert!(
        facts.contains_key(&FactKind::Pruned),
        "after {step}: {facts:?}"
    );
    assert!(
        facts.values().all(|count| *count == 1),
        "after {step}: {facts:?}"
    );
}

/// Waits until the job is where its story wants it, and asks for its file to be deleted.
async fn delete(world: &World, story: Story, event: &Value) {
    let job = job_of(event);
    if story == Story::Unpublished {
        world.completed(&job).await;
    } else {
        world.streams.fact(&job, FactKind::Accepted).await;
        world
            .leave(&format!("hls/{}/{job}/180p/0-1.m4s", file_of(event)))
            .await;
    }
    let request = json!({ "file_id": file_of(event) });
    world
        .streams
        .publish(subject::DELETE, request.to_string())
        .await;
}

/// Waits until every chunk is done, then takes the last byte of a segment in the bucket away.
async fn damage(world: &World, event: &Value) {
    let job = job_of(event);
    let planned = world.planned(&job).await;
    for task in &planned.tasks {
        let done = subject::work(&job, WorkKind::Done, task.task);
        world.streams.first(topology::WORK, &done, |_| true).await;
    }
    let prefix = format!("hls/{}/{job}/", file_of(event));
    let objects = world.bucket.list(&prefix).await.unwrap();
    let segment = objects
        .iter()
        .find(|object| object.key.ends_with(".m4s"))
        .unwrap();
    let mut bytes = world
        .bucket
        .get(&segment.key, 1 << 30)
        .await
        .unwrap()
        .unwrap();
    bytes.truncate(bytes.len() - 1);
    world
        .bucket
        .put(&segment.key, bytes, ObjectKind::Video)
        .await
        .unwrap();
}
