//! `fluxhls dev`: everything on one machine from one command, and nothing left when it ends.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::clip::{Clip, long, make_from, moving};
use crate::harness::machine_lock::MachineLock;
use crate::harness::players::browse;
use crate::harness::process::{Process, mentioning};
use crate::harness::until;
use crate::harness::worker::dev;

/// How long the program may take to end when it is asked to.
const END: Duration = Duration::from_secs(30);

/// The line `dev --json` prints once everything answers.
async fn ready(dev: &Process) -> Value {
    let line = || {
        dev.said()
            .lines()
            .find(|line| line.contains(r#""event":"ready""#))
            .map(str::to_owned)
    };
    until("dev is ready", async || line().is_some()).await;
    serde_json::from_str(&line().unwrap()).unwrap()
}

async fn leaves_nothing(folder: &Path) {
    until("every process of dev is gone", async || {
        mentioning(folder).is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_transcoded_and_the_rows_are_shown_and_everything_is_gone() {
    let _lock = MachineLock::shared().await;
    let folder = tempfile::tempdir().unwrap();
    let clip = moving("320x180", 6.0).make().await;
    let mut program = dev(folder.path(), 18_080, &["--exit-when-done", clip.text()]);
    let status = program.ended_within(crate::harness::DEADLINE).await;
    let said = program.said();
    assert_eq!(status.code(), Some(0), "{said}");
    for part in [
        "player   http://127.0.0.1:",
        "completed",
        "master.m3u8",
        "transcoding_jobs",
        "files",
    ] {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
    leaves_nothing(folder.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupt_in_the_middle_of_the_work_leaves_nothing_behind() {
    let _lock = MachineLock::shared().await;
    let folder = tempfile::tempdir().unwrap();
    let clip = long().make().await;
    let mut program = dev(folder.path(), 28_080, &["--json", clip.text()]);
    ready(&program).await;
    until("ffmpeg works", async || {
        mentioning(folder.path())
            .iter()
            .any(|command| command.contains("ffmpeg"))
    })
    .await;
    program.signal(Signal::SIGINT);
    let status = program.ended_within(END).await;
    assert_eq!(status.code(), Some(0), "{status}");
    leaves_nothing(folder.path()).await;
}

/// Drops a clip on the page in a real browser; what the page did, without a complaint of the
/// browser.
async fn dropped(clip: &Clip, port: u16) -> Value {
    let _lock = MachineLock::alone().await;
    let folder = tempfile::tempdir().unwrap();
    let mut program = dev(folder.path(), port, &["--json"]);
    let page = ready(&program).await["page"].as_str().unwrap().to_owned();
    let report: Value =
        serde_json::from_str(&browse("page.mjs", &[&page, clip.text(), "--json"]).await).unwrap();
    assert_eq!(report["complaints"], Value::Array(Vec::new()), "{report}");
    program.signal(Signal::SIGTERM);
    assert_eq!(program.ended_within(END).await.code(), Some(0));
    leaves_nothing(folder.path()).await;
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_dropped_on_the_page_plays_there() {
    dropped(&moving("854x480", 6.0).rate("12").make().await, 38_080).await;
}

/// A browser without a sound card has two channels. hls.js takes the variants of the highest rate,
/// which are those with 5.1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_loads_no_surround_sound_where_two_channels_are_heard() {
    let six = "-f lavfi -i aevalsrc=exprs=0.2*sin(2*PI*300*t)|0|0|0|0|0:s=48000:d=13:c=5.1";
    let pictures = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=13 -c:v libx264 -preset ultrafast -pix_fmt yuv420p";
    let clip = make_from(&format!("{six} {pictures} -c:a aac"), "mp4").await;
    let report = dropped(&clip, 48_080).await;
    let loaded: Vec<_> = report["loaded"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let count = |folder: &str| loaded.iter().filter(|url| url.contains(folder)).count();
    assert_eq!(
        (count("/audio-0/") > 1, count("/surround-0/")),
        (true, 0),
        "{loaded:?}"
    );
}
