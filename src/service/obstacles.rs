//! What keeps the service from its work, looked for every few seconds.

use std::time::Duration;

use metrics::gauge;
use streams::merge::{Gravity, Surplus};
use streams::provision::{self, Report};
use streams::topology::{self, Sizing};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::admission::Ledger;
use crate::http::Health;
use crate::job::{Access, Jobs};
use crate::project;

/// How long JetStream may take to say how streams and consumers are.
const CHECK: Duration = Duration::from_secs(10);

/// What may keep the service from its work.
pub(super) struct Watch {
    pub(super) jobs: Jobs,
    /// How streams and consumers are to be sized.
    pub(super) sizing: Sizing,
    pub(super) projected: Option<watch::Receiver<project::Position>>,
    /// The room for tasks, where this process has any.
    pub(super) ledger: Option<Ledger>,
    pub(super) tell: watch::Sender<Health>,
}

impl Watch {
    /// Looks for obstacles every few seconds until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut round = 0_u32;
        let mut streams = Health::default();
        loop {
            let nats = self.jobs.log.nats();
            if !nats.is_connected() {
                streams = Health {
                    obstacles: vec![nats.troubles.connection()],
                    notices: Vec::new(),
                };
            } else if round.is_multiple_of(2) || !streams.obstacles.is_empty() {
                // At half the pace: of a fleet all ask. What is amiss is looked at each time, so that it goes soon.
                streams = self.streams().await;
            }
            let Health {
                mut obstacles,
                mut notices,
            } = streams.clone();
            obstacles.extend(nats.troubles.obstacles());
            if round.is_multiple_of(6) || self.jobs.gate.access() != Access::Granted {
                self.jobs.keep_gate().await;
            }
            if self.jobs.gate.access() == Access::Denied {
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
            obstacles.extend(
                self.ledger
                    .as_ref()
                    .and_then(|ledger| ledger.room().err())
                    .map(|error| error.to_string()),
            );
            notices.extend(self.ledger.iter().filter_map(Ledger::too_large));
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

    /// What of the streams and their consumers is missing, changed or full.
    async fn streams(&self) -> Health {
        let nats = self.jobs.log.nats();
        let mut health = Health::default();
        let checked = provision::check(&nats.js, &self.sizing, Surplus::Keep);
        match timeout(CHECK, checked).await {
            Ok(Ok(report)) => add(&mut health, report),
            Ok(Err(error)) => health.obstacles.push(error.to_string()),
            Err(_) => health.obstacles.push(format!(
                "JetStream does not answer within {} s; see that its servers are well",
                CHECK.as_secs()
            )),
        }
        health
    }
}

/// Sorts what was found by whether the work can go on.
fn add(health: &mut Health, report: Report) {
    for drift in report.drifts {
        match drift.gravity {
            Gravity::Missing => health.obstacles.push(drift.to_string()),
            Gravity::Contract | Gravity::Unchangeable => {
                health.obstacles.push(format!("{drift}; run `fluxhls provision`"));
            }
            Gravity::Minor => health.notices.push(format!("{drift}; run `fluxhls provision`")),
        }
    }
    for fill in report.fills.into_iter().filter(|fill| fill.is_full) {
        let told = format!("{fill} and refuses more; {}", fill.fix());
        // Others are refused: publishers, whose events are theirs until they are taken; and tasks, which are planned again.
        let goes_on = [topology::UPLOADS, topology::TASKS];
        if fill.stream.as_deref().is_some_and(|stream| goes_on.contains(&stream)) {
            health.notices.push(told);
        } else {
            health.obstacles.push(told);
        }
    }
}
