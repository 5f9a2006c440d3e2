//! Upload event → `accepted` and the plan task.
//!
//! The order of writes makes a crash anywhere harmless: the event is acknowledged last, and a second reading of it finds the
//! same job through its identity.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use streams::fact::{Accepted, Fact, Head};
use streams::task::TaskName;
use streams::upload::{self, Arrival, Malformed};
use streams::work::SourceOwner;
use streams::{Code, JobId, dead, subject, topology};
use tokio_util::sync::CancellationToken;

use crate::crash;
use crate::failure::Failure;
use crate::jetstream::{Created, Delivery, Lanes, Outgoing, Refused, Settlement, pull};
use crate::job::Jobs;
use crate::storage::Locator;

/// Events in work at a time.
const SLOTS: usize = 16;
/// Share of the queue beyond which intake waits, so that what is accepted can also be queued.
const QUEUE_FULL: f64 = 0.8;

/// Takes upload events in.
#[derive(Debug, Clone)]
pub struct Intake {
    /// The jobs.
    pub jobs: Jobs,
    /// What an event may name as its source.
    pub locator: Locator,
}

impl Intake {
    /// Takes events in until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let nats = self.jobs.log.nats().clone();
        let log = self.jobs.log.clone();
        let lanes = Lanes {
            stream: topology::UPLOADS,
            durables: vec![topology::INTAKE],
            slots: SLOTS,
        };
        let handle = move |delivery| {
            let intake = self.clone();
            async move { intake.take(delivery).await }
        };
        let may_pull = || async { log.queue_fill().await < QUEUE_FULL };
        pull(&nats, lanes, may_pull, handle, stop).await;
    }

    /// Takes one event in.
    pub(crate) async fn take(&self, delivery: Arc<Delivery>) -> Settlement {
        if delivery.subject() != subject::UPLOAD {
            tracing::warn!(
                subject = delivery.subject(),
                "this version does not serve the subject; looked at again later"
            );
            return Settlement::Retry(Duration::from_secs(3600));
        }
        let read = upload::read(delivery.headers(), delivery.payload(), &self.jobs.settings.output_root);
        let taken = match read {
            Ok(arrival) => self.accept(&delivery, arrival).await,
            Err(malformed) => self.bury(&delivery, &malformed).await,
        };
        taken.unwrap_or_else(|refused| {
            tracing::error!(%refused, seq = delivery.seq, "an upload event cannot be taken in");
            Settlement::Retry(Duration::from_secs(60))
        })
    }

    async fn accept(&self, delivery: &Delivery, arrival: Arrival) -> Result<Settlement, Refused> {
        let job_id = self.resolve(&arrival).await?;
        crash::point("intake.resolved");
        let failure = self.objection(&arrival);
        let trace = arrival.traceparent.clone();
        let identity = arrival.identity.clone();
        let file_id = arrival.upload.file_id.clone();
        let keys = self.jobs.keys(&arrival.output_prefix, &job_id);
        let accepted = Accepted {
            head: Head::new(job_id.clone(), file_id.clone()),
            manifest_url: self.jobs.public_url(&keys.master()),
            output_prefix: arrival.output_prefix,
            retry_of: arrival.retry_of,
            identity: arrival.identity,
            upload: arrival.upload,
        };
        // Under an id of the event's own, a second reading of it finds its own `accepted`, and any other event somebody else's.
        let id = format!("upload-{}-{job_id}", delivery.seq);
        let accepted = Fact::Accepted(accepted);
        let failure = match self.jobs.announce_as(id, &accepted, trace.as_deref()).await? {
            Created::Ours(_) => {
                counter!("fluxhls_uploads_total", "result" => "accepted").increment(1);
                failure
            }
            Created::Theirs(standing) => {
                let standing: Option<Accepted> = serde_json::from_slice(&standing.payload).ok();
                if standing.is_some_and(|standing| standing.head.file_id != file_id) {
                    let reason = format!("job_id {job_id} is already the job of another file");
                    return self.bury(delivery, &Malformed(reason)).await;
                }
                counter!("fluxhls_uploads_total", "result" => "duplicate").increment(1);
                tracing::info!(job.id = %job_id, file.id = %file_id, identity, "the event was taken in before");
                // What is wrong with another event than the job's own is none of the job's business.
                None
            }
        };
        crash::point("intake.accepted");
        let Some(state) = self.jobs.state(&job_id).await else {
            return Ok(Settlement::Retry(Duration::from_secs(1)));
        };
        if let (Some(failure), true) = (failure, state.is_open()) {
            return Ok(match self.jobs.fail(&state, failure.to_error(None)).await {
                Ok(()) => Settlement::Ack,
                Err(_) => Settlement::Retry(self.jobs.settings.retry_delay),
            });
        }
        if !state.ended {
            self.jobs
                .log
                .enqueue(&state.key(TaskName::PLAN), state.traceparent.as_deref())
                .await?;
            crash::point("intake.queued");
        }
        Ok(Settlement::Ack)
    }

    /// Why the job can only fail, where the event itself says so.
    fn objection(&self, arrival: &Arrival) -> Option<Failure> {
        if !arrival.violations.is_empty() {
            return Some(Failure::new(
                Code::InvalidEvent,
                format!("The event is not valid: {}.", arrival.violations.join("; ")),
            ));
        }
        let forbidden = self.locator.locate(&arrival.upload.file_url).err()?;
        Some(Failure::told_by(Code::ForbiddenSource, &forbidden))
    }

    /// The job an event stands for: its own id, else the one its identity was first given.
    async fn resolve(&self, arrival: &Arrival) -> Result<JobId, Refused> {
        if let Some(job_id) = &arrival.job_id {
            return Ok(job_id.clone());
        }
        let owner = SourceOwner {
            job_id: JobId::fresh(),
            file_id: arrival.upload.file_id.clone(),
        };
        let body = serde_json::to_vec(&owner).unwrap_or_default();
        let message = Outgoing::json(subject::source(&arrival.identity), body);
        Ok(match self.jobs.log.create(topology::JOBS, message).await? {
            Created::Ours(_) => owner.job_id,
            Created::Theirs(first) => {
                serde_json::from_slice(&first.payload).map_or(owner.job_id, |first: SourceOwner| first.job_id)
            }
        })
    }

    /// Keeps an event that names no file, or contradicts the log, as a dead letter with its original bytes.
    async fn bury(&self, delivery: &Delivery, reason: &Malformed) -> Result<Settlement, Refused> {
        let letter = Outgoing::json(
            subject::dead_message("upload", delivery.seq),
            delivery.payload().clone(),
        )
        .with_header(dead::ORIGIN_STREAM, topology::UPLOADS)
        .with_header(dead::ORIGIN_SEQ, &delivery.seq.to_string())
        .with_header(dead::CODE, Code::InvalidEvent.as_str())
        .with_header(dead::REASON, &reason.0);
        self.jobs.log.create(topology::DEAD, letter).await?;
        crash::point("intake.buried");
        counter!("fluxhls_uploads_total", "result" => "malformed").increment(1);
        tracing::warn!(seq = delivery.seq, reason = %reason, "an upload event is malformed; kept as a dead letter");
        Ok(Settlement::Ack)
    }
}
