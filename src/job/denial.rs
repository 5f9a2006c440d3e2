//! A source that the storage denies us while it serves our own bucket.
//!
//! One answer says little: rights were just exchanged and are not known everywhere, or the object
//! is not there yet, which a bucket that we may not list reports as a denial, too. So a denied
//! attempt is given back, and the task looks at its source before it starts again. Only a source
//! that is denied for `SOURCE_WAIT` on end is given up. Since when it is denied is written in the
//! log, with the attempt that was given back, so that no restart forgets it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jetstream::StoredMessage;
use storage::Source;
use streams::code::Class;
use streams::task::TaskName;
use streams::work::{Released, WorkKind};
use streams::{JobId, subject, topology};

use super::{Access, Gate, JobState, Jobs, Readiness};
use crate::job::failure::{Failure, Remedy};
use crate::worker::admission::Reservation;

/// How often a source that cannot be had yet is looked for.
pub const LOOK_AGAIN: Duration = Duration::from_secs(2);

impl Jobs {
    /// Since when the source of a task is denied, where its newest start was given back for that.
    async fn denied_since(&self, state: &JobState, task: TaskName) -> Option<DateTime<Utc>> {
        // For most tasks this says enough, without another request.
        if state.work.released(task) == 0 {
            return None;
        }

        let (released, message) = self.last_denial(&state.job_id, task).await?;
        let is_newest = self.is_newest(&state.job_id, task, released.attempt).await;
        is_newest.then(|| since(&released, &message))
    }

    /// Reads a byte of the source of a task whose newest start was given back since it was denied;
    /// looking it up may be allowed where reading is not. Nothing where the task may start for all
    /// that this knows.
    pub async fn look_at_denied_source(
        &self,
        source: &Source,
        state: &JobState,
        task: TaskName,
    ) -> Option<Readiness> {
        self.denied_since(state, task).await?;
        let read = source
            .bucket
            .get_range(&source.key, &source.etag, 0..1)
            .await;
        let failure = self.classify_source_error(&read.err()?).await;
        Some(self.readiness_after(failure, state, task).await)
    }

    /// Whether a task may start whose source could not be looked at.
    pub async fn readiness_after(
        &self,
        failure: Failure,
        state: &JobState,
        task: TaskName,
    ) -> Readiness {
        match (&failure.remedy, failure.class()) {
            (Remedy::AwaitSource, _) => self.wait_for_source(failure, state, task).await,
            (_, Class::Permanent) => Readiness::Never(failure),
            // A storage that does not answer, or refuses us altogether, says nothing of the source.
            _ => {
                tracing::warn!(job.id = %state.job_id, %task, code = %failure.code, "the source cannot be looked at yet: {}", failure.message);
                Readiness::Wait(self.settings.retry_delay)
            }
        }
    }

    /// Whether a task may start whose source was denied when it was just looked at. It may the
    /// first time, so that the denial is put on record with the attempt it gives back.
    async fn wait_for_source(
        &self,
        denied: Failure,
        state: &JobState,
        task: TaskName,
    ) -> Readiness {
        let Some(since) = self.denied_since(state, task).await else {
            return Readiness::Ready(Reservation::default());
        };
        self.wait_since(since, denied.ending_job())
    }

    /// Whether a task may start whose source is waited for since then: not yet, or, after
    /// `SOURCE_WAIT`, never. That is judged by our clock and times of the log, and not at all where
    /// our clock is known to be wrong.
    pub fn wait_since(&self, since: DateTime<Utc>, failure: Failure) -> Readiness {
        if let Some(left) = self.source_wait_left(since) {
            return Readiness::Wait(left.min(LOOK_AGAIN));
        }

        match self.output.check_clock() {
            Ok(()) => Readiness::Never(failure),
            Err(error) => {
                self.gate.set(Access::from_error(&error));
                Readiness::Wait(Gate::retry_delay())
            }
        }
    }

    /// How much of `SOURCE_WAIT` is left where it began at `since`; nothing once it is over.
    #[must_use]
    pub fn source_wait_left(&self, since: DateTime<Utc>) -> Option<Duration> {
        let wait = TimeDelta::from_std(self.settings.source_wait).unwrap_or(TimeDelta::MAX);
        let left = wait.checked_sub(&(Utc::now() - since))?;
        left.to_std().ok().filter(|left| !left.is_zero())
    }

    /// What is to be kept of the beginning when an attempt is given back since its source was
    /// denied: it goes on from the last such attempt, unless the source could be read for as long
    /// as it would have been waited for.
    pub(super) async fn denial_goes_on_from(
        &self,
        job: &JobId,
        task: TaskName,
    ) -> Option<DateTime<Utc>> {
        let (released, message) = self.last_denial(job, task).await?;
        self.source_wait_left(message.time)?;
        Some(since(&released, &message))
    }

    async fn last_denial(&self, job: &JobId, task: TaskName) -> Option<(Released, StoredMessage)> {
        let subject = subject::work(job, WorkKind::Released, task);
        let message = self.log.last(topology::WORK, &subject).await?;
        let released: Released = serde_json::from_slice(&message.payload).ok()?;
        (released.reason == Released::AWAITS_SOURCE).then_some((released, message))
    }
}

fn since(released: &Released, message: &StoredMessage) -> DateTime<Utc> {
    released.since.unwrap_or(message.time)
}
