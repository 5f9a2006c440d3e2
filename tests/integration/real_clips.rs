//! Clips that cameras and studios made, where there are any: `FLUXHLS_TEST_CLIPS`, or the folder `../shared/media` beside a
//! checkout.

use std::path::{Path, PathBuf};

use crate::harness::clip::Clip;
use crate::harness::database::Engine;
use crate::harness::output::verify;
use crate::harness::players::plays_seamlessly;
use crate::harness::world::World;

#[expect(clippy::disallowed_methods, reason = "the one setting of the tests themselves")]
fn clips() -> Vec<PathBuf> {
    let folder = std::env::var_os("FLUXHLS_TEST_CLIPS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/media"),
        PathBuf::from,
    );
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "mp4"));
    paths.sort();
    paths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_real_clip_becomes_hls_that_plays() {
    let clips = clips();
    if clips.is_empty() {
        eprintln!("SKIPPED: no real clips; set FLUXHLS_TEST_CLIPS to a folder of .mp4 files");
        return;
    }
    let mut world = World::new(Engine::Postgresql).await;
    let _worker = world.worker("one").start();
    let mut manifests = Vec::new();
    for clip in clips.into_iter().map(Clip::at) {
        eprintln!("{}", clip.name);
        let job = world.submit(&clip).await;
        let ended = world.completed(&job).await;
        eprintln!("{}", serde_json::to_string(&world.planned(&job).await).unwrap());
        verify(&ended, &world.planned(&job).await, &clip.path).await;
        manifests.extend(ended.manifest_url);
    }
    world.alone().await;
    for manifest in &manifests {
        plays_seamlessly(manifest).await;
    }
}
