//! Memory, files, processor time, and the end of the worker.

use std::time::Duration;

use nix::sys::signal::Signal;
use std::os::unix::process::ExitStatusExt as _;
use tokio::io::AsyncReadExt as _;

use super::*;
use crate::testing::tool;

fn with(change: impl FnOnce(&mut ResourceLimits), yard: &Yard) -> SandboxPolicy {
    let mut resource_limits = ResourceLimits::readback();
    change(&mut resource_limits);
    SandboxPolicy::new(resource_limits).workdir(&yard.ours())
}

#[tokio::test]
async fn a_file_longer_than_allowed_ends_its_writer() {
    let yard = Yard::new();
    let policy = with(|resource_limits| resource_limits.file = 100_000, &yard);
    let ffmpeg = tool().ffmpeg.display().to_string();
    let args =
        "-v error -nostdin -f lavfi -i testsrc=s=640x360:r=25:d=4 -c:v rawvideo -f rawvideo frames";
    let args: Vec<&str> = args.split(' ').collect();

    let output = run(&ffmpeg, &args, policy).await;
    assert!(
        output.ending.exceeded && !output.ending.crashed(),
        "{:?}",
        output.ending
    );
    assert_eq!(
        std::fs::metadata(yard.ours().join("frames")).unwrap().len(),
        100_000
    );
}

#[tokio::test]
async fn a_program_that_computes_without_end_is_ended() {
    let yard = Yard::new();
    let second =
        |resource_limits: &mut ResourceLimits| resource_limits.processor = Duration::from_secs(1);
    let output = sh("while :; do :; done", with(second, &yard)).await;
    assert_eq!(output.ending.status.signal(), Some(Signal::SIGXCPU as i32));
    assert!(output.ending.exceeded);

    // ffmpeg catches the signal and ends as if it were asked to.
    let ffmpeg = tool().ffmpeg.display().to_string();
    let args = "-v error -nostdin -f lavfi -i testsrc=s=640x360:r=25 -c:v libx264 -f null -";
    let args: Vec<&str> = args.split(' ').collect();
    let output = run(&ffmpeg, &args, with(second, &yard)).await;
    assert!(output.ending.exceeded, "{:?}", output.ending);
}

#[tokio::test]
async fn memory_that_is_not_allowed_is_not_given() {
    let yard = Yard::new();
    let policy = with(|resource_limits| resource_limits.memory = 48 << 20, &yard);

    // The second string does not fit; the limit comes a moment after the start, so it is asked for
    // again until it does.
    let script = "$SIG{ALRM} = 'DEFAULT'; alarm 60; for (;;) { my $large = 'x' x 200_000_000; }";
    let output = run("/usr/bin/perl", &["-e", script], policy).await;
    assert!(
        !output.ending.success() && !output.ending.exceeded && !output.ending.crashed(),
        "{:?}",
        output.ending
    );
    assert!(
        output.stderr_tail.contains("Out of memory"),
        "{}",
        output.stderr_tail
    );
}

#[tokio::test]
async fn a_run_keeps_few_files_open_dumps_no_core_and_goes_before_its_worker() {
    let yard = Yard::new();
    // The limits come a moment after the start; the end of this loop shows that they came.
    let script =
        "until [ \"$(ulimit -n)\" = 512 ] && [ \"$(ulimit -c)\" = 0 ]; do :; done; echo $$";
    let policy = with(
        |resource_limits| resource_limits.processor = Duration::from_secs(20),
        &yard,
    );

    let output = sh(script, policy.clone()).await;
    assert!(output.ending.success(), "{}", output.stderr_tail);

    let mut group = Spawn::new(Path::new("/bin/sleep"), ["1000"], policy)
        .start()
        .await
        .unwrap();
    let adjusted = format!("/proc/{}/oom_score_adj", group.pid().unwrap());
    assert_eq!(std::fs::read_to_string(adjusted).unwrap().trim(), "800");
    group.kill().await;
}

/// What the thread that started a program holds it by: without it the kernel ends the program, as
/// when the whole worker died.
#[tokio::test]
async fn a_program_ends_with_the_thread_that_started_it_however_that_ends() {
    let yard = Yard::new();
    for (what, script) in [
        ("busy", "echo begun; while :; do :; done"),
        ("blocked", "echo begun; exec sleep 1000"),
    ] {
        let mut group = Spawn::new(Path::new("/bin/sh"), ["-c", script], yard.policy())
            .start()
            .await
            .unwrap();

        // By then the kernel was asked for its death.
        let (mut stdout, _stderr) = group.pipes().unwrap();
        stdout.read_u8().await.unwrap();
        group.release_launch_guard();

        let ended = tokio::time::timeout(Duration::from_secs(5), group.wait()).await;
        let status = ended.expect(what).unwrap().status;
        assert_eq!(status.signal(), Some(Signal::SIGKILL as i32), "{what}");
    }
}
