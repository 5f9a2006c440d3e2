//! What is old or left over goes, and nothing that is public, at work, or unknown.

use serde_json::{Value, json};
use streams::fact::{Ended, Outcome};
use streams::{FactKind, JobId, subject, topology};

use crate::harness::clip::{Clip, moving};
use crate::harness::database::Engine;
use crate::harness::output::verify;
use crate::harness::process::Process;
use crate::harness::world::{World, file_of, job_of};

/// The event of another job of the same file.
fn another(event: &Value) -> Value {
    let mut event = event.clone();
    event["job_id"] = json!(cuid2::create_id());
    event
}

async fn prune(world: &World, more: &[&str]) -> Value {
    let arguments = [&["jobs", "prune", "--json"], more].concat();
    world.told(&arguments).await
}

/// Jobs of every kind, and what is left of them in the bucket.
struct Scene {
    world: World,
    clip: Clip,
    /// A job that another one of its file superseded.
    superseded: Value,
    /// That other one, which is public.
    public: Value,
    /// A job that failed.
    failed: Value,
    /// A job that waits.
    waiting: Value,
    /// How the public one ended.
    ended: Ended,
    _keeper: Process,
}

/// The key of an object of a job.
fn of(event: &Value, rest: &str) -> String {
    format!("hls/{}/{}/{rest}", file_of(event), job_of(event))
}

impl Scene {
    async fn new() -> Self {
        let world = World::new(Engine::Sqlite).await;
        let mut worker = world.worker("one").start();
        let clip = moving("320x180", 2.0).make().await;
        let superseded = world.event(&clip).await;
        world.streams.upload(&superseded).await;
        world.completed(&job_of(&superseded)).await;
        let public = another(&superseded);
        world.streams.upload(&public).await;
        let ended = world.completed(&job_of(&public)).await;
        let mut failed = world.event(&clip).await;
        failed["file_url"] = json!("https://example.com/private.mp4");
        world.streams.upload(&failed).await;
        assert_eq!(world.ended(&job_of(&failed)).await.outcome, Outcome::Failed);
        worker.kill().await;
        let keeper = world.worker("two").roles("intake,project").start();
        let waiting = world.event(&clip).await;
        world.streams.upload(&waiting).await;
        world
            .streams
            .fact(&job_of(&waiting), FactKind::Accepted)
            .await;
        Self {
            world,
            clip,
            superseded,
            public,
            failed,
            waiting,
            ended,
            _keeper: keeper,
        }
    }

    /// Puts things into the bucket that nothing needs; returns their keys.
    async fn leave_orphans(&self) -> Vec<String> {
        let orphans = [
            of(&self.superseded, "180p/0-1.m4s"),
            of(&self.public, "180p/99-1.m4s"),
            of(&self.public, "stray.bin"),
            of(&self.failed, "180p/0-1.m4s"),
            format!("tmp/{}/source.mkv", job_of(&self.superseded)),
            "hls/canary-left".to_owned(),
        ];
        self.leave(&orphans).await
    }

    /// Puts objects into the bucket that may be needed, or that fluxhls does not own; returns their
    /// keys.
    async fn leave_others(&self) -> Vec<String> {
        let others = [
            of(&self.public, "180p/0-zzzzzzzzzz.m4s"),
            of(&self.waiting, "180p/0-1.m4s"),
            format!("tmp/{}/source.mkv", job_of(&self.waiting)),
            "hls/someone/elses/thing.bin".to_owned(),
            "tmp/someone-else/thing.bin".to_owned(),
        ];
        self.leave(&others).await
    }

    async fn leave(&self, keys: &[String]) -> Vec<String> {
        for key in keys {
            self.world.leave(key).await;
        }
        keys.to_vec()
    }
}

const ALL: &[&str] = &["--keep-days", "0", "--grace-hours", "0"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prune_removes_what_nothing_needs_and_leaves_what_is_public_at_work_or_unknown() {
    let scene = Scene::new().await;
    let world = &scene.world;
    let (going, staying) = (scene.leave_orphans().await, scene.leave_others().await);
    let before = world.keys("").await;

    let fresh = prune(world, &[]).await;
    assert_eq!(
        (&fresh["rows"], &fresh["objects"]),
        (&json!(0), &json!(0)),
        "an hour has not passed"
    );
    let dry = prune(world, &[ALL, &["--dry-run"]].concat()).await;
    assert_eq!(world.keys("").await, before, "a dry run removes nothing");
    let removed = prune(world, ALL).await;
    assert_eq!(removed, dry, "a dry run says what would go");
    assert_eq!(
        (&removed["rows"], &removed["unread"]),
        (&json!(2), &json!([]))
    );
    let unknown: Vec<_> = removed["unknown"].as_object().unwrap().keys().collect();
    assert_eq!(unknown, ["hls/someone/elses/", "tmp/someone-else/"]);

    let after = world.keys("").await;
    assert_eq!(removed["objects"], json!(before.len() - after.len()));
    assert!(staying.iter().all(|key| after.contains(key)), "{after:?}");
    assert!(!going.iter().any(|key| after.contains(key)), "{after:?}");
    let old = of(&scene.superseded, "");
    assert!(
        !after.iter().any(|key| key.starts_with(&old)),
        "the superseded job is gone as a whole"
    );
    let planned = world.planned(&job_of(&scene.public)).await;
    verify(&scene.ended, &planned, &scene.clip.path).await;
    assert_eq!(
        world.say(&["verify", file_of(&scene.public)]).await.code,
        Some(0)
    );

    let last = last_pruned(world, &[&scene.superseded, &scene.failed].map(job_of)).await;
    world.database.has_projected(last).await;
    let jobs: Vec<String> = world
        .database
        .rows()
        .await
        .jobs
        .into_iter()
        .map(|job| job.id)
        .collect();
    let mut left = [&scene.public, &scene.waiting].map(|event| String::from(job_of(event)));
    left.sort();
    assert_eq!(jobs, left);
    let again = prune(world, ALL).await;
    assert_eq!((&again["rows"], &again["objects"]), (&json!(0), &json!(0)));
    late_master(&scene).await;
}

/// What late workers wrote of a file that was deleted goes, its master too.
async fn late_master(scene: &Scene) {
    let world = &scene.world;
    world
        .told(&["delete", file_of(&scene.public), "--json"])
        .await;
    let master = format!("hls/{}/master.m3u8", file_of(&scene.public));
    let late = [master, of(&scene.public, "180p/7-1.m4s")];
    scene.leave(&late).await;
    let removed = prune(world, &["--grace-hours", "0"]).await;
    assert_eq!(removed["objects"], json!(2), "{removed}");
    let left = world.keys("hls/").await;
    assert!(!late.iter().any(|key| left.contains(key)), "{left:?}");
}

async fn last_pruned(world: &World, jobs: &[JobId]) -> u64 {
    let mut last = 0;
    for job in jobs {
        let filter = subject::fact(job, FactKind::Pruned);
        let pruned = world.streams.first(topology::JOBS, &filter, |_| true).await;
        assert_eq!(pruned.json()["deleted"], Value::Null, "it went by its age");
        last = last.max(pruned.seq);
    }
    last
}
