//! `hls.v1.api.status`: how a job is, or the newest one of a file.

use bytes::Bytes;
use streams::JobId;
use streams::api::StatusRequest;

use super::refusal::Refusal;
use super::{Api, parse};
use crate::pipeline::project::jobs::{self, Filter, Job};

impl Api {
    /// Answers from the tables; a job that was accepted but is not there yet is reported from the
    /// log. 400 unless exactly one of the two ids is given, 404 if there is no such job.
    pub(super) async fn status(&self, body: Bytes) -> Result<Job, Refusal> {
        match parse(&body)? {
            StatusRequest {
                job_id: Some(job),
                file_id: None,
            } => {
                let found = jobs::show(&self.database.read().await?, &job).await?;
                match found {
                    Some(found) => Ok(found),
                    None => self.read_from_log(&job).await,
                }
            }
            StatusRequest {
                job_id: None,
                file_id: Some(file),
            } => {
                let newest = Filter {
                    file_id: Some(file.clone()),
                    limit: Some(1),
                    ..Filter::default()
                };

                let found = jobs::list(&self.database.read().await?, &newest)
                    .await?
                    .into_iter()
                    .next();
                found.ok_or_else(|| Refusal::not_found(&format!("job of file {file}")))
            }
            _ => Err(Refusal::bad_request(&"give either job_id or file_id")),
        }
    }

    /// A job that is in the log alone.
    async fn read_from_log(&self, job: &JobId) -> Result<Job, Refusal> {
        let state = self
            .jobs
            .state(job)
            .await
            .map_err(|unread| Refusal::unavailable(&unread))?;
        let state = state.ok_or_else(|| Refusal::not_found(&format!("job {job}")))?;

        let accepted = &state.accepted.fact;
        Ok(Job {
            job_id: job.to_string(),
            file_id: state.file_id().to_string(),
            file_name: Some(accepted.upload.name.clone()),
            mime_type: Some(accepted.upload.mime_type.clone()),
            status: "pending".to_owned(),
            input_url: accepted.upload.file_url.clone(),
            output_prefix: Some(accepted.output_prefix.to_string()),
            created_at: Some(state.accepted.time),
            settings: serde_json::to_value(&accepted.upload.settings).ok(),
            ..Job::default()
        })
    }
}
