//! `hls.v1.api.retry`: a new job like one that has ended.

use bytes::Bytes;
use streams::JobId;
use streams::api::{RetryReply, RetryRequest};

use super::refusal::Refusal;
use super::{Api, parse};
use crate::job::retry::{JobToRetry, find_job_to_retry, publish_retry};

impl Api {
    /// Answers when the event of the new job is stored: 404 where the log does not know the old
    /// one, 409 while that is open, 503 where the event cannot be published.
    pub(super) async fn retry(&self, body: Bytes) -> Result<RetryReply, Refusal> {
        let RetryRequest { job_id, new_job_id } = parse(&body)?;
        let log = &self.jobs.log;

        match find_job_to_retry(log, &job_id).await {
            JobToRetry::Ended(old) => {
                let new = new_job_id.unwrap_or_else(JobId::fresh);
                // An event with the id of the old job is a duplicate of the old event, and would
                // start no job.
                if new == job_id {
                    return Err(Refusal::bad_request(
                        &"new_job_id is the id of the job to repeat",
                    ));
                }

                publish_retry(log, &old, &new)
                    .await
                    .map_err(|error| Refusal::unavailable(&error))?;
                Ok(RetryReply {
                    job_id: new,
                    file_id: old.head.file_id.clone(),
                    retry_of: job_id,
                })
            }
            JobToRetry::Open => Err(Refusal::conflict(format!(
                "Job {job_id} has not ended yet."
            ))),
            JobToRetry::Unread(unread) => Err(Refusal::unavailable(&unread)),
            JobToRetry::Unknown => Err(Refusal::not_found(&format!("job {job_id}"))),
        }
    }
}
