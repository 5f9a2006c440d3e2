//! What keeps the service from its work, looked for every few seconds.

use std::time::Duration;

use async_nats::jetstream::consumer::{Consumer, pull::Config};
use streams::topology;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::job::Jobs;
use crate::project;

/// What may keep the service from its work.
pub(super) struct Watch {
    pub(super) jobs: Jobs,
    pub(super) projected: Option<watch::Receiver<project::Position>>,
    pub(super) tell: watch::Sender<Vec<String>>,
}

impl Watch {
    /// Looks for obstacles every few seconds until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut round = 0_u32;
        let mut denied = false;
        loop {
            let mut obstacles = self.consumers().await;
            if round.is_multiple_of(6) {
                denied = self.is_denied().await;
            }
            if denied {
                obstacles.push(
                    "the storage refuses our credentials; check them and what they may do in S3_BUCKET".to_owned(),
                );
            }
            if self
                .projected
                .as_ref()
                .is_some_and(|position| !position.borrow().following)
            {
                obstacles.push("the tables do not follow the job log; check DATABASE_URL and the log".to_owned());
            }
            self.tell.send_replace(obstacles);
            round = round.wrapping_add(1);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(5)) => {}
                () = stop.cancelled() => return,
            }
        }
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

    /// A look at any key tells whether credentials may be the trouble; only then the canary, which writes, is sent.
    async fn is_denied(&self) -> bool {
        let looked = self
            .jobs
            .output
            .head(&format!("{}canary", self.jobs.settings.output_root))
            .await;
        matches!(looked, Err(error) if error.is_denied()) && self.jobs.is_denied_everywhere().await
    }
}
