//! Clips that cameras and studios made, where there are any: `FLUXHLS_TEST_CLIPS`, or the folder
//! `../shared/media` beside a checkout.

use std::path::{Path, PathBuf};

use crate::harness::DEADLINE;
use crate::harness::clip::Clip;
use crate::harness::database::Engine;
use crate::harness::machine_lock::MachineLock;
use crate::harness::output::verify;
use crate::harness::players::plays_seamlessly;
use crate::harness::worker::dev;
use crate::harness::world::World;

#[expect(
    clippy::disallowed_methods,
    reason = "the one setting of the tests themselves"
)]
fn clips() -> Vec<Clip> {
    let folder = std::env::var_os("FLUXHLS_TEST_CLIPS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/media"),
        PathBuf::from,
    );
    let files = std::fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "mp4"));
    paths.sort();
    if paths.is_empty() {
        eprintln!("SKIPPED: no real clips; set FLUXHLS_TEST_CLIPS to a folder of .mp4 files");
    }
    paths.into_iter().map(Clip::at).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_real_clip_becomes_hls_that_plays() {
    let clips = clips();
    if clips.is_empty() {
        return;
    }
    let mut world = World::new(Engine::Postgresql).await;
    let _worker = world.worker("one").start();
    let mut manifests = Vec::new();
    for clip in clips {
        eprintln!("{}", clip.name);
        let job = world.submit(&clip).await;
        let ended = world.completed(&job).await;
        verify(&ended, &world.planned(&job).await, &clip.path).await;
        manifests.extend(ended.manifest_url);
    }
    world.alone().await;
    for manifest in &manifests {
        plays_seamlessly(manifest).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_real_clip_goes_through_dev() {
    let clips = clips();
    if clips.is_empty() {
        return;
    }
    let _lock = MachineLock::shared().await;
    let folder = tempfile::tempdir().unwrap();
    let arguments: Vec<&str> = ["--exit-when-done"]
        .into_iter()
        .chain(clips.iter().map(Clip::text))
        .collect();
    let mut program = dev(folder.path(), 48_080, &arguments);
    let status = program.ended_within(DEADLINE).await;
    let said = program.said();
    assert_eq!(status.code(), Some(0), "{said}");
    assert_eq!(said.matches("master.m3u8\n").count(), clips.len(), "{said}");
}
