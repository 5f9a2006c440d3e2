//! The alerts of a bad day fire on a live Prometheus, and fall silent when it is over. Their pauses
//! are seconds here, not minutes.

use std::path::{Path, PathBuf};

use async_nats::jetstream::stream;

use super::rules;
use super::server::Prometheus;
use crate::able;
use crate::harness::clip::moving;
use crate::harness::until;
use crate::harness::worker::address;

/// The rules, with pauses of a second.
fn hurried(folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(rules()).unwrap();
    let lines = text
        .lines()
        .map(|line| match line.trim_start().strip_prefix("for: ") {
            Some(pause) => line.replace(pause, "1s"),
            None => line.to_owned(),
        });
    let path = folder.join("hurried.yaml");
    std::fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
    path
}

async fn fires(prometheus: &Prometheus, name: &str) {
    until(&format!("{name} fires"), async || {
        prometheus.fires(name).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_fire_where_no_upload_is_taken_in_and_where_storage_of_jetstream_fills() {
    let world = able::world("max_file: 104000000").await;
    let projector = world.worker("projector").roles("project").start();
    let folder = world.folder();
    let prometheus = Prometheus::start(folder, &address(&projector).await, &hurried(folder)).await;
    let job = world.submit(&moving("320x180", 2.0).make().await).await;
    fires(&prometheus, "FluxhlsUploadsNotTakenIn").await;
    assert!(!prometheus.fires("FluxhlsJetStreamNearlyFull").await);

    let _worker = world
        .worker("one")
        .roles("intake,plan,encode,package")
        .start();
    world.completed(&job).await;
    until("the alert ends with its cause", async || {
        !prometheus.fires("FluxhlsUploadsNotTakenIn").await
    })
    .await;

    // Others use the account, too.
    let other = stream::Config {
        name: "OTHER".to_owned(),
        subjects: vec!["other".to_owned()],
        ..stream::Config::default()
    };
    world.streams.js.create_stream(other).await.unwrap();
    for _ in 0..100 {
        let sent = world
            .streams
            .js
            .publish("other", vec![0; 900_000].into())
            .await
            .unwrap();
        sent.await.unwrap();
    }
    fires(&prometheus, "FluxhlsJetStreamNearlyFull").await;
    world.streams.js.delete_stream("OTHER").await.unwrap();
    until("the alert ends when there is room", async || {
        !prometheus.fires("FluxhlsJetStreamNearlyFull").await
    })
    .await;
}
