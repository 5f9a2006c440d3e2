//! Starts a program so that it cannot outlive this process, and sees only what it needs.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use ffmpeg_sidecar::command::FfmpegCommand;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use super::lines::{LogTail, for_each_line};
use super::sandbox::{Launched, ResourceLimits, SandboxPolicy, launch};
use super::watchdog::processor_time;

/// A program that is about to start.
pub(super) struct Spawn {
    program: PathBuf,
    args: Vec<OsString>,
    policy: SandboxPolicy,
}

impl Spawn {
    /// `program` with `args`, in the sandbox of `policy`.
    pub(super) fn new<S: AsRef<OsStr>>(
        program: &Path,
        args: impl IntoIterator<Item = S>,
        policy: SandboxPolicy,
    ) -> Self {
        Self {
            program: program.to_owned(),
            args: args
                .into_iter()
                .map(|arg| arg.as_ref().to_owned())
                .collect(),
            policy,
        }
    }

    /// Starts the program. The iterator of events of ffmpeg-sidecar is never used: a crafted title
    /// in a source makes it wait forever. tokio waits for the process instead.
    pub(super) async fn start(self) -> io::Result<ProcessGroup> {
        let Self {
            program,
            args,
            policy,
        } = self;
        let (folder, resource_limits) = (policy.folder().to_owned(), policy.resource_limits());

        let command =
            move |first: &Path, before: &[&OsStr]| isolated_command(first, before, &args, &folder);
        let Launched {
            child,
            launch_guard,
        } = launch(&program, policy, command).await?;

        Ok(ProcessGroup {
            child,
            resource_limits,
            _launch_guard: launch_guard,
        })
    }
}

/// `program` in `folder`, in its own process group, without input and without the environment of
/// this process: that contains credentials, proxies to which ffmpeg would send its loopback
/// requests, and `FFREPORT`.
fn isolated_command(
    program: &Path,
    before: &[&OsStr],
    args: &[OsString],
    folder: &Path,
) -> Command {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the only place that starts processes"
    )]
    let mut command = std::process::Command::new(program);
    command
        .env_clear()
        .current_dir(folder)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());

    let mut command = FfmpegCommand::from(command);
    command.args(before).args(args);

    let mut command = Command::from(std::process::Command::from(command));
    command.kill_on_drop(true);
    command
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChildExit {
    /// What the kernel says.
    pub(super) status: ExitStatus,
    /// Whether it ended because it wanted more than its limit of processor time or of a file's
    /// length.
    pub(super) exceeded: bool,
}

impl ChildExit {
    fn of(status: ExitStatus, spent: bool) -> Self {
        let by = |signal: Signal| status.signal() == Some(signal as i32);
        Self {
            status,
            // ffmpeg catches the signal and ends on its own: then the time decides.
            exceeded: by(Signal::SIGXCPU) || by(Signal::SIGXFSZ) || (spent && !status.success()),
        }
    }

    /// Whether it ended on its own with exit code 0.
    pub(super) fn success(self) -> bool {
        self.status.success()
    }

    /// Whether a signal ended it that this process did not send: it crashed, or the kernel ran out
    /// of memory.
    pub(super) fn crashed(self) -> bool {
        self.status.signal().is_some() && !self.exceeded
    }
}

/// A running program and its process group: killed when dropped, then reaped by tokio.
pub(super) struct ProcessGroup {
    child: Child,
    resource_limits: ResourceLimits,
    /// Held as long as the program may live.
    _launch_guard: mpsc::Sender<Infallible>,
}

impl ProcessGroup {
    /// The process id, until the process was reaped.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Standard output and standard error; both only once.
    pub(super) fn pipes(&mut self) -> Option<(ChildStdout, ChildStderr)> {
        Some((self.child.stdout.take()?, self.child.stderr.take()?))
    }

    /// Waits for the end of the program, whose pipes are at their end, and reaps it.
    pub(super) async fn wait(&mut self) -> io::Result<ChildExit> {
        // It is not reaped yet, so the kernel still reports it.
        let spent = self.pid().and_then(processor_time).unwrap_or_default();
        let status = self.child.wait().await?;
        // The kernel counts in hundredths and rounds down.
        let whole = spent + Duration::from_millis(100) >= self.resource_limits.processor;
        Ok(ChildExit::of(status, whole))
    }

    /// Lets the thread go that started the program, as the death of the whole process would.
    #[cfg(test)]
    pub(super) fn release_launch_guard(&mut self) {
        self._launch_guard = mpsc::channel().0;
    }

    /// Kills the whole group at once, since what it wrote is disposable, and reaps the program.
    pub(super) async fn kill(&mut self) {
        self.signal();
        // The error would say that it is gone already.
        let _ = self.child.wait().await;
    }

    fn signal(&self) {
        // No id means reaped: then the number may already belong to someone else.
        if let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.signal();
    }
}

/// What a short program said.
pub(super) struct Output {
    /// How it ended.
    pub(super) ending: ChildExit,
    /// All of its standard output.
    pub(super) stdout: Vec<u8>,
    /// The end of its standard error.
    pub(super) stderr_tail: String,
}

/// Runs a short program to its end. More than `limit` bytes on standard output are an error.
/// Dropping the future kills the program.
pub(super) async fn output(spawn: Spawn, limit: usize) -> io::Result<Output> {
    let mut group = spawn.start().await?;
    let (stdout, stderr) = group.pipes().ok_or(io::ErrorKind::BrokenPipe)?;

    let (mut bytes, mut tail) = (Vec::new(), LogTail::default());
    // One byte more than the limit distinguishes an output that is too long from one that just
    // fits.
    let mut bounded = stdout.take(limit as u64 + 1);
    // Both pipes are read at once: one that is full and that no one reads would block the program.
    tokio::try_join!(
        async {
            bounded.read_to_end(&mut bytes).await?;
            if bytes.len() > limit {
                return Err(io::Error::new(
                    io::ErrorKind::FileTooLarge,
                    format!("it wrote more than {limit} bytes"),
                ));
            }
            Ok(())
        },
        for_each_line(stderr, |line| tail.push(line))
    )?;

    Ok(Output {
        ending: group.wait().await?,
        stdout: bytes,
        stderr_tail: tail.into_text(),
    })
}

/// Runs a program to its end, passing every line of its standard output to `each`; returns how it
/// ended and the end of its standard error. Dropping the future kills the program.
pub(super) async fn lines(spawn: Spawn, each: impl FnMut(&str)) -> io::Result<(ChildExit, String)> {
    let mut group = spawn.start().await?;
    let (stdout, stderr) = group.pipes().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut tail = LogTail::default();
    tokio::try_join!(
        for_each_line(stdout, each),
        for_each_line(stderr, |line| tail.push(line))
    )?;
    Ok((group.wait().await?, tail.into_text()))
}
