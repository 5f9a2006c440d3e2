//! What is old or left over goes, and nothing that is public, at work, or unknown.

use serde_json::{Value, json};
use streams::fact::Outcome;
use streams::{FactKind, JobId, subject, topology};

use crate::harness::clip::moving;
use crate::harness::database::Engine;
use crate::harness::output::verify;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prune_removes_what_nothing_needs_and_leaves_what_is_public_at_work_or_unknown() {
    let world = World::new(Engine::Sqlite).await;
    let mut worker = world.worker("one").start();
    let clip = moving("320x180", 2.0).make().await;
    let first = world.event(&clip).await;
    world.streams.upload(&first).await;
    world.completed(&job_of(&first)).await;
    let second = another(&first);
    world.streams.upload(&second).await;
    let ended = world.completed(&job_of(&second)).await;
    let mut refused = world.event(&clip).await;
    refused["file_url"] = json!("https://example.com/private.mp4");
    world.streams.upload(&refused).await;
    assert_eq!(world.ended(&job_of(&refused)).await.outcome, Outcome::Failed);
    worker.kill().await;
    let _keeper = world.worker("two").roles("intake,project").start();
    let waiting = world.event(&clip).await;
    world.streams.upload(&waiting).await;
    world.streams.fact(&job_of(&waiting), FactKind::Accepted).await;

    let of = |event: &Value, rest: &str| format!("hls/{}/{}/{rest}", file_of(event), job_of(event));
    let [going, staying] = [
        vec![
            of(&first, "180p/0-1.m4s"),
            of(&second, "180p/99-1.m4s"),
            of(&second, "stray.bin"),
            of(&refused, "180p/0-1.m4s"),
            format!("tmp/{}/source.mkv", job_of(&first)),
            "hls/canary-left".to_owned(),
        ],
        vec![
            of(&second, "180p/0-zzzzzzz.m4s"),
            of(&waiting, "180p/0-1.m4s"),
            format!("tmp/{}/source.mkv", job_of(&waiting)),
            "hls/somebody/elses/thing.bin".to_owned(),
            "tmp/somebody-else/thing.bin".to_owned(),
        ],
    ];
    for key in going.iter().chain(&staying) {
        world.leave(key).await;
    }
    let before = world.keys("").await;

    let fresh = prune(&world, &[]).await;
    assert_eq!(
        (&fresh["rows"], &fresh["objects"]),
        (&json!(0), &json!(0)),
        "an hour has not passed"
    );
    let dry = prune(&world, &["--keep-days", "0", "--grace-hours", "0", "--dry-run"]).await;
    assert_eq!(world.keys("").await, before, "a dry run removes nothing");
    let removed = prune(&world, &["--keep-days", "0", "--grace-hours", "0"]).await;
    assert_eq!(removed, dry, "a dry run says what would go");
    assert_eq!(removed["rows"], json!(2));
    assert_eq!(removed["unread"], json!([]));
    let unknown: Vec<_> = removed["unknown"].as_object().unwrap().keys().collect();
    assert_eq!(unknown, ["hls/somebody/elses/", "tmp/somebody-else/"]);

    let after = world.keys("").await;
    assert_eq!(removed["objects"], json!(before.len() - after.len()));
    assert!(staying.iter().all(|key| after.contains(key)), "{after:?}");
    assert!(!going.iter().any(|key| after.contains(key)), "{after:?}");
    let old = of(&first, "");
    assert!(
        !after.iter().any(|key| key.starts_with(&old)),
        "the superseded job is gone as a whole"
    );
    verify(&ended, &world.planned(&job_of(&second)).await, &clip.path).await;
    assert_eq!(world.say(&["verify", file_of(&first)]).await.code, Some(0));

    for gone in [&first, &refused] {
        assert_eq!(
            world.streams.fact(&job_of(gone), FactKind::Pruned).await.json()["deleted"],
            Value::Null
        );
    }
    let last = last_pruned(&world, &[&first, &refused].map(job_of)).await;
    world.database.has_projected(last).await;
    let jobs: Vec<String> = world.database.rows().await.jobs.into_iter().map(|job| job.id).collect();
    let mut left = [job_of(&second), job_of(&waiting)].map(String::from);
    left.sort();
    assert_eq!(jobs, left);
    let again = prune(&world, &["--keep-days", "0", "--grace-hours", "0"]).await;
    assert_eq!((&again["rows"], &again["objects"]), (&json!(0), &json!(0)));

    // A late master of a deleted file goes, too.
    world.told(&["delete", file_of(&first), "--json"]).await;
    let master = format!("hls/{}/master.m3u8", file_of(&first));
    world.leave(&master).await;
    world.leave(&of(&second, "180p/7-1.m4s")).await;
    let removed = prune(&world, &["--grace-hours", "0"]).await;
    assert_eq!(removed["objects"], json!(2), "{removed}");
    assert!(!world.keys("hls/").await.contains(&master));
}

async fn last_pruned(world: &World, jobs: &[JobId]) -> u64 {
    let mut last = 0;
    for job in jobs {
        let filter = subject::fact(job, FactKind::Pruned);
        last = last.max(world.streams.first(topology::JOBS, &filter, |_| true).await.seq);
    }
    last
}
