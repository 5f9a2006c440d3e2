//! One supervised run of ffmpeg: its progress, its deadlines, its end. Whatever happens, the
//! process group is killed and reaped.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use streams::Code;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::child::{ProcessGroup, Spawn};
use super::lines::{LogTail, for_each_line};
use super::progress::ProgressParser;
pub use super::progress::ProgressUpdate;
use super::sandbox::SandboxPolicy;
use super::tool::Tool;
use super::watchdog::{Work, cpu_ticks, stalled};

/// The exit code of a run with more decoding errors than `-max_error_rate` allows.
const DAMAGED_EXIT_CODE: i32 = 69;

/// How long a run may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From start to end.
    pub wall: Duration,
    /// Without frames, external work and processor time moving.
    pub stall: Duration,
}

impl Limits {
    /// A run without progress for this long is stalled.
    pub const STALL: Duration = Duration::from_secs(120);

    /// At most `wall` in total, and [`Limits::STALL`] without progress.
    #[must_use]
    pub const fn new(wall: Duration) -> Self {
        Self {
            wall,
            stall: Self::STALL,
        }
    }
}

/// A run that is about to start.
pub struct Run<'a> {
    /// The program.
    pub tool: &'a Tool,
    /// Its arguments, which ask for `-progress pipe:1`.
    pub args: &'a [String],
    /// What it may access and use: the folder in which it runs and writes, and its source. The
    /// folders of its output must exist.
    pub policy: SandboxPolicy,
    /// How long it may take.
    pub limits: Limits,
    /// Cancelled when the run shall stop.
    pub stop: &'a CancellationToken,
    /// Counts work the process does not show itself, e.g. bytes its source server fetched.
    pub external_work: &'a (dyn Fn() -> u64 + Send + Sync),
    /// Receives how far it is, about twice a second.
    pub ticks: &'a watch::Sender<ProgressUpdate>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Exit {
    /// Why it ended.
    pub end: End,
    /// The last few KiB of its log. It names no host but loopback, since none is in the arguments.
    pub stderr_tail: String,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// On its own, with exit code 0. That proves nothing: the output must still pass the gate.
    Finished,
    /// On its own with an error, or by a signal of another process.
    Failed(ExitStatus),
    /// Because it was asked to.
    Stopped,
    /// It wanted more processor time, or a longer file, than its plan can need.
    Exceeded,
    /// Nothing moved for the stall time.
    Stalled,
    /// It took longer than it may.
    TimedOut,
}

impl Exit {
    /// The failure code of this end; nothing for a run that finished or was stopped.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self.end {
            End::Finished | End::Stopped => None,
            // What asks for so much more than its plan is a trap, and would be one again.
            End::Exceeded => Some(Code::ExceedsPolicy),
            End::Failed(status) if status.code() == Some(DAMAGED_EXIT_CODE) => {
                Some(Code::DecodeErrors)
            }
            End::Failed(_) if self.stderr_tail.contains("No space left on device") => {
                Some(Code::DiskFull)
            }
            End::Failed(_) => Some(Code::FfmpegCrashed),
            End::Stalled | End::TimedOut => Some(Code::FfmpegStalled),
        }
    }
}

/// Runs ffmpeg until it ends, is stopped, or is over a limit. Dropping the future kills and reaps
/// the process too.
///
/// # Errors
/// When the program cannot be started or its pipes break.
pub async fn run(run: Run<'_>) -> io::Result<Exit> {
    let mut group = Spawn::new(&run.tool.ffmpeg, run.args, run.policy.clone())
        .start()
        .await?;

    let mut tail = LogTail::default();
    let end = supervise(&run, &mut group, &mut tail).await;

    // If the process has already ended and is reaped, this does nothing.
    group.kill().await;
    Ok(Exit {
        end: end?,
        stderr_tail: tail.into_text(),
    })
}

