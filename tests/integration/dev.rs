//! `fluxhls dev`: everything on one machine from one command, and nothing left when it ends.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::clip::{long, moving};
use crate::harness::players::browse;
use crate::harness::process::{Process, mentioning};
use crate::harness::turn::Turn;
use crate::harness::until;
use crate::harness::worker::dev;

/// How long the program may take to end once it was told to.
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
    until("every process of dev is gone", async || mentioning(folder).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_transcoded_and_the_rows_are_shown_and_everything_is_gone() {
    let _turn = Turn::shared().await;
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
    let _turn = Turn::shared().await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_dropped_on_the_page_plays_there() {
    let _turn = Turn::alone().await;
    let folder = tempfile::tempdir().unwrap();
    let clip = moving("854x480", 6.0).rate("12").make().await;
    let mut program = dev(folder.path(), 38_080, &["--json"]);
    let page = ready(&program).await["page"].as_str().unwrap().to_owned();
    let report: Value = serde_json::from_str(&browse("page.mjs", &[&page, clip.text(), "--json"]).await).unwrap();
    assert_eq!(report["complaints"], Value::Array(Vec::new()), "{report}");
    program.signal(Signal::SIGTERM);
    assert_eq!(program.ended_within(END).await.code(), Some(0));
    leaves_nothing(folder.path()).await;
}
