//! What is broken: workers, projectors, nats-server, PostgreSQL, and the storage behind its proxy.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::schedule::{GRACE_PERIOD, PROJECTORS, WORKERS};
use crate::harness::process::{Process, kill_mentioning, mentioning};
use crate::harness::proxy::Fault;
use crate::harness::worker::work_dir;
use crate::harness::world::World;
use migration::testing::Cluster;

/// The password in the URLs of NATS and PostgreSQL, although neither requires one: no log may ever
/// show it.
pub(super) const PASSWORD: &str = "correct-horse-battery-staple";

/// What a process writes once it has all its roles.
const STARTED: &str = " runs address=";

/// The profile of every job: several chunks soon, and little work in each.
const PROFILE: &str = r#"[profiles.chaos]
about = "As little work as a ladder of two rungs can be."
segment = 1
encoder = "libx264"
preset = "ultrafast"
per_title = false
rungs = [{ short_side = 90, crf = 30, maxrate = 200_000 }, { short_side = 60, crf = 32, maxrate = 100_000 }]
"#;

/// A process that is started again whenever it is gone.
#[derive(Debug)]
pub(super) struct Member {
    /// Its name in attempts and logs.
    pub(super) name: String,
    roles: &'static str,
    process: Option<Process>,
    /// Whether it was killed and is to stay so for now.
    down: bool,
    /// Whether it was asked to stop.
    leaving: bool,
    /// Bytes of its log when it was started.
    logged: usize,
    /// How it ended though no one had killed it, with the end of its log.
    ends: Vec<String>,
}

/// Everything that can be broken.
#[derive(Debug)]
pub(super) struct Fleet {
    /// Streams, tables and objects.
    pub(super) world: World,
    /// Where the tables are.
    pub(super) cluster: Cluster,
    /// The workers.
    pub(super) workers: Vec<Member>,
    /// The projectors.
    pub(super) projectors: Vec<Member>,
    ladder: PathBuf,
}

