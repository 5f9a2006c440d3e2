//! Checks every few seconds what prevents the service from working.

use std::time::Duration;

use metrics::gauge;
use streams::merge::{LargerValue, Severity};
use streams::provision::{self, Report};
use streams::topology::{self, Sizing};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::job::circuit_breaker::check_storage;
use crate::job::{Jobs, StorageAccess};
use crate::operations::collector::DatabaseHealth;
use crate::pipeline::project;
use crate::service::http::Health;
use crate::worker::admission::ResourceBudget;

/// How often problems are looked for.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// How long JetStream may take to say how streams and consumers are.
const CHECK_LIMIT: Duration = Duration::from_secs(10);

/// What may prevent the service from working.
pub(super) struct ReadinessProbe {
    pub(super) jobs: Jobs,
    /// How streams and consumers are to be sized.
    pub(super) sizing: Sizing,
    pub(super) projected: Option<watch::Receiver<project::Position>>,
    /// How the database is, where this process projects.
    pub(super) database: Option<watch::Receiver<DatabaseHealth>>,
    /// The room for tasks, where this process has any.
    pub(super) budget: Option<ResourceBudget>,
    pub(super) sender: watch::Sender<Health>,
}

impl ReadinessProbe {
    /// Looks for problems every few seconds until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.probe()).await;
        gauge!("fluxhls_draining").set(1.0);
        self.sender.send_replace(Health::draining());
    }

    async fn probe(&self) {
        let mut streams = Health::default();
        for round in 0_u32.. {
            let nats = self.jobs.log.nats();
            if !nats.is_connected() {
                streams = Health {
                    problems: vec![nats.health.connection()],
                    notices: Vec::new(),
                };
            } else if round.is_multiple_of(2) || !streams.problems.is_empty() {
                // At half the rate, because every process of a fleet asks. While something is wrong
                // it is checked each time, so that the notice disappears soon.
                streams = self.check_streams().await;
            }

            // The bucket is looked at twice a minute, and in every round while it cannot be used,
            // so that tasks start again soon.
            if round.is_multiple_of(6) || self.jobs.breaker.access() != StorageAccess::Granted {
                check_storage(&self.jobs).await;
            }

            self.sender.send_replace(self.health(streams.clone()));
            tokio::time::sleep(PROBE_INTERVAL).await;
        }
    }

    /// The current state, combined with the last check of the streams.
    fn health(&self, streams: Health) -> Health {
        let Health {
            mut problems,
            mut notices,
        } = streams;

        let log = &self.jobs.log;
        let payload = provision::check_payload(log.max_payload());
        problems.extend(payload.err().map(|error| error.to_string()));
        problems.extend(log.nats().health.problems());
        problems.extend(log.newer().recent());

        let access = self.jobs.breaker.access();
        // Only a refusal makes the service unready, since an operator must act. A storage that is
        // down recovers without the operator of fluxhls.
        match access {
            StorageAccess::Refused { .. } => problems.extend(access.problem()),
            StorageAccess::Unreachable { .. } => notices.extend(access.problem()),
            StorageAccess::Granted => {}
        }

        let database = self.database.iter();
        notices.extend(database.filter_map(|database| database.borrow().notice.clone()));
        problems.extend(self.table_problems());

        let capacity = self
            .budget
            .as_ref()
            .and_then(|budget| budget.available_capacity().err());
        problems.extend(capacity.map(|error| error.to_string()));
        notices.extend(self.budget.iter().filter_map(ResourceBudget::too_large));

        Health { problems, notices }
    }

    /// What prevents the tables from following the log, in the words of the part that noticed it.
    fn table_problems(&self) -> Vec<String> {
        let database = self.database.iter();
        let mut problems: Vec<String> = database
            .filter_map(|database| database.borrow().problem.clone())
            .collect();

        if let Some(position) = &self.projected {
            let position = position.borrow();
            if !position.following {
                let why = position.trouble.as_deref().unwrap_or("it is being checked");
                problems.push(format!("the tables do not follow the job log: {why}"));
            }
        }

        problems
    }

    /// What of the streams and their consumers is missing, changed or full.
    async fn check_streams(&self) -> Health {
        let nats = self.jobs.log.nats();
        let mut health = Health::default();

        // A server never answers a request that it denies.
        let checked = provision::check(&nats.js, &self.sizing, LargerValue::Keep);
        match timeout(CHECK_LIMIT, checked).await {
            Ok(Ok(report)) => add_report(&mut health, report),
            Ok(Err(error)) => health.problems.push(error.to_string()),
            Err(_) => health.problems.push(format!(
                "JetStream does not answer within {} s; check that its servers are healthy",
                CHECK_LIMIT.as_secs()
            )),
        }
        health
    }
}

/// Sorts the findings by whether the work can continue.
fn add_report(health: &mut Health, report: Report) {
    for drift in report.drifts {
        let text = format!("{drift}; run `fluxhls provision`");
        match drift.severity {
            Severity::Contract | Severity::Unchangeable => health.problems.push(text),
            Severity::Minor => health.notices.push(text),
        }
    }

    for fill in report.fills.into_iter().filter(|fill| fill.is_full) {
        let text = format!("{fill} and refuses more; {}", fill.fix());
        // Others are refused: publishers, whose events are theirs until they are taken; and tasks,
        // which are planned again.
        let goes_on = [topology::UPLOADS, topology::TASKS];
        if fill
            .stream
            .as_deref()
            .is_some_and(|stream| goes_on.contains(&stream))
        {
            health.notices.push(text);
        } else {
            health.problems.push(text);
        }
    }
}
