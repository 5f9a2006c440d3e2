//! What an operator does with the streams, and what the program says of itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use async_nats::jetstream::stream;
use serde_json::Value;
use streams::{JobId, topology};

use crate::harness::clip::moving;
use crate::harness::database::Engine;
use crate::harness::output::verify;
use crate::harness::sources::sources;
use crate::harness::until;
use crate::harness::worker::{page, readiness};
use crate::harness::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn provision_check_names_every_drift_and_provision_mends_it() {
    let world = World::bare(Engine::Sqlite).await;
    let said = world.say(&["provision", "--check"]).await;
    assert_eq!(said.code, Some(4), "nothing is there yet: {said:?}");
    assert!(said.out.contains(topology::JOBS), "{}", said.out);
    assert_eq!(world.say(&["provision"]).await.code, Some(0));
    let said = world.say(&["provision", "--check"]).await;
    assert_eq!(
        (said.code, said.out.as_str()),
        (Some(0), ""),
        "{}",
        said.err
    );

    let mut work = world.streams.js.get_stream(topology::WORK).await.unwrap();
    let config = stream::Config {
        max_age: Duration::from_secs(24 * 60 * 60),
        ..work.info().await.unwrap().config.clone()
    };
    world.streams.js.update_stream(config).await.unwrap();
    let tasks = world.streams.js.get_stream(topology::TASKS).await.unwrap();
    tasks.delete_consumer("encode-lo").await.unwrap();
    let said = world.say(&["provision", "--check"]).await;
    assert_eq!(said.code, Some(4));
    assert!(
        said.out.contains(topology::WORK) && said.out.contains("encode-lo"),
        "{}",
        said.out
    );
    assert_eq!(said.out.lines().count(), 2, "{}", said.out);
    assert_eq!(world.say(&["provision"]).await.code, Some(0));
    assert_eq!(world.say(&["provision", "--check"]).await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submit_uploads_a_file_and_waits_for_its_end() {
    let world = World::new(Engine::Postgresql).await;
    let _worker = world.worker("one").start();
    let clip = moving("320x180", 4.0).make().await;
    let said = world
        .say(&["submit", clip.text(), "--wait", "--json"])
        .await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let first: Value = serde_json::from_str(said.out.lines().next().unwrap()).unwrap();
    let job: JobId = first["job_id"].as_str().unwrap().parse().unwrap();
    let ended = world.completed(&job).await;
    verify(&ended, &world.planned(&job).await, &clip.path).await;
    let said = world.say(&["jobs", "list", "--json"]).await;
    let rows: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (&rows[0]["job_id"], &rows[0]["status"]),
        (&first["job_id"], &Value::from("completed")),
        "{rows}"
    );
    let shown = world.say(&["jobs", "show", job.as_str(), "--json"]).await;
    assert!(
        shown.out.contains(&format!("hls.v1.job.{job}.ended")),
        "{}",
        shown.out
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submit_of_what_is_no_video_exits_with_three() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").start();
    let path = world.folder().join("empty.mp4");
    std::fs::write(&path, b"").unwrap();
    let said = world
        .say(&["submit", path.to_str().unwrap(), "--wait"])
        .await;
    assert_eq!(said.code, Some(3), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_tells_that_it_lives_is_ready_and_what_it_counts() {
    let mut world = World::new(Engine::Sqlite).await;
    let worker = world.worker("one").start();
    until("the worker is ready", async || {
        readiness(&worker).await.status == 200
    })
    .await;
    assert_eq!(page(&worker, "/livez").await.status, 200);
    let job = world.submit(&moving("320x180", 2.0).make().await).await;
    world.completed(&job).await;
    let metrics = String::from_utf8(page(&worker, "/metrics").await.body).unwrap();
    for line in [
        "fluxhls_uploads_total{result=\"accepted\"} 1",
        "fluxhls_attempts_total{class=\"encode\",outcome=\"completed\"} 1",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line} is missing in:\n{metrics}"
        );
    }
    assert!(
        !metrics.contains(job.as_str()),
        "an ended job has no series of its own"
    );

    world.nats.kill().await;
    until("the worker is not ready without NATS", async || {
        readiness(&worker).await.status == 503
    })
    .await;
    assert_eq!(
        page(&worker, "/livez").await.status,
        200,
        "a restart would not bring NATS back"
    );
    world.nats.restart().await;
    until("the worker is ready again", async || {
        readiness(&worker).await.status == 200
    })
    .await;
}

#[test]
fn the_example_environment_holds_every_setting_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join(".env.example")).unwrap();
    let settings = text
        .lines()
        .filter_map(|line| line.trim_start_matches(['#', ' ']).split_once('='));
    let told: BTreeSet<String> = settings
        .map(|(name, _)| name.to_owned())
        .filter(|name| is_setting(name))
        .collect();
    let mut known: BTreeSet<String> = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "LOG"]
        .map(str::to_owned)
        .into();
    for file in sources(&root.join("src")) {
        let text = std::fs::read_to_string(file).unwrap();
        known.extend(
            text.split("env = \"")
                .skip(1)
                .filter_map(|rest| rest.split('"').next())
                .map(str::to_owned),
        );
    }
    assert_eq!(told, known);
}

fn is_setting(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}