async fn supervise(run: &Run<'_>, group: &mut ProcessGroup, tail: &mut LogTail) -> io::Result<End> {
    let pid = group.pid();
    let (stdout, stderr) = group.pipes().ok_or(io::ErrorKind::BrokenPipe)?;

    let mut progress = ProgressParser::default();
    let read = async {
        tokio::try_join!(
            for_each_line(stdout, |line| {
                if let Some(tick) = progress.line(line) {
                    run.ticks.send_replace(tick);
                }
            }),
            for_each_line(stderr, |line| tail.push(line)),
        )?;
        group.wait().await
    };

    let work = || {
        let tick = *run.ticks.borrow();
        Work {
            frames: tick.frames,
            out_time: tick.out_time,
            external: (run.external_work)(),
            // Less than a hundredth of a processor is not work: when it is out of memory, ffmpeg
            // can retry forever and sleep in between. As many ticks as the stall time has seconds
            // are that share, because ticks are hundredths of a second.
            cpu: pid.and_then(cpu_ticks).unwrap_or(0) / run.limits.stall.as_secs().max(1),
        }
    };

    // The order counts: a run that is stopped says so, even where it ends at the same moment.
    tokio::select! {
        biased;
        () = run.stop.cancelled() => Ok(End::Stopped),
        ending = read => ending.map(|ending| match ending {
            ending if ending.success() => End::Finished,
            ending if ending.exceeded => End::Exceeded,
            ending => End::Failed(ending.status),
        }),
        () = stalled(run.limits.stall, work) => Ok(End::Stalled),
        () = tokio::time::sleep(run.limits.wall) => Ok(End::TimedOut),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::ResourceLimits;
    use crate::testing::{make, tool};
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};

    const WALL: Duration = Duration::from_secs(60);

    struct Bench {
        folder: tempfile::TempDir,
        tool: Tool,
        limits: Limits,
        stop: CancellationToken,
        ticks: watch::Sender<ProgressUpdate>,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                folder: tempfile::tempdir().unwrap(),
                tool: tool(),
                limits: Limits::new(WALL),
                stop: CancellationToken::new(),
                ticks: watch::Sender::new(ProgressUpdate::default()),
            }
        }

        /// A bench whose ffmpeg is a shell script.
        fn scripted(script: &str) -> Self {
            let mut bench = Self::new();
            bench.tool.ffmpeg = bench.folder.path().join("ffmpeg");
            std::fs::write(&bench.tool.ffmpeg, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&bench.tool.ffmpeg, std::fs::Permissions::from_mode(0o755))
                .unwrap();
            bench
        }

        async fn run(&self, args: &str) -> Exit {
            self.run_with(ResourceLimits::readback(), args).await
        }

        async fn run_with(&self, resource_limits: ResourceLimits, args: &str) -> Exit {
            let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
            run(Run {
                tool: &self.tool,
                args: &args,
                policy: SandboxPolicy::new(resource_limits).workdir(self.folder.path()),
                limits: self.limits,
                stop: &self.stop,
                external_work: &|| 0,
                ticks: &self.ticks,
            })
            .await
            .unwrap()
        }

        fn pid(&self) -> PathBuf {
            let pid = std::fs::read_to_string(self.folder.path().join("pid")).unwrap();
            PathBuf::from(format!("/proc/{}", pid.trim()))
        }
    }

    /// Waits until the process of a `/proc` folder is dead: gone, or not yet reaped by init.
    async fn dead(process: &Path) {
        let alive = || {
            std::fs::read_to_string(process.join("stat")).is_ok_and(|stat| !stat.contains(") Z "))
        };
        let gone = async {
            while alive() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(WALL, gone).await.unwrap();
    }

    #[tokio::test]
    async fn a_title_that_looks_like_progress_neither_hangs_the_run_nor_spoofs_it() {
        let bench = Bench::new();
        let source = "-f lavfi -i testsrc=s=64x64:r=25:d=3 -metadata title=TITLE";
        let source: Vec<String> = source.split_whitespace().map(str::to_owned).collect();

        let mut args: Vec<String> = ["-v", "error", "-nostdin", "-y"].map(str::to_owned).into();
        args.extend(source);
        // Put in afterwards, since the arguments are split at spaces.
        *args.last_mut().unwrap() =
            "title=size=1kB time=00:00:01 bitrate=1kbits/s speed=1x\nprogress=end".to_owned();
        args.push("crafted.mp4".to_owned());

        let made = run(Run {
            tool: &bench.tool,
            args: &args,
            policy: SandboxPolicy::new(ResourceLimits::readback()).workdir(bench.folder.path()),
            limits: bench.limits,
            stop: &bench.stop,
            external_work: &|| 0,
            ticks: &bench.ticks,
        });
        assert_eq!(made.await.unwrap().end, End::Finished);

        let exit = bench
            .run("-nostdin -i crafted.mp4 -f null - -progress pipe:1 -nostats")
            .await;
        assert_eq!(exit.end, End::Finished);
        assert!(
            exit.stderr_tail.contains("bitrate=1kbits/s"),
            "the title is in the log: {}",
            exit.stderr_tail
        );

        let tick = *bench.ticks.borrow();
        assert!(tick.done && tick.frames == 75, "{tick:?}");
    }

    #[tokio::test]
    async fn a_failing_run_says_so_with_the_end_of_its_log() {
        let bench = Bench::new();
        let exit = bench
            .run("-nostdin -i nothing.mp4 -f null - -progress pipe:1 -nostats")
            .await;
        assert!(matches!(exit.end, End::Failed(_)));
        assert!(
            exit.stderr_tail.contains("No such file"),
            "{}",
            exit.stderr_tail
        );
        assert_eq!(exit.code(), Some(Code::FfmpegCrashed));
    }

    #[tokio::test]
    async fn a_full_disk_is_told_from_other_ends() {
        let exit = Bench::scripted(
            "echo 'av_interleaved_write_frame(): No space left on device' >&2; exit 1",
        )
        .run("")
        .await;
        assert_eq!(exit.code(), Some(Code::DiskFull));
    }

    #[tokio::test]
    async fn a_run_that_wants_more_than_its_plan_can_need_is_over_a_limit_for_good() {
        let bench = Bench::new();
        let mut resource_limits = ResourceLimits::readback();
        resource_limits.file = 100_000;

        let args =
            "-nostdin -v error -f lavfi -i testsrc=s=640x360:r=25 -c:v rawvideo -f rawvideo frames";
        let exit = bench.run_with(resource_limits, args).await;
        assert_eq!(
            (exit.end, exit.code()),
            (End::Exceeded, Some(Code::ExceedsPolicy))
        );

        resource_limits.processor = Duration::from_secs(1);
        let args = "-nostdin -v error -f lavfi -i testsrc=s=640x360:r=25 -c:v libx264 -f null -";
        let exit = bench.run_with(resource_limits, args).await;
        assert_eq!(
            (exit.end, exit.code()),
            (End::Exceeded, Some(Code::ExceedsPolicy))
        );
    }

    #[tokio::test]
    async fn a_run_that_a_signal_ends_has_crashed_and_may_be_tried_again() {
        for signal in ["SEGV", "KILL", "ABRT"] {
            let exit = Bench::scripted(&format!("kill -{signal} $$")).run("").await;
            assert!(matches!(exit.end, End::Failed(_)), "{:?}", exit.end);
            assert_eq!(exit.code(), Some(Code::FfmpegCrashed), "{signal}");
        }
    }

    #[tokio::test]
    async fn a_run_that_only_naps_is_stalled_although_it_wakes_up() {
        let mut bench =
            Bench::scripted("exec /usr/bin/perl -e 'select(undef, undef, undef, 0.01) while 1'");
        bench.limits.stall = Duration::from_secs(2);
        assert_eq!(bench.run("").await.end, End::Stalled);
    }

    #[tokio::test]
    async fn a_run_that_only_waits_is_stalled_and_leaves_no_process() {
        let mut bench = Bench::scripted("echo $$ > pid; exec sleep 1000");
        bench.limits.stall = Duration::from_millis(200);
        let exit = bench.run("").await;
        assert_eq!(
            (exit.end, exit.code()),
            (End::Stalled, Some(Code::FfmpegStalled))
        );
        assert!(!bench.pid().exists());
    }

    #[tokio::test]
    async fn a_run_that_only_burns_time_is_over_at_its_wall() {
        let mut bench = Bench::scripted("while :; do :; done");
        // The stall time is the shorter one: it does not end the run, for processor time counts as
        // work.
        bench.limits = Limits {
            wall: Duration::from_millis(600),
            stall: Duration::from_millis(400),
        };
        assert_eq!(bench.run("").await.end, End::TimedOut);
    }

    #[tokio::test]
    async fn stopping_kills_the_whole_group_at_once() {
        // The grandchild ignores everything but SIGKILL and holds the pipes open.
        let bench = Bench::scripted(
            "(trap '' TERM INT; while :; do sleep 1000; done) & echo $! > pid; echo progress=continue; wait",
        );

        let mut started = bench.ticks.subscribe();
        let stop = async {
            started.changed().await.unwrap();
            bench.stop.cancel();
        };

        let (exit, ()) = tokio::join!(bench.run(""), stop);
        assert_eq!((exit.end, exit.code()), (End::Stopped, None));
        dead(&bench.pid()).await;
    }

    #[tokio::test]
    async fn dropping_the_run_kills_it() {
        let bench = Bench::scripted("echo $$ > pid; echo progress=continue; exec sleep 1000");
        let mut started = bench.ticks.subscribe();
        tokio::select! {
            _ = bench.run("") => panic!("it ended"),
            changed = started.changed() => changed.unwrap(),
        }
        dead(&bench.pid()).await;
    }

    #[tokio::test]
    async fn progress_ends_with_the_number_of_frames() {
        let bench = Bench::new();
        make(
            bench.folder.path(),
            "a.mp4",
            "-f lavfi -i testsrc=s=64x64:r=10:d=2",
        )
        .await;
        bench
            .run("-nostdin -i a.mp4 -f null - -progress pipe:1 -nostats")
            .await;
        let tick = *bench.ticks.borrow();
        assert_eq!((tick.frames, tick.done), (20, true));
    }
}
