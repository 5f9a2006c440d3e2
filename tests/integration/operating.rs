//! What an operator does with the streams, and what the program says of itself.

use std::time::Duration;

use async_nats::jetstream::stream;
use serde_json::Value;
use streams::{JobId, topology};

use crate::harness::clip::moving;
use crate::harness::database::Engine;
use crate::harness::output::verify;
use crate::harness::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn provision_check_names_every_drift_and_provision_mends_it() {
    let world = World::bare(Engine::Sqlite).await;
    let said = world.say(&["provision", "--check"]).await;
    assert_eq!(said.code, Some(4), "nothing is there yet: {said:?}");
    assert!(said.out.contains(topology::JOBS), "{}", said.out);
    assert_eq!(world.say(&["provision"]).await.code, Some(0));
    let said = world.say(&["provision", "--check"]).await;
    assert_eq!((said.code, said.out.as_str()), (Some(0), ""), "{}", said.err);

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
        .say(&["submit", clip.path.to_str().unwrap(), "--wait", "--json"])
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
    assert!(shown.out.contains(&format!("hls.v1.job.{job}.ended")), "{}", shown.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submit_of_what_is_no_video_exits_with_three() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").start();
    let path = world.folder().join("empty.mp4");
    std::fs::write(&path, b"").unwrap();
    let said = world.say(&["submit", path.to_str().unwrap(), "--wait"]).await;
    assert_eq!(said.code, Some(3), "{said:?}");
}
