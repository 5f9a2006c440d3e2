//! Access to the log of all jobs, and what else every stage needs: the output bucket and public
//! names.

use std::collections::BTreeSet;
use std::time::Duration;

use jetstream::{CreateOutcome, Log, OutboundMessage, Refused, StoredMessage};
use serde::de::DeserializeOwned;
use storage::{Bucket, JobKeys};
use streams::delete::Tombstone;
use streams::fact::{Fact, FactKind, Head};
use streams::task::TaskName;
use streams::work::{Current, WorkKind};
use streams::{FileId, JobId, OutputPrefix, Unread, subject, topology, wire};

use super::circuit_breaker::CircuitBreaker;
use super::state::{Entry, JobState, WorkState, entry, feasible};

/// What an installation decides about jobs.
#[derive(Debug, Clone)]
pub struct JobSettings {
    /// Name of this worker, in attempts and logs.
    pub worker: String,
    /// Root of public URLs: the output bucket as players see it, ending in `/`.
    pub public_base_url: String,
    /// Root of the URLs of live playlists, ending in `/`: the bucket itself, since what changes
    /// every few seconds is nothing for a CDN.
    pub live_base_url: String,
    /// Root of every output prefix, ending in `/`.
    pub output_root: String,
    /// How long to wait for the object of an event that does not exist, or that the storage denies.
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
    pub breaker: CircuitBreaker,
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

    /// The URL at which a live playlist is read.
    #[must_use]
    pub fn live_url(&self, key: &str) -> String {
        format!("{}{key}", self.settings.live_base_url)
    }

    /// The job as the log has it now; none if it was never accepted.
    ///
    /// # Errors
    /// [`Unread`] where anything that was said of the job needs a newer release, or is broken: it
    /// never counts as absent.
    pub async fn state(&self, job: &JobId) -> Result<Option<JobState>, Unread> {
        let facts = self
            .log
            .subjects(topology::JOBS, &subject::facts_of(job))
            .await;
        let kinds = facts
            .keys()
            .map(|subject| Ok(subject::read_fact(subject)?.1));
        let kinds: BTreeSet<FactKind> = kinds.collect::<Result<_, Unread>>()?;

        // None of these waits for another: what is published about a job meanwhile is in none of
        // them or in some, as if they were read one after the other.
        let (accepted, planned, cancel, verdict, work) = futures::join!(
            self.last_fact(job, FactKind::Accepted, &kinds),
            self.read_fact(job, FactKind::Planned, &kinds),
            self.read_fact(job, FactKind::Cancel, &kinds),
            self.read_fact(job, FactKind::Verdict, &kinds),
            self.work(job),
        );

        let Some(accepted) = accepted else {
            return Ok(None);
        };

        Ok(Some(JobState {
            job_id: job.clone(),
            traceparent: accepted.header("traceparent").map(str::to_owned),
            accepted: entry(&accepted)?,
            planned: feasible(planned?)?,
            cancel: cancel?,
            verdict: verdict?,
            playable: kinds.contains(&FactKind::Playable),
            ended: kinds.contains(&FactKind::Ended),
            work: work?,
        }))
    }

    /// What workers said of the job's tasks, as of now.
    ///
    /// # Errors
    /// [`Unread::Newer`] where a newer worker said what this release does not know.
    pub async fn work(&self, job: &JobId) -> Result<WorkState, Unread> {
        WorkState::from_subjects(
            &self
                .log
                .subjects(topology::WORK, &subject::work_of(job))
                .await,
        )
    }

    /// The owner of a prefix, with the sequence of the message that says so.
    ///
    /// # Errors
    /// [`Unread`] where there is one that cannot be read.
    pub async fn owner(&self, prefix: &OutputPrefix) -> Result<Option<(Current, u64)>, Unread> {
        let subject = subject::current(self.output.name(), prefix);
        let Some(stored) = self.log.last(topology::JOBS, &subject).await else {
            return Ok(None);
        };
        Ok(Some((wire::read(&subject, &stored.payload)?, stored.seq)))
    }

    /// The tombstone of a file, with its sequence; none if the file was never deleted.
    ///
    /// # Errors
    /// [`Unread`] where there is one that cannot be read.
    pub async fn tombstone(&self, file: &FileId) -> Result<Option<(Tombstone, u64)>, Unread> {
        let subject = subject::deleted(file);
        let Some(stored) = self.log.last(topology::JOBS, &subject).await else {
            return Ok(None);
        };
        Ok(Some((wire::read(&subject, &stored.payload)?, stored.seq)))
    }

    /// The newest start of the task, by the stream sequence of its `attempt`; nothing before the
    /// first.
    pub async fn newest_attempt(&self, job: &JobId, task: TaskName) -> Option<u64> {
        let subject = subject::work(job, WorkKind::Attempt, task);
        self.log
            .last(topology::WORK, &subject)
            .await
            .map(|last| last.seq)
    }

    /// Whether attempt `seq` is the newest start of the task: only that one may publish for it.
    pub async fn is_newest_attempt(&self, job: &JobId, task: TaskName, seq: u64) -> bool {
        // Where the stream has forgotten every attempt, none is newer.
        self.newest_attempt(job, task)
            .await
            .is_none_or(|newest| newest == seq)
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

    /// As [`Jobs::announce`], under a message id of the writer: a repetition with the same id is
    /// reported as the same write.
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

    async fn last_fact(
        &self,
        job: &JobId,
        kind: FactKind,
        present: &BTreeSet<FactKind>,
    ) -> Option<StoredMessage> {
        if !present.contains(&kind) {
            return None;
        }
        self.log
            .last(topology::JOBS, &subject::fact(job, kind))
            .await
    }

    async fn read_fact<T: DeserializeOwned>(
        &self,
        job: &JobId,
        kind: FactKind,
        present: &BTreeSet<FactKind>,
    ) -> Result<Option<Entry<T>>, Unread> {
        let stored = self.last_fact(job, kind, present).await;
        stored.map(|stored| entry(&stored)).transpose()
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
