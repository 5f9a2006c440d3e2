//! What keeps the service from its work, looked for every few seconds.

use std::time::Duration;

use async_nats::jetstream::consumer::{Consumer, pull::Config};
use metrics::gauge;
use streams::topology;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::admission::Ledger;
use crate::http::Health;
use crate::job::{Access, Jobs};
use crate::project;

/// What may keep the service from its work.
pub(super) struct Watch {
    pub(super) jobs: Jobs,
    pub(super) projected: Option<watch::Receiver<project::Position>>,
    /// How the database is, where this process projects.
    pub(super) database: Option<watch::Receiver<project::DatabaseHealth>>,
    /// The room for tasks, where this process has any.
    pub(super) ledger: Option<Ledger>,
    pub(super) tell: watch::Sender<Health>,
}

impl Watch {
    /// Looks for obstacles every few seconds until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut round = 0_u32;
        loop {
            let mut obstacles = self.consumers().await;
            if round.is_multiple_of(6) || self.jobs.gate.access() != Access::Granted {
                self.jobs.keep_gate().await;
            }
            let access = self.jobs.gate.access();
            if matches!(access, Access::Refused { .. }) {
                obstacles.extend(access.obstacle());
            }
            obstacles.extend(self.tables());
            obstacles.extend(
                self.ledger
                    .as_ref()
                    .and_then(|ledger| ledger.room().err())
                    .map(|error| error.to_string()),
            );
            let payload = streams::provision::check_payload(self.jobs.log.max_payload());
            obstacles.extend(payload.err().map(|error| error.to_string()));
            obstacles.extend(self.jobs.log.newer().recent());
            let mut notices: Vec<String> = self.ledger.iter().filter_map(Ledger::too_large).collect();
            if matches!(access, Access::Unreachable { .. }) {
                notices.extend(access.obstacle());
            }
            let database = self.database.iter();
            notices.extend(database.filter_map(|database| database.borrow().notice.clone()));
            self.tell.send_replace(Health { obstacles, notices });
            round = round.wrapping_add(1);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(5)) => {}
                () = stop.cancelled() => break,
            }
        }
        gauge!("fluxhls_draining").set(1.0);
        self.tell.send_replace(Health::draining());
    }

    /// What keeps the tables from the log, in the words of who noticed it.
    fn tables(&self) -> Vec<String> {
        let database = self.database.iter();
        let mut obstacles: Vec<String> = database
            .filter_map(|database| database.borrow().obstacle.clone())
            .collect();
        if let Some(position) = &self.projected {
            let position = position.borrow();
            if !position.following {
                let why = position.trouble.as_deref().unwrap_or("it is being looked at");
                obstacles.push(format!("the tables do not follow the job log: {why}"));
            }
        }
        obstacles
    }

    /// Every class and lane needs its consumer.
    async fn consumers(&self) -> Vec<String> {
        let nats = self.jobs.log.nats();
        if !nats.is_connected() {
            return vec!["NATS is not connected".to_owned()];
        }
        let mut obstacles = Vec::new();
        for durable in topology::durables() {
            let name = durable.config.durable_name.unwrap_or_default();
            let found: Result<Consumer<Config>, _> = nats.js.get_consumer_from_stream(&name, durable.stream).await;
            if let Err(error) = found {
                obstacles.push(format!(
                    "consumer {name} of {}: {error}; run `fluxhls provision`",
                    durable.stream
                ));
            }
        }
        obstacles
    }
}
