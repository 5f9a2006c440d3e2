//! What becomes of a task whose job cannot go on.

use std::time::Duration;

use jetstream::{Disposition, NEWER_PAUSE, Refused};
use streams::Unread;

use super::broken::end_broken_job;
use super::task_run::Run;
use super::verdict::{SettleError, fail_job};
use crate::job::failure::Failure;

impl Run {
    /// What becomes of a task that cannot go on. Each reason is named here, so that none that lasts
    /// is tried again for ever: what can pass is tried again, what needs a newer release is left to
    /// one, and what never will end ends here.
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

    /// Ends a job one of whose messages the server will never take. Where it refuses the end, too,
    /// the dead letter is what stays.
    async fn refused(&self, refused: Refused) -> Disposition {
        tracing::error!(job.id = %self.key.job_id, task = %self.key.task, %refused, "a message cannot be published; the job ends as failed");
        let failure = Failure::from(refused);

        let state = match self.jobs.state(&self.key.job_id).await {
            Ok(Some(state)) => state,
            Ok(None) => return Disposition::Ack,
            // Boxed, since these two functions call each other.
            Err(error) => return Box::pin(self.stopped(error.into())).await,
        };

        // The letter comes first: it may be all that the server takes.
        let error = failure.to_error(Some(self.key.task));
        if let Err(refused) = self.publish_dead_letter(&state, failure).await {
            return self.unkept(&refused.into());
        }

        match fail_job(&self.jobs, &state, error).await {
            Ok(()) | Err(SettleError::Refused(_)) => Disposition::Ack,
            Err(error) => Box::pin(self.stopped(error)).await,
        }
    }

    /// The server takes not even a dead letter: there is no place where anything could be kept but
    /// the queue.
    fn unkept(&self, error: &SettleError) -> Disposition {
        tracing::error!(job.id = %self.key.job_id, task = %self.key.task, %error, "not even a dead letter can be published");
        Disposition::Retry(Duration::from_secs(60))
    }
}
