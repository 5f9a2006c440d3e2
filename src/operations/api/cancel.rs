//! `hls.v1.api.cancel`: ends a job, queued or running.

use bytes::Bytes;
use streams::api::{CancelReply, CancelRequest};

use super::refusal::Refusal;
use super::{Api, parse};
use crate::job::cancel::{CancelAnswer, cancel_job};
use crate::job::verdict::SettleError;

impl Api {
    /// Answers when the job has ended as canceled: 404 where the log does not know it, 409 where
    /// its end was decided before, 503 where it cannot be ended now.
    pub(super) async fn cancel(&self, body: Bytes) -> Result<CancelReply, Refusal> {
        let CancelRequest { job_id, by, reason } = parse(&body)?;
        let by = by.unwrap_or_else(|| "api".to_owned());

        let canceled = cancel_job(&self.jobs, &job_id, &by, reason).await;
        let canceled = canceled.map_err(|error| match error {
            SettleError::Unread(unread) => Refusal::unavailable(&unread),
            // The request is stored by then, and the next process that sees it carries it out.
            _ => Refusal::unavailable(&"the job was asked to stop, but has not ended yet"),
        });

        match canceled? {
            CancelAnswer::Canceled => Ok(CancelReply { job_id }),
            CancelAnswer::TooLate => Err(Refusal::conflict(format!(
                "It is too late: the result of job {job_id} is already decided."
            ))),
            CancelAnswer::Unknown => Err(Refusal::not_found(&format!("job {job_id}"))),
        }
    }
}
