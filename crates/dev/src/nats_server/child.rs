//! The child process, owned by one thread that starts it, waits for it and ends it.
//!
//! The kernel's parent-death signal fires when the *thread* that started the child ends. A thread
//! of the async runtime may end early, so the child gets its own thread, which lives exactly as
//! long as the child. That thread is also the only one that signals and reaps, so a signal can
//! never reach another process that got the process id of the child later.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// How the server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildEnd {
    /// On its own, or when asked to.
    Exited(ExitStatus),
    /// By SIGKILL: it outlived its grace, or no one waited for it any more.
    Killed,
}

impl fmt::Display for ChildEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => status.fmt(f),
            Self::Killed => f.write_str("killed"),
        }
    }
}

/// A running child; dropping it kills the child and waits until it has ended.
#[derive(Debug)]
pub(super) struct Child {
    /// Each message asks for an end within that grace; closing the channel kills at once.
    orders: Option<mpsc::Sender<Duration>>,
    ending: watch::Receiver<Option<ChildEnd>>,
    thread: Option<JoinHandle<()>>,
    id: u32,
}

/// What the child is made of.
#[derive(Debug)]
pub(super) struct Launch {
    /// Program and arguments; never empty.
    pub(super) arguments: Vec<OsString>,
    /// Given to the child as its standard input, hence open for as long as it lives.
    pub(super) held: File,
    /// Takes standard output and standard error.
    pub(super) log: File,
}

impl Child {
    /// Starts the child in its own process group, so that Ctrl+C in the terminal does not reach it
    /// before the parts that need it are done.
    pub(super) async fn start(launch: Launch) -> io::Result<Self> {
        let (orders, inbox) = mpsc::channel(1);
        let (publish, ending) = watch::channel(None);
        let (started, start) = oneshot::channel();

        let thread = thread::Builder::new()
            .name("nats-server".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                let outcome = match runtime {
                    Ok(runtime) => runtime.block_on(run_child(launch, started, inbox)),
                    Err(error) => return drop(started.send(Err(error))),
                };
                publish.send_replace(outcome);
            })?;

        let id = start.await.map_err(io::Error::other)??;
        Ok(Self {
            orders: Some(orders),
            ending,
            thread: Some(thread),
            id,
        })
    }

    /// The process id, which is also the id of its process group.
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Waits until the child has ended, without ending it.
    pub(super) async fn ended(&mut self) -> ChildEnd {
        match self.ending.wait_for(Option::is_some).await {
            Ok(ending) => ending.unwrap_or(ChildEnd::Killed),
            Err(_) => ChildEnd::Killed,
        }
    }

    /// Asks with SIGTERM, and after `grace` ends it with SIGKILL.
    pub(super) async fn stop(mut self, grace: Duration) -> ChildEnd {
        if let Some(orders) = &self.orders {
            // Refused only if the child has already ended, which `ended` then reports.
            let _already_ended = orders.send(grace).await;
        }
        self.ended().await
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.orders.take();
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// The whole life of the child: `None` when it could not be started.
async fn run_child(
    launch: Launch,
    started: oneshot::Sender<io::Result<u32>>,
    mut orders: mpsc::Receiver<Duration>,
) -> Option<ChildEnd> {
    let mut child = match spawn(launch) {
        Ok(child) => child,
        Err(error) => {
            let _nobody_waits = started.send(Err(error));
            return None;
        }
    };

    let group = child.id().unwrap_or_default();
    let _nobody_waits = started.send(Ok(group));

    let grace = tokio::select! {
        status = child.wait() => return Some(status.map_or(ChildEnd::Killed, ChildEnd::Exited)),
        grace = orders.recv() => grace,
    };

    if let Some(grace) = grace {
        signal(group, Signal::SIGTERM);
        if let Ok(Ok(status)) = timeout(grace, child.wait()).await {
            return Some(ChildEnd::Exited(status));
        }
    }

    // Either the grace is over, or the handle was dropped without asking for an end.
    signal(group, Signal::SIGKILL);
    let _reaped = child.wait().await;
    Some(ChildEnd::Killed)
}

fn spawn(launch: Launch) -> io::Result<tokio::process::Child> {
    let (program, arguments) = launch
        .arguments
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no program to start"))?;
    command(program)
        .args(arguments)
        .process_group(0)
        .stdin(launch.held)
        .stdout(launch.log.try_clone()?)
        .stderr(launch.log)
        .spawn()
}

/// Signals the whole group; the caller has not reaped its leader yet, so the id is still that of
/// the child.
fn signal(group: u32, signal: Signal) {
    if let Ok(group) = i32::try_from(group)
        && group > 1
    {
        let _already_gone = killpg(Pid::from_raw(group), signal);
    }
}

/// A command that is killed with its handle and has no terminal to read from.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where `dev` starts processes"
)]
pub(super) fn command(program: &OsStr) -> Command {
    let mut command = Command::new(program);
    command.kill_on_drop(true).stdin(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    /// A child that runs `script`, with the reading end of what it prints.
    async fn shell(script: &str) -> (Child, File) {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let launch = Launch {
            arguments: ["sh", "-c", script].map(OsString::from).to_vec(),
            held: File::open("/dev/null").unwrap(),
            log: File::from(writer),
        };
        (Child::start(launch).await.unwrap(), File::from(reader))
    }

    async fn wait_for_line(mut output: File) -> File {
        tokio::task::spawn_blocking(move || {
            let mut byte = [0];
            while output.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {}
            output
        })
        .await
        .unwrap()
    }

    /// Ends only when every process that holds the writing end has ended.
    async fn wait_for_silence(mut output: File) {
        tokio::task::spawn_blocking(move || output.read_to_end(&mut Vec::new()).unwrap())
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_child_that_obeys_sigterm_is_not_killed() {
        let (child, output) =
            shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done").await;
        let output = wait_for_line(output).await;
        let ending = child.stop(Duration::from_secs(30)).await;
        assert_eq!(ending, ChildEnd::Exited(ExitStatus::from_raw(7 << 8)));
        wait_for_silence(output).await;
    }

    #[tokio::test]
    async fn a_child_that_ignores_sigterm_is_killed_with_its_whole_group() {
        let (child, output) = shell("trap '' TERM; sleep 600 & echo ready; wait; wait").await;
        let output = wait_for_line(output).await;
        assert_eq!(
            child.stop(Duration::from_millis(50)).await,
            ChildEnd::Killed
        );
        wait_for_silence(output).await;
    }

    #[tokio::test]
    async fn dropping_the_handle_leaves_nothing_behind() {
        let (child, output) = shell("sleep 600 & echo ready; wait").await;
        let output = wait_for_line(output).await;
        drop(child);
        wait_for_silence(output).await;
    }

    #[tokio::test]
    async fn a_child_that_ends_by_itself_is_noticed() {
        let (mut child, _output) = shell("exit 3").await;
        assert_eq!(
            child.ended().await,
            ChildEnd::Exited(ExitStatus::from_raw(3 << 8))
        );
        assert_eq!(
            child.stop(Duration::from_secs(1)).await,
            ChildEnd::Exited(ExitStatus::from_raw(3 << 8))
        );
    }

    #[tokio::test]
    async fn a_program_that_does_not_exist_is_an_error() {
        let launch = Launch {
            arguments: vec!["/nowhere/at-all".into()],
            held: File::open("/dev/null").unwrap(),
            log: tempfile::tempfile().unwrap(),
        };
        assert_eq!(
            Child::start(launch).await.unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
