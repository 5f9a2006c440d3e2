//! What happens to a task whose job cannot continue.

use std::time::Duration;

use jetstream::{Disposition, NEWER_PAUSE, Refused};
use streams::Unread;

use super::broken::end_broken_job;
use super::task_run::Run;
use super::verdict::{SettleError, fail_job};
use crate::job::failure::Failure;

impl Run {
    /// Handles a task that cannot continue. Each reason is named here, so that no permanent one is
    /// retried forever: a temporary problem is retried, a job that needs a newer release is left to
    /// one, and a permanent problem ends the job here.
    pub(super) async fn stopped(&self, error: SettleError) -> Disposition {
        let job = &self.key.job_id;
        match error {
            SettleError::Storage(_) | SettleError::Missing { .. } => {
                tracing::warn!(job.id = %job, task = %self.key.task, %error, "a job cannot continue yet; trying again");
                Disposition::Retry(self.jobs.settings.retry_delay)
            }
            SettleError::Unread(unread @ Unread::Newer { .. }) => {
                // Readiness names the release that is needed.
                self.jobs.log.newer().note(&unread);
                Disposition::Retry(NEWER_PAUSE)
            }
            SettleError::Unread(unread @ Unread::Broken { .. }) => {
                match end_broken_job(&self.jobs, job, unread).await {
                    Ok(()) => Disposition::Ack,
                    Err(error) => self.unkept(&error),
                }
            }
            SettleError::Refused(refused) => self.refused(refused).await,
        }
    }

    /// Ends a job one of whose messages the server will never accept. If it refuses the end, too,
    /// only the dead letter remains.
    async fn refused(&self, refused: Refused) -> Disposition {
        tracing::error!(job.id = %self.key.job_id, task = %self.key.task, %refused, "a message cannot be published; the job ends as failed");
        let failure = Failure::from(refused);

        let state = match self.jobs.state(&self.key.job_id).await {
            Ok(Some(state)) => state,
            Ok(None) => return Disposition::Ack,
            // Boxed, since these two functions call each other.
            Err(error) => return Box::pin(self.stopped(error.into())).await,
        };

        // The dead letter comes first: it may be all that the server accepts.
        let error = failure.to_error(Some(self.key.task));
        if let Err(refused) = self.publish_dead_letter(&state, failure).await {
            return self.unkept(&refused.into());
        }

        match fail_job(&self.jobs, &state, error).await {
            Ok(()) | Err(SettleError::Refused(_)) => Disposition::Ack,
            Err(error) => Box::pin(self.stopped(error)).await,
        }
    }

    /// The server does not even accept a dead letter: the queue is the only place that keeps the
    /// task.
    fn unkept(&self, error: &SettleError) -> Disposition {
        tracing::error!(job.id = %self.key.job_id, task = %self.key.task, %error, "not even a dead letter can be published");
        Disposition::Retry(Duration::from_secs(60))
    }
}
