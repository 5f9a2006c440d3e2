//! The ways a task fails: tried again after a pause, released for an operator, or the end of its
//! job.

use std::time::Duration;

use jetstream::{
    DeadLetterReason, Disposition, NEWER_PAUSE, OutboundMessage, Refused, dead_letter,
};
use streams::code::Class;
use streams::dead::{self, TaskReport};
use streams::task::TaskName;
use streams::work::{FailedCheck, Released, WorkKind};
use streams::{Code, VERSION, subject, topology, wire};

use super::denial::find_denial_to_continue;
use super::state::JobState;
use super::task_run::Run;
use super::verdict::{SettleError, fail_job};
use super::{CircuitBreaker, denial, meter};
use crate::crash;
use crate::job::failure::{Failure, Remedy};

impl Run {
    /// Settles a failed attempt.
    pub(super) async fn failed(
        &self,
        state: &JobState,
        attempt: u64,
        failure: Failure,
    ) -> Result<Disposition, SettleError> {
        let task = self.key.task;
        let is_newest = self
            .jobs
            .is_newest_attempt(&state.job_id, task, attempt)
            .await;
        let failure = if is_newest {
            self.compare_with_last(attempt, failure).await?
        } else {
            failure
        };

        meter::failure(self.key.class, failure.code);
        tracing::warn!(job.id = %state.job_id, file.id = %state.file_id(), %task, code = %failure.code, stderr = failure.evidence.stderr, "{}", failure.message);

        // The server does not fence acknowledgements, so an attempt that was overtaken must not
        // settle.
        if !is_newest {
            return Ok(Disposition::LeaveUnacked);
        }

        match (&failure.remedy, failure.class()) {
            (Remedy::EndJob, _) | (Remedy::ByClass, Class::Permanent) => {
                self.fail(state, failure).await
            }
            (Remedy::AwaitNewer(unread), _) => {
                // Readiness names the release that is needed.
                self.jobs.log.newer().note(unread);
                self.release(attempt, "newer", None).await?;
                Ok(Disposition::Retry(NEWER_PAUSE))
            }
            (Remedy::AwaitSource, _) => {
                let since = find_denial_to_continue(&self.jobs, &state.job_id, task).await;
                self.release(attempt, Released::AWAITS_SOURCE, since)
                    .await?;
                Ok(Disposition::Retry(denial::LOOK_AGAIN))
            }
            (Remedy::ByClass, Class::Operator) => {
                self.release(attempt, "operator", None).await?;
                Ok(Disposition::Retry(CircuitBreaker::retry_delay()))
            }
            (Remedy::ByClass, Class::Transient) => {
                // This attempt is among those used: it was counted before its work began.
                let used = self.jobs.work(&state.job_id).await?.attempts(task);
                if used >= u64::from(state.accepted.fact.upload.settings.max_attempts) {
                    return self.fail(state, too_many(state, task, Some(failure))).await;
                }
                Ok(Disposition::Retry(backoff(
                    self.jobs.settings.retry_delay,
                    used,
                )))
            }
        }
    }

    /// A failed check is published, so that the next attempt can compare: a result that is measured
    /// twice is a bug of fluxhls. A worker that dies before it is published only leaves one attempt
    /// less to compare with.
    async fn compare_with_last(&self, attempt: u64, failure: Failure) -> Result<Failure, Refused> {
        if failure.code != Code::VerificationFailed || failure.remedy != Remedy::ByClass {
            return Ok(failure);
        }

        let subject = subject::work(&self.key.job_id, WorkKind::Failed, self.key.task);
        let last = self.jobs.log.last(topology::WORK, &subject).await;
        // A message that cannot be read counts as none: it is compared with, and decides nothing
        // else.
        let last: Option<FailedCheck> =
            last.and_then(|last| serde_json::from_slice(&last.payload).ok());
        if last.is_some_and(|last| last.attempt != attempt && last.reason == failure.message) {
            return Ok(failure.measured_again());
        }

        let failed = FailedCheck {
            v: VERSION,
            attempt,
            reason: failure.message.clone(),
        };

        let body = wire::encode(&failed);
        let message = OutboundMessage::json(subject, body).with_id(format!("failed-{attempt}"));
        self.jobs.log.append(topology::WORK, message).await?;
        Ok(failure)
    }

    /// Ends the job permanently: dead letter, verdict, end, acknowledgement.
    pub(super) async fn fail(
        &self,
        state: &JobState,
        failure: Failure,
    ) -> Result<Disposition, SettleError> {
        let error = failure.to_error(Some(self.key.task));
        self.publish_dead_letter(state, failure).await?;
        crash::point("step.dead");
        fail_job(&self.jobs, state, error).await?;
        Ok(Disposition::Ack)
    }

    /// Publishes the task as a dead letter, once for each life of its job.
    pub(super) async fn publish_dead_letter(
        &self,
        state: &JobState,
        failure: Failure,
    ) -> Result<(), Refused> {
        let error = failure.to_error(Some(self.key.task));
        let evidence = *failure.evidence;
        let report = TaskReport {
            key: self.key.clone(),
            error: error.clone(),
            argv: evidence.argv,
            stderr: evidence.stderr,
            probe: evidence.probe,
        };

        let grief = DeadLetterReason {
            stream: topology::TASKS,
            seq: self.delivery.seq,
            time: self.delivery.time,
            code: error.code,
            reason: &error.message,
            more: &[
                (dead::FILE, state.file_id().to_string()),
                (dead::REPORT, report.to_header()),
            ],
        };

        let (task, limit) = (self.delivery.payload().clone(), self.jobs.log.max_payload());
        let subject = subject::dead_task(&self.key);
        // The id names one life of the job: a redelivery adds no second dead letter, a later life
        // does.
        let id = format!("{subject}-{}", state.accepted.seq);
        let letter = dead_letter(subject, &grief, task, self.delivery.headers(), limit);
        self.jobs.log.publish_dead_letter(letter.with_id(id)).await
    }
}

/// The failure of a task whose attempts are used up; `last` is how the last one failed, where it
/// could still say so.
pub(super) fn too_many(state: &JobState, task: TaskName, last: Option<Failure>) -> Failure {
    let limit = state.accepted.fact.upload.settings.max_attempts;
    match last {
        // A second failed check has its own code, which says more.
        Some(failure) if failure.code == Code::VerificationFailed => failure,
        Some(failure) => {
            let message = format!(
                "The conversion failed {limit} times, the last time with {}: {}",
                failure.code, failure.message
            );
            Failure::new(Code::TooManyAttempts, message).with_evidence(*failure.evidence)
        }
        None => Failure::new(
            Code::TooManyAttempts,
            format!("The conversion was started {limit} times and never finished (task {task})."),
        ),
    }
}

/// The pause before attempt `used + 1`: doubling from `first`, at most ten minutes, with up to a
/// quarter more, so that many tasks that failed together do not all return at the same time.
fn backoff(first: Duration, used: u64) -> Duration {
    let doublings = u32::try_from(used.saturating_sub(1).min(10)).unwrap_or(10);
    let pause = (first * 2_u32.pow(doublings)).min(Duration::from_secs(600));
    pause.mul_f64(1.0 + rand::random::<f64>() / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_stay_within_twelve_and_a_half_minutes() {
        let first = Duration::from_secs(10);
        assert!(backoff(first, 1) >= first && backoff(first, 1) <= first.mul_f64(1.25));
        assert!(backoff(first, 3) >= first * 4);
        assert!(backoff(first, 99) <= Duration::from_secs(750));
    }
}
