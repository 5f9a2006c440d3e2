//! Starting a program so that it can neither outlive us nor see what it need not.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use ffmpeg_sidecar::command::FfmpegCommand;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use super::lines::{Tail, for_each_line};

/// A program that is about to start.
pub(super) struct Spawn(FfmpegCommand);

impl Spawn {
    /// `program` with `args`, in its own process group, with no input and without our environment: that holds credentials, proxies
    /// that ffmpeg would send its loopback requests to, and `FFREPORT`.
    pub(super) fn new<S: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = S>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one door to processes")]
        let mut command = std::process::Command::new(program);
        command
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut command = FfmpegCommand::from(command);
        command.args(args);
        Self(command)
    }

    /// Runs in `folder`.
    pub(super) fn in_folder(mut self, folder: &Path) -> Self {
        self.0.as_inner_mut().current_dir(folder);
        self
    }

    /// Starts the program. The iterator of events of ffmpeg-sidecar is never used: a crafted title in a source makes it wait for
    /// ever. The process is waited for by tokio instead.
    pub(super) fn start(self) -> io::Result<Group> {
        let mut command = Command::from(std::process::Command::from(self.0));
        Ok(Group(command.kill_on_drop(true).spawn()?))
    }
}

/// A running program and its process group: killed when dropped, then reaped by tokio.
pub(super) struct Group(Child);

impl Group {
    /// The process id, until the process was reaped.
    pub(super) fn pid(&self) -> Option<u32> {
        self.0.id()
    }

    /// Standard output and standard error; both only once.
    pub(super) fn pipes(&mut self) -> Option<(ChildStdout, ChildStderr)> {
        Some((self.0.stdout.take()?, self.0.stderr.take()?))
    }

    /// Waits for the end of the program and reaps it.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait().await
    }

    /// Kills the whole group at once, since what it wrote is disposable, and reaps the program.
    pub(super) async fn kill(&mut self) {
        self.signal();
        // The error would say that it is gone already.
        let _ = self.0.wait().await;
    }

    fn signal(&self) {
        // No id means reaped: then the number may already belong to somebody else.
        if let Some(pid) = self.0.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal();
    }
}

/// What a short program said.
pub(super) struct Output {
    /// How it ended.
    pub(super) status: ExitStatus,
    /// All of its standard output.
    pub(super) stdout: Vec<u8>,
    /// The end of its standard error.
    pub(super) stderr_tail: String,
}

/// Runs a short program to its end. More than `limit` bytes on standard output are an error. Dropping the future kills the program.
pub(super) async fn output(spawn: Spawn, limit: usize) -> io::Result<Output> {
    let mut group = spawn.start()?;
    let (stdout, stderr) = group.pipes().ok_or(io::ErrorKind::BrokenPipe)?;
    let (mut bytes, mut tail) = (Vec::new(), Tail::default());
    let mut bounded = stdout.take(limit as u64 + 1);
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
        status: group.wait().await?,
        stdout: bytes,
        stderr_tail: tail.into_text(),
    })
}

/// Runs a program to its end, passing every line of its standard output to `each`; returns how it ended and the end of its standard
/// error. Dropping the future kills the program.
pub(super) async fn lines(spawn: Spawn, each: impl FnMut(&str)) -> io::Result<(ExitStatus, String)> {
    let mut group = spawn.start()?;
    let (stdout, stderr) = group.pipes().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut tail = Tail::default();
    tokio::try_join!(
        for_each_line(stdout, each),
        for_each_line(stderr, |line| tail.push(line))
    )?;
    Ok((group.wait().await?, tail.into_text()))
}
