//! An encoder that makes something else than its source: what the bytes show is looked at before
//! anything is `completed`.

use std::path::{Path, PathBuf};

use streams::fact::{Ended, Outcome};
use streams::task::TaskName;
use streams::work::WorkKind;
use streams::{Code, JobId, dead, subject, topology};

use crate::harness::clip::moving;
use crate::harness::database::Engine;
use crate::harness::encoder::{changed_ffmpeg, real_ffmpeg};
use crate::harness::process::Process;
use crate::harness::until;
use crate::harness::world::World;

/// An ffmpeg that does to the commands of the encode tasks what `edit` says, a script of sed.
fn faulty(folder: &Path, name: &str, edit: &str, mark: &str) -> PathBuf {
    let change = format!("set -- \"$@\" \"$(printf '%s' \"$a\" | sed '{edit}')\"");
    changed_ffmpeg(folder, name, mark, &change)
}

/// Paints every picture of the top rung black on its way into the encoder.
const BLACK: &str =
    "s/split=2\\[v0\\]/split=2[w0]/; s/;\\[t0\\]/;[w0]drawbox=color=black:t=fill[v0];[t0]/";
/// Lowers the level of all audio before the encoder.
const SILENT: &str = "s/\\[on_\\([^]]*\\)\\]anull/[on_\\1]volume=0/";

/// Ends all audio after a second.
const SHORT: &str = "s/\\[on_\\([^]]*\\)\\]anull/[on_\\1]atrim=end=1/";

async fn submitted(world: &World, ffmpeg: &Path) -> (JobId, Ended, Process) {
    let clip = moving("320x180", 3.0).make().await;
    let worker = world
        .worker("faulty")
        .setting("FFMPEG", ffmpeg.display())
        .start();
    let job = world.submit(&clip).await;
    let ended = world.ended(&job).await;
    (job, ended, worker)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_out_black_or_silent_is_redone_once_and_never_completed() {
    let world = World::new(Engine::Sqlite).await;
    for (name, edit, mark, task, word) in [
        ("black", BLACK, "split=2[v0]", TaskName::video(0), "black"),
        ("silent", SILENT, "[on_", TaskName::TRACKS, "silent"),
    ] {
        let ffmpeg = faulty(world.folder(), name, edit, mark);
        let (job, ended, mut worker) = submitted(&world, &ffmpeg).await;
        let error = ended.error.expect("it failed");
        assert_eq!(
            (ended.outcome, error.code),
            (Outcome::Failed, Code::Internal),
            "{error:?}"
        );
        assert!(error.message.contains(word), "{}", error.message);
        let starts = world.starts(&job).await;
        assert_eq!(
            (starts[&task], starts[&task.redone()]),
            (1, 1),
            "{starts:?}"
        );
        worker.kill().await;
    }
    let published = world.bucket.list("hls/").await.unwrap();
    assert!(
        !published
            .iter()
            .any(|meta| meta.key.ends_with("master.m3u8")),
        "{published:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_measures_the_same_twice_ends_the_job_as_our_own_fault() {
    let world = World::new(Engine::Sqlite).await;
    let ffmpeg = faulty(world.folder(), "short", SHORT, "[on_");
    let (job, ended, _worker) = submitted(&world, &ffmpeg).await;
    let error = ended.error.expect("it failed");
    assert_eq!(
        (ended.outcome, error.code),
        (Outcome::Failed, Code::Internal),
        "{error:?}"
    );
    // What was measured, and what to do.
    for words in [
        "audio-0: the track lasts 1.",
        "Both attempts measured the same",
        "please report it",
    ] {
        assert!(error.message.contains(words), "{}", error.message);
    }
    assert_eq!(world.starts(&job).await[&TaskName::TRACKS], 2);
    let letters = world.streams.all(topology::DEAD, subject::ALL_DEAD).await;
    let reasons: Vec<_> = letters
        .iter()
        .map(|letter| letter.header(dead::REASON))
        .collect();
    assert_eq!(reasons, [error.message]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encoder_that_cannot_be_started_is_the_fault_of_the_worker() {
    let world = World::new(Engine::Sqlite).await;
    // Of what the program asks of ffmpeg only chunks have this in their command line.
    let ffmpeg = changed_ffmpeg(world.folder(), "gone", "split=2[v0]", "exit 1");
    let _worker = world
        .worker("faulty")
        .setting("FFMPEG", ffmpeg.display())
        .start();
    let job = world.submit(&moving("320x180", 3.0).make().await).await;
    until("the chunk is tried again", async || {
        world
            .starts(&job)
            .await
            .get(&TaskName::video(0))
            .is_some_and(|starts| *starts > 1)
    })
    .await;
    std::fs::remove_file(&ffmpeg).unwrap();

    let error = world.ended(&job).await.error.expect("it failed");
    assert_eq!(error.code, Code::TooManyAttempts, "{error:?}");
    let last = "the last time with worker_fault: ffmpeg could not be run: ";
    assert!(error.message.contains(last), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_out_black_once_is_redone_and_then_completed() {
    let world = World::new(Engine::Sqlite).await;
    let ffmpeg = faulty(world.folder(), "black-once", BLACK, "split=2[v0]");
    let encoder = world.worker("faulty").roles("intake,plan,encode");
    let _encoder = encoder.setting("FFMPEG", ffmpeg.display()).start();
    let job = world.submit(&moving("320x180", 3.0).make().await).await;
    let done = subject::work(&job, WorkKind::Done, TaskName::video(0));
    world.streams.first(topology::WORK, &done, |_| true).await;
    // It works again before anybody looks at what it made.
    std::fs::remove_file(&ffmpeg).unwrap();
    std::os::unix::fs::symlink(real_ffmpeg(), &ffmpeg).unwrap();
    let _packager = world.worker("packager").roles("package,project").start();
    let ended = world.ended(&job).await;
    assert_eq!(ended.outcome, Outcome::Completed, "{:?}", ended.error);
    let starts = world.starts(&job).await;
    assert_eq!(
        (
            starts[&TaskName::video(0)],
            starts[&TaskName::video(0).redone()]
        ),
        (1, 1)
    );
}
