//! A source that the storage denies while it serves the output bucket.
//!
//! One answer proves little: permissions may have just changed and not be known everywhere, or the
//! object may not exist yet, which a bucket without list permission also reports as a denial. So a
//! denied attempt is released, and the task checks its source before it starts again. Only a source
//! that is denied for the whole of `SOURCE_WAIT` is given up. The time of the first denial is
//! written in the log with the released attempt, so that no restart loses it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jetstream::StoredMessage;
use storage::Source;
use streams::code::Class;
use streams::task::TaskName;
use streams::work::{Released, WorkKind};
use streams::{JobId, subject, topology};

use super::classify::classify_source_error;
use super::{CircuitBreaker, JobState, Jobs, Readiness, StorageAccess};
use crate::job::failure::{Failure, Remedy};
use crate::worker::admission::Reservation;

/// How often a source that is not available yet is checked.
pub const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Since when the source of a task is denied, if its newest start was released for that.
async fn find_denial(jobs: &Jobs, state: &JobState, task: TaskName) -> Option<DateTime<Utc>> {
    // For most tasks this says enough, without another request.
    if state.work.released(task) == 0 {
        return None;
    }

    let (released, message) = read_last_denial(jobs, &state.job_id, task).await?;
    let is_newest = jobs
        .is_newest_attempt(&state.job_id, task, released.attempt)
        .await;
    is_newest.then(|| since(&released, &message))
}

/// Reads a byte of the source of a task whose newest start was released because the source was
/// denied; a lookup may be allowed where reading is not. None if this is no reason against starting
/// the task.
pub async fn check_denied_source(
    jobs: &Jobs,
    source: &Source,
    state: &JobState,
    task: TaskName,
) -> Option<Readiness> {
    find_denial(jobs, state, task).await?;
    let read = source
        .bucket
        .get_range(&source.key, &source.etag, 0..1)
        .await;
    let failure = classify_source_error(jobs, &read.err()?).await;
    Some(readiness_after_failure(jobs, failure, state, task).await)
}

/// Whether a task may start whose source could not be looked at.
pub async fn readiness_after_failure(
    jobs: &Jobs,
    failure: Failure,
    state: &JobState,
    task: TaskName,
) -> Readiness {
    match (&failure.remedy, failure.class()) {
        (Remedy::AwaitSource, _) => readiness_after_denial(jobs, failure, state, task).await,
        (_, Class::Permanent) => Readiness::Never(failure),
        // A storage that does not answer, or refuses every request, says nothing about the source.
        _ => {
            tracing::warn!(job.id = %state.job_id, %task, code = %failure.code, "the source cannot be read yet: {}", failure.message);
            Readiness::Wait(jobs.settings.retry_delay)
        }
    }
}

/// Whether a task may start whose source was just denied. It may the first time, so that the denial
/// is recorded with the released attempt.
async fn readiness_after_denial(
    jobs: &Jobs,
    denied: Failure,
    state: &JobState,
    task: TaskName,
) -> Readiness {
    let Some(since) = find_denial(jobs, state, task).await else {
        return Readiness::Ready(Reservation::default());
    };
    readiness_while_awaited(jobs, since, denied.ending_job())
}

/// Whether a task may start whose source has been waited for since then: not yet, or, after
/// `SOURCE_WAIT`, never. This is judged by the clock of this machine and the times in the log, and
/// not at all if that clock is known to be wrong.
pub fn readiness_while_awaited(jobs: &Jobs, since: DateTime<Utc>, failure: Failure) -> Readiness {
    if let Some(left) = remaining_source_wait(jobs, since) {
        return Readiness::Wait(left.min(LOOK_AGAIN));
    }

    match jobs.output.check_clock() {
        Ok(()) => Readiness::Never(failure),
        Err(error) => {
            jobs.breaker.set(StorageAccess::from_error(&error));
            Readiness::Wait(CircuitBreaker::retry_delay())
        }
    }
}

/// How much of `SOURCE_WAIT` is left where it began at `since`; nothing once it is over.
#[must_use]
pub fn remaining_source_wait(jobs: &Jobs, since: DateTime<Utc>) -> Option<Duration> {
    let wait = TimeDelta::from_std(jobs.settings.source_wait).unwrap_or(TimeDelta::MAX);
    let left = wait.checked_sub(&(Utc::now() - since))?;
    left.to_std().ok().filter(|left| !left.is_zero())
}

/// The start of the denial to record when an attempt is released because its source was denied:
/// that of the last such attempt, unless the source was readable in between for as long as a denial
/// would have been waited for.
pub(super) async fn find_denial_to_continue(
    jobs: &Jobs,
    job: &JobId,
    task: TaskName,
) -> Option<DateTime<Utc>> {
    let (released, message) = read_last_denial(jobs, job, task).await?;
    remaining_source_wait(jobs, message.time)?;
    Some(since(&released, &message))
}

async fn read_last_denial(
    jobs: &Jobs,
    job: &JobId,
    task: TaskName,
) -> Option<(Released, StoredMessage)> {
    let subject = subject::work(job, WorkKind::Released, task);
    let message = jobs.log.last(topology::WORK, &subject).await?;
    let released: Released = serde_json::from_slice(&message.payload).ok()?;
    (released.reason == Released::AWAITS_SOURCE).then_some((released, message))
}

fn since(released: &Released, message: &StoredMessage) -> DateTime<Utc> {
    released.since.unwrap_or(message.time)
}
