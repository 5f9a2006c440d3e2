//! A worker that was frozen in the middle of a step continues when another one has done its work:
//! it changes nothing and stops.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use nix::sys::signal::Signal;
use serde_json::Value;
use streams::work::WorkKind;
use streams::{FactKind, JobId, topology};

use crate::harness::clip::{Clip, moving};
use crate::harness::database::Engine;
use crate::harness::output::verify;
use crate::harness::process::{Process, mentioning};
use crate::harness::worker::work_dir;
use crate::harness::world::{World, file_of, job_of};

/// How many zombies there are at a time: they mostly sleep.
const AT_ONCE: usize = 3;

async fn clip() -> Clip {
    moving("320x180", 6.0).silent().make().await
}

/// A world in which a task of a frozen worker soon goes to another one.
async fn impatient() -> World {
    let world = World::new(Engine::Sqlite).await;
    world
        .redeliver_after(topology::HEARTBEAT + Duration::from_secs(3))
        .await;
    world
}

/// Thaws it, and lets it continue until it has settled its messages.
async fn wakes(world: &World, mut zombie: Process) {
    zombie.signal(Signal::SIGCONT);
    zombie.signal(Signal::SIGTERM);
    let status = zombie.ended_within(Duration::from_secs(60)).await;
    assert_eq!(status.code(), Some(0), "{status}");
    let left = mentioning(&work_dir(world, "zombie"));
    assert!(left.is_empty(), "still running: {left:?}");
}

/// Every object below the output of the event's file, with its version.
async fn objects(world: &World, event: &Value) -> BTreeMap<String, Option<String>> {
    let objects = world
        .bucket
        .list(&format!("hls/{}/", file_of(event)))
        .await
        .unwrap();
    objects
        .into_iter()
        .map(|object| (object.key, object.etag))
        .collect()
}

async fn told_once(world: &World, job: &JobId, step: &str) {
    let facts = [
        FactKind::Accepted,
        FactKind::Planned,
        FactKind::Verdict,
        FactKind::Ended,
    ];
    assert_eq!(
        world.facts(job).await,
        facts.map(|kind| (kind, 1)).into(),
        "{step}"
    );
    let results = world
        .streams
        .counts(
            topology::WORK,
            &format!("hls.v1.work.{job}.{}.>", WorkKind::Done.as_str()),
        )
        .await;
    assert!(
        results.values().all(|count| *count == 1),
        "{step}: {results:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encoder_that_wakes_late_neither_overwrites_nor_speaks() {
    // In the middle of an upload; with everything uploaded; with everything checked, and its result
    // about to be published.
    let steps = ["encode.closed", "encode.uploaded", "step.worked"];
    futures::stream::iter(steps)
        .for_each_concurrent(AT_ONCE, late_encoder)
        .await;
}

async fn late_encoder(step: &'static str) {
    let world = impatient().await;
    let clip = clip().await;
    let _others = world
        .worker("others")
        .roles("intake,plan,package,project")
        .start();
    let zombie = world
        .worker("zombie")
        .roles("encode")
        .pauses_at(step)
        .start();
    let event = world.event(&clip).await;
    world.streams.upload(&event).await;
    zombie.has_stopped().await;
    let _successor = world.worker("successor").roles("encode").start();
    let job = job_of(&event);
    let ended = world.completed(&job).await;
    let before = objects(&world, &event).await;
    wakes(&world, zombie).await;
    let after = objects(&world, &event).await;
    for (key, version) in &before {
        assert_eq!(after.get(key), Some(version), "{step}: {key} was changed");
    }
    told_once(&world, &job, step).await;
    verify(&ended, &world.planned(&job).await, &clip.path).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_packager_that_wakes_late_does_not_bring_an_older_master_back() {
    // Between the verdict and the owner of the prefix; between the owner and master; between master
    // and the end.
    let steps = ["verdict.published", "commit.current", "commit.master"];
    futures::stream::iter(steps)
        .for_each_concurrent(AT_ONCE, late_packager)
        .await;
}

async fn late_packager(step: &'static str) {
    let world = impatient().await;
    let clip = clip().await;
    let _others = world
        .worker("others")
        .roles("intake,plan,encode,project")
        .start();
    let zombie = world
        .worker("zombie")
        .roles("package")
        .pauses_at(step)
        .start();
    let event = world.event(&clip).await;
    world.streams.upload(&event).await;
    zombie.has_stopped().await;
    let _successor = world.worker("successor").roles("package").start();
    let older = job_of(&event);
    world.completed(&older).await;
    // The same file is transcoded again, and its new output becomes public.
    let mut again = event.clone();
    again["job_id"] = cuid2::create_id().into();
    world.streams.upload(&again).await;
    let newer = job_of(&again);
    let ended = world.completed(&newer).await;
    let before = objects(&world, &event).await;
    wakes(&world, zombie).await;
    assert_eq!(objects(&world, &event).await, before, "{step}");
    told_once(&world, &older, step).await;
    told_once(&world, &newer, step).await;
    verify(&ended, &world.planned(&newer).await, &clip.path).await;
}
