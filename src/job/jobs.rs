//! Access to the log of all jobs, and what every stage needs besides: the output bucket and public
//! names.

use std::time::Duration;

use jetstream::{CreateOutcome, Log, OutboundMessage, Refused};
use storage::{Bucket, JobKeys};
use streams::fact::{Fact, Head};
use streams::{JobId, OutputPrefix, subject, topology};

use super::gate::Gate;

/// What an installation decides about jobs.
#[derive(Debug, Clone)]
pub struct JobSettings {
    /// Name of this worker, in attempts and logs.
    pub worker: String,
    /// Root of public URLs: the output bucket as players see it, ending in `/`.
    pub public_base_url: String,
    /// Root of the URLs of growing playlists, ending in `/`: the bucket itself, since what changes
    /// every few seconds is nothing for a CDN.
    pub live_base_url: String,
    /// Root of every output prefix, ending in `/`.
    pub output_root: String,
    /// How long an event's object is waited for: one that is not there, or that the storage denies
    /// us.
    pub source_wait: Duration,
    /// First pause before a transient failure is tried again; it doubles with each attempt up to
    /// ten minutes.
    pub retry_delay: Duration,
}

/// Access to all jobs. Clones share connections.
#[derive(Debug, Clone)]
pub struct Jobs {
    /// The log.
    pub log: Log,
    /// Where outputs go.
    pub output: Bucket,
    /// What the installation decided.
    pub settings: JobSettings,
    /// Whether the output bucket can be used.
    pub gate: Gate,
}

impl Jobs {
    /// The keys of a job's objects.
    #[must_use]
    pub fn keys(&self, prefix: &OutputPrefix, job: &JobId) -> JobKeys {
        JobKeys::new(prefix.as_str(), job.as_str())
    }

    /// The public URL of an object of the output bucket.
    #[must_use]
    pub fn public_url(&self, key: &str) -> String {
        format!("{}{key}", self.settings.public_base_url)
    }

    /// The URL at which a growing playlist is read.
    #[must_use]
    pub fn live_url(&self, key: &str) -> String {
        format!("{}{key}", self.settings.live_base_url)
    }

    /// Publishes a fact if it is the first of its kind in its job.
    ///
    /// # Errors
    /// [`Refused`] when the server will never take the message.
    pub async fn announce(
        &self,
        fact: &Fact,
        traceparent: Option<&str>,
    ) -> Result<CreateOutcome, Refused> {
        self.announce_as(cuid2::create_id(), fact, traceparent)
            .await
    }

    /// As [`Jobs::announce`], under a message id that is the writer's own: a repetition with the
    /// same id is reported as ours.
    ///
    /// # Errors
    /// [`Refused`] when the server will never take the message.
    pub async fn announce_as(
        &self,
        id: String,
        fact: &Fact,
        traceparent: Option<&str>,
    ) -> Result<CreateOutcome, Refused> {
        let Head {
            job_id, file_id, ..
        } = fact.head();
        let subject = subject::fact(job_id, fact.kind());
        let body = fact.encode();

        let created = self
            .log
            .create(
                topology::JOBS,
                OutboundMessage::json(subject, body)
                    .with_id(id)
                    .traced(traceparent),
            )
            .await?;

        // Only who wrote the fact logs it; everyone else found it in the log.
        if matches!(created, CreateOutcome::Created(_)) {
            tracing::info!(job.id = %job_id, file.id = %file_id, fact = fact.kind().as_str(), "{}", sentence(fact));
        }
        Ok(created)
    }
}

/// One line for the log about a fact.
fn sentence(fact: &Fact) -> String {
    let job = &fact.head().job_id;
    match fact {
        Fact::Ended(ended) => match &ended.error {
            Some(error) => format!(
                "job {job} {}: {}: {}",
                ended.outcome.as_str(),
                error.code,
                error.message
            ),
            None => format!("job {job} {}", ended.outcome.as_str()),
        },
        other => format!("job {job} {}", other.kind().as_str()),
    }
}
