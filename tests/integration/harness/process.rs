//! A process of a test: started, signalled, waited for, and gone when the test is.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use super::until;

/// How many bytes of a log a failing test shows.
const SHOWN: usize = 8 * 1024;

/// The one door through which the tests start programs. What it starts dies with its handle.
#[expect(
    clippy::disallowed_methods,
    reason = "tests start the program and the services it needs"
)]
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.kill_on_drop(true).stdin(Stdio::null());
    command
}

/// A program this checkout's `make tools` installed, else the one on PATH.
pub(crate) fn tool(name: &str) -> PathBuf {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(".tools/venv/bin")
        .join(name);
    if ours.exists() {
        ours
    } else {
        PathBuf::from(name)
    }
}

/// Runs a program to its end and returns its standard output; a failure shows what it said.
pub(crate) async fn output_of(command: &mut Command) -> Vec<u8> {
    let shown = format!("{:?}", command.as_std());
    let output = command
        .output()
        .await
        .unwrap_or_else(|error| panic!("cannot start {shown}: {error}; run `make tools`"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{shown} ended with {}: {said}",
        output.status
    );
    output.stdout
}

/// Ends all processes that name `path` in an argument or work in it, as the loss of their machine
/// would.
pub(crate) fn kill_mentioning(path: &Path) {
    for (id, _) in processes_mentioning(path) {
        // One that ended meanwhile needs no killing.
        let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
    }
}

/// The command lines of all processes that name `path` in an argument or work in it.
pub(crate) fn mentioning(path: &Path) -> Vec<String> {
    let processes = processes_mentioning(path).into_iter();
    processes.map(|(_, arguments)| arguments).collect()
}

fn processes_mentioning(path: &Path) -> Vec<(i32, String)> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let folder = entry.ok()?.path();
        let id: i32 = folder.file_name()?.to_str()?.parse().ok()?;
        let arguments = String::from_utf8_lossy(&std::fs::read(folder.join("cmdline")).ok()?)
            .replace('\0', " ");
        let works_there =
            std::fs::read_link(folder.join("cwd")).is_ok_and(|cwd| cwd.starts_with(path));
        // One that has ended but was not waited for has no arguments any more.
        (!arguments.is_empty() && (works_there || arguments.contains(path.to_str()?)))
            .then_some((id, arguments))
    });
    processes.collect()
}

/// A running process whose output goes to a file, which a failing test shows.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; its standard output and error go to `<folder>/<name>.log`.
    pub(crate) fn start(mut command: Command, name: &str, folder: &Path) -> Self {
        let log = folder.join(format!("{name}.log"));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);

        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self {
            name: name.to_owned(),
            child,
            log,
        }
    }

    /// Its process id; panics when it has been waited for.
    pub(crate) fn id(&self) -> i32 {
        let id = self
            .child
            .id()
            .unwrap_or_else(|| panic!("{} has ended", self.name));
        i32::try_from(id).unwrap()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.id()), signal)
            .unwrap_or_else(|error| panic!("{signal} to {}: {error}", self.name));
    }

    /// Waits until it stands still, as after `kill -STOP`.
    pub(crate) async fn has_stopped(&self) {
        let stat = format!("/proc/{}/stat", self.id());
        until(&format!("{} stands still", self.name), async || {
            std::fs::read_to_string(&stat).unwrap().contains(") T ")
        })
        .await;
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    pub(crate) async fn ended_within(&mut self, limit: Duration) -> ExitStatus {
        match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(status) => status.unwrap(),
            Err(_) => panic!("{} did not end within {limit:?}", self.name),
        }
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = self.said();
            let tail = &said[said.ceil_char_boundary(said.len().saturating_sub(SHOWN))..];
            eprintln!("---- the end of what {} said ----\n{tail}", self.name);
        }
    }
}
