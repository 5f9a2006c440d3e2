//! One delivery of a task in work, as the five steps and all failure handlers use it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use jetstream::{Delivery, Disposition, NEWER_PAUSE, OutboundMessage, Refused};
use streams::work::{Released, WorkKind};
use streams::{TaskKey, VERSION, subject, topology, wire};

use super::{Jobs, meter};

/// One delivery in work.
pub(super) struct Run {
    pub(super) jobs: Jobs,
    pub(super) key: TaskKey,
    pub(super) delivery: Arc<Delivery>,
}

impl Run {
    /// A delivery of a task that this release knows; otherwise its disposition.
    pub(super) fn new(jobs: Jobs, delivery: Arc<Delivery>) -> Result<Self, Disposition> {
        match subject::read_task(delivery.subject()) {
            Ok(key) => Ok(Self {
                jobs,
                key,
                delivery,
            }),
            Err(unread) => {
                jobs.log.newer().note(&unread);
                Err(Disposition::Retry(NEWER_PAUSE))
            }
        }
    }

    /// Releases a start, so that it does not count. `since` is when the reason for this began, if
    /// that was with an earlier start.
    pub(super) async fn release(
        &self,
        attempt: u64,
        reason: &str,
        since: Option<DateTime<Utc>>,
    ) -> Result<(), Refused> {
        let released = Released {
            v: VERSION,
            attempt,
            reason: reason.to_owned(),
            since,
        };

        let subject = subject::work(&self.key.job_id, WorkKind::Released, self.key.task);
        let body = wire::encode(&released);
        // By its message id a release that is published twice counts once.
        self.jobs
            .log
            .append(
                topology::WORK,
                OutboundMessage::json(subject, body).with_id(format!("released-{attempt}")),
            )
            .await?;

        meter::attempt(self.key.class, "released");
        Ok(())
    }
}