impl Fleet {
    /// Starts everything. A silent worker loses its task after `ack_wait`.
    pub(super) async fn start(ack_wait: Duration) -> Self {
        let cluster = Cluster::start().await;
        let world = World::on(&cluster).await;
        world.redeliver_after(ack_wait).await;
        let ladder = world.folder().join("ladder.toml");
        std::fs::write(&ladder, PROFILE).unwrap();
        let members = |name: &str, roles: &'static str, number: usize| -> Vec<Member> {
            (0..number)
                .map(|n| Member {
                    name: format!("{name}-{n}"),
                    roles,
                    process: None,
                    down: false,
                    leaving: false,
                    logged: 0,
                    ends: Vec::new(),
                })
                .collect()
        };
        let mut fleet = Self {
            workers: members("worker", "intake,plan,encode,package", WORKERS),
            projectors: members("projector", "project", PROJECTORS),
            world,
            cluster,
            ladder,
        };
        fleet.raise();
        fleet
    }

    /// What a command of the program has to know.
    pub(super) fn environment(&self) -> BTreeMap<&'static str, String> {
        let mut environment = self.world.environment();
        for (name, user) in [
            ("NATS_URL", "nats://"),
            ("DATABASE_URL", "postgres://fluxhls@"),
        ] {
            let with = format!("{}fluxhls:{PASSWORD}@", user.trim_end_matches("fluxhls@"));
            let url = environment[name].replacen(user, &with, 1);
            environment.insert(name, url);
        }
        environment.insert("LADDER_FILE", self.ladder.display().to_string());
        environment.insert("SOURCE_WAIT", "3".to_owned());
        environment.insert("GRACE_PERIOD", GRACE_PERIOD.to_string());
        environment
    }

    /// Starts every process that is not there and was not killed.
    pub(super) fn raise(&mut self) {
        let environment = self.environment();
        let Self {
            world,
            workers,
            projectors,
            ..
        } = self;
        for member in workers.iter_mut().chain(projectors) {
            member.mourn();
            if member.process.is_none() && !member.down {
                let worker = world.worker(&member.name).roles(member.roles);
                let settings = environment.iter();
                let worker =
                    settings.fold(worker, |worker, (name, value)| worker.setting(name, value));
                let process = worker.start();
                member.logged = process.said().len();
                member.process = Some(process);
            }
        }
    }

    /// Kills all of it at the same moment, with every ffmpeg, as if the machine had lost its power.
    pub(super) async fn kill_host(&mut self) {
        self.world.nats.kill().await;
        self.cluster.kill().await;
        for member in self.workers.iter_mut().chain(&mut self.projectors) {
            member.kill().await;
        }
        for folder in self.work_dirs() {
            kill_mentioning(&folder);
        }
    }

    /// Starts all of it again.
    pub(super) async fn raise_host(&mut self) {
        self.world.nats.restart().await;
        self.cluster.restart().await;
        for member in self.workers.iter_mut().chain(&mut self.projectors) {
            member.down = false;
        }
    }

    /// Makes the storage misbehave.
    pub(super) fn storage(&self, fault: Fault) {
        self.world.proxy.set(fault);
    }

    /// Ends every process as an operator does, and returns how each ended.
    pub(super) async fn stop(&mut self) -> Vec<(String, ExitStatus)> {
        let mut ends = Vec::new();
        for member in self.workers.iter_mut().chain(&mut self.projectors) {
            if let Some(process) = &member.process {
                process.signal(Signal::SIGTERM);
            }
        }
        for member in self.workers.iter_mut().chain(&mut self.projectors) {
            let mut process = member.process.take().unwrap();
            let ended = process.ended_within(Duration::from_secs(60)).await;
            ends.push((member.name.clone(), ended));
        }
        ends
    }

    /// The folders the workers work in.
    pub(super) fn work_dirs(&self) -> Vec<PathBuf> {
        let members = self.workers.iter();
        members
            .map(|member| work_dir(&self.world, &member.name))
            .collect()
    }

    /// Everything that is left in the folders of the workers, and every process that works there.
    pub(super) fn left_behind(&self) -> Vec<String> {
        let folders = self.work_dirs().into_iter();
        folders
            .flat_map(|folder| {
                let entries = std::fs::read_dir(&folder).into_iter().flatten();
                let entries = entries.map(|entry| entry.unwrap().path().display().to_string());
                entries.chain(mentioning(&folder)).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Every log of a process, with its name.
    pub(super) fn logs(&self) -> Vec<(PathBuf, String)> {
        let members = self.workers.iter().chain(&self.projectors);
        members
            .map(|member| {
                let path = log_of(self.world.folder(), &member.name);
                let text =
                    String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
                (path, text)
            })
            .collect()
    }

    /// The processes that ended though no one had killed them.
    pub(super) fn deaths(&self) -> Vec<String> {
        let members = self.workers.iter().chain(&self.projectors);
        members.flat_map(|member| member.ends.clone()).collect()
    }
}

impl Member {
    /// `kill -9`; it stays down until it may rise.
    pub(super) async fn kill(&mut self) {
        self.down = true;
        self.mourn();
        if let Some(mut process) = self.process.take() {
            process.kill().await;
        }
    }

    /// Lets it be started again.
    pub(super) const fn may_rise(&mut self) {
        self.down = false;
    }

    /// Asks it to stop; it stays down until someone looks whether it has left.
    pub(super) fn drain(&mut self) {
        self.signal(Signal::SIGTERM);
        (self.down, self.leaving) = (true, true);
    }

    /// Looks whether it has left, and lets it be started again.
    pub(super) async fn has_left(&mut self) {
        self.mourn();
        if let Some(mut process) = self.process.take() {
            self.ends.push(format!(
                "{} was asked to stop and did not leave in time",
                self.name
            ));
            process.kill().await;
        }
        (self.down, self.leaving) = (false, false);
    }

    /// Sends a signal, where there is a process.
    pub(super) fn signal(&mut self, signal: Signal) {
        self.mourn();
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    /// Notices that the process is gone. One that could not reach its services when it started may
    /// exit: its supervisor starts it again. One that was at work may not.
    fn mourn(&mut self) {
        let Some(process) = &mut self.process else {
            return;
        };
        let Some(status) = process.ended() else {
            return;
        };
        let said = process.said();
        let said = &said[self.logged.min(said.len())..];
        // Either it handed everything back, or it says that it could not.
        let has_left = self.leaving && matches!(status.code(), Some(0 | 1));
        if said.contains(STARTED) && !has_left {
            let tail: Vec<&str> = said.lines().rev().take(5).collect();
            self.ends.push(format!(
                "{} ended with {status}: {}",
                self.name,
                tail.join(" / ")
            ));
        }
        self.process = None;
    }
}

fn log_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}
