//! Processes of the program itself: `fluxhls run`, and its other commands.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::output::http;
use super::process::{Process, command, tool};
use super::until;
use super::world::World;

/// A `fluxhls run` that is about to start.
#[derive(Debug)]
pub(crate) struct Worker<'a> {
    world: &'a World,
    name: String,
    roles: &'a str,
    settings: Vec<(String, String)>,
}

/// The program as cargo built it for this test.
pub(crate) fn fluxhls() -> Command {
    let mut program = command(env!("CARGO_BIN_EXE_fluxhls"));
    // Nothing of the developer's own environment is to reach the tests but what finds programs and
    // folders.
    program.env_clear();
    let kept = std::env::vars_os()
        .filter(|(name, _)| name == "PATH" || name == "HOME" || name == "TMPDIR");
    program.envs(kept).env("RUST_BACKTRACE", "1");
    program
}

impl<'a> Worker<'a> {
    pub(super) fn new(world: &'a World, name: &str) -> Self {
        Self {
            world,
            name: name.to_owned(),
            roles: "intake,plan,encode,package,project",
            settings: Vec::new(),
        }
    }

    /// Some of the roles instead of all.
    pub(crate) fn roles(mut self, roles: &'a str) -> Self {
        self.roles = roles;
        self
    }

    /// One more environment variable.
    pub(crate) fn setting(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.push((name.to_owned(), value.to_string()));
        self
    }

    /// Dies as by `kill -9` the first time it reaches this step.
    pub(crate) fn dies_at(self, step: &str) -> Self {
        self.setting("FLUXHLS_CRASH_AT", step)
    }

    /// Stands still as by `kill -STOP` the first time it reaches this step.
    pub(crate) fn pauses_at(self, step: &str) -> Self {
        self.setting("FLUXHLS_PAUSE_AT", step)
    }

    /// Panics each time it reaches this step.
    pub(crate) fn panics_at(self, step: &str) -> Self {
        self.setting("FLUXHLS_PANIC_AT", step)
    }

    /// Starts it.
    pub(crate) fn start(self) -> Process {
        let mut program = fluxhls();
        program
            .args(["run", "--roles", self.roles])
            .envs(self.world.environment())
            .env("WORKER_NAME", &self.name)
            .env("WORK_DIR", work_dir(self.world, &self.name))
            .envs(self.settings);
        Process::start(program, &self.name, self.world.folder())
    }
}

/// A page of a worker's own HTTP server, such as `/readyz`; waits until the worker has told where
/// that is.
pub(crate) async fn page(worker: &Process, path: &str) -> http::Answer {
    let url = format!("http://{}{path}", address(worker).await);
    http::get(&url.parse().unwrap()).await
}

/// Where a worker's own HTTP server is, as host and port.
pub(crate) async fn address(worker: &Process) -> String {
    let named = || {
        let said = worker.said();
        let address = said.split("address=").nth(1)?.split_whitespace().next()?;
        Some(address.to_owned())
    };
    until("the worker names its address", async || named().is_some()).await;
    named().unwrap()
}

/// What a worker says of its readiness.
pub(crate) async fn readiness(worker: &Process) -> http::Answer {
    page(worker, "/readyz").await
}

/// The folder a worker works in.
pub(crate) fn work_dir(world: &World, name: &str) -> PathBuf {
    world.folder().join(format!("work-{name}"))
}

/// What a command of the program said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    /// Exit code; nothing when a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

/// Runs a command of the program to its end.
pub(crate) async fn say(world: &World, arguments: &[&str]) -> Said {
    say_in(world.environment(), arguments).await
}

/// Runs a command of the program to its end in an environment of these variables.
pub(crate) async fn say_in(
    environment: BTreeMap<&'static str, String>,
    arguments: &[&str],
) -> Said {
    let mut program = fluxhls();
    program.args(arguments).envs(environment);
    let limit = Duration::from_secs(120);
    let output = tokio::time::timeout(limit, program.output()).await;
    let output = output
        .unwrap_or_else(|_| panic!("fluxhls {arguments:?} did not end within {limit:?}"))
        .unwrap();

    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Starts `fluxhls dev` in an empty folder; the ports are looked for from `ports` upwards.
pub(crate) fn dev(folder: &Path, ports: u16, arguments: &[&str]) -> Process {
    let mut program = fluxhls();
    program.current_dir(folder).arg("dev").args(arguments);
    for (flag, offset) in [("--http-port", 0), ("--nats-port", 100), ("--s3-port", 200)] {
        program.args([flag, &(ports + offset).to_string()]);
    }

    let nats_server = tool("nats-server");
    if nats_server.is_absolute() {
        program.env("NATS_SERVER", nats_server);
    }
    Process::start(program, "dev", folder)
}
