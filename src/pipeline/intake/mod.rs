//! Upload event → `accepted` and the plan task; delete event → nothing of the file is left.
//!
//! The order of writes makes a crash anywhere harmless: the event is acknowledged last, and a
//! second reading of it finds the same job through its identity. [`crate::job::deletion`] says why
//! no upload event slips past a deletion.

mod dead_letter;
mod delete;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use jetstream::{CreateOutcome, Delivery, Disposition, Lanes, OutboundMessage, Refused, pull};
use metrics::{Gauge, counter};
use serde_json::json;
use storage::Locator;
use streams::fact::{Accepted, Fact, Head};
use streams::task::TaskName;
use streams::upload::{self, Arrival, Malformed, SourceObject, Upload};
use streams::work::SourceOwner;
use streams::{Code, EventOrder, FileId, JobId, Unread, subject, topology, wire};
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use crate::crash;
use crate::job::Jobs;
use crate::job::broken::end_broken_job;
use crate::job::deletion::{delete_job, find_deletion_after};
use crate::job::failure::Failure;
use crate::job::verdict::{SettleError, fail_job};
use crate::telemetry::trace;

/// Events in work at a time.
const MAX_EVENTS_IN_WORK: usize = 16;
/// Share of the queue beyond which intake waits, so that what is accepted can also be queued.
const MAX_QUEUE_FILL: f64 = 0.8;

/// Takes upload events in.
#[derive(Debug, Clone)]
pub struct Intake {
    /// The jobs.
    pub jobs: Jobs,
    /// What an event may name as its source.
    pub locator: Locator,
}

/// Makes the counters exist at zero, so that their first increase is seen.
fn register_metrics() {
    for result in ["accepted", "duplicate", "malformed"] {
        counter!("fluxhls_uploads_total", "result" => result).increment(0);
    }
    counter!("fluxhls_deleted_files_total").increment(0);
}

impl Intake {
    /// Takes events in until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        register_metrics();

        let nats = self.jobs.log.nats().clone();
        let log = self.jobs.log.clone();
        let lanes = Lanes {
            stream: topology::UPLOADS,
            durables: vec![topology::INTAKE],
            slots: MAX_EVENTS_IN_WORK,
            busy: Gauge::noop(),
        };

        let handle = move |delivery| {
            let intake = self.clone();
            async move { intake.take(delivery).await }
        };
        let may_pull = || async { log.queue_fill().await < MAX_QUEUE_FILL };
        pull(&nats, lanes, may_pull, handle, stop).await;
    }

    /// Takes one event in.
    pub async fn take(&self, delivery: Arc<Delivery>) -> Disposition {
        let taking = async {
            match delivery.subject() {
                subject::UPLOAD => self.handle_upload(&delivery).await,
                subject::DELETE => self.handle_delete(&delivery).await,
                // The event stays in its stream until a worker that knows the subject takes it.
                unknown => Err(Unread::newer(unknown, "this release knows no such event").into()),
            }
        };
        let taken = AssertUnwindSafe(taking).catch_unwind().await;

        let stage = if delivery.subject() == subject::DELETE {
            "delete"
        } else {
            "upload"
        };
        match taken {
            Ok(Ok(disposition)) => disposition,
            Ok(Err(error)) => self.settle_error(&delivery, stage, error).await,
            // No job has a deadline yet that would end this: the event would be delivered again
            // forever.
            Err(panic) => {
                self.settle_internal_error(&delivery, stage, &Failure::of_panic(&*panic).message)
                    .await
            }
        }
    }

    async fn handle_upload(&self, delivery: &Delivery) -> Result<Disposition, SettleError> {
        match upload::read(
            delivery.headers(),
            delivery.payload(),
            &self.jobs.settings.output_root,
        ) {
            Ok(arrival) => {
                let span = span(&arrival, delivery.seq);
                self.accept_upload(delivery, arrival).instrument(span).await
            }
            Err(malformed) => Ok(self
                .settle_malformed(delivery, "upload", &malformed)
                .await?),
        }
    }

    async fn accept_upload(
        &self,
        delivery: &Delivery,
        arrival: Arrival,
    ) -> Result<Disposition, SettleError> {
        let event = EventOrder::new(delivery.seq, delivery.time);
        let job_id = self.find_job_id(&arrival, &event).await?;
        Span::current().record("job.id", job_id.as_str());
        crash::point("intake.resolved");

        // The index entry comes before `accepted`: a deletion reads the index after it wrote its
        // tombstone, and must find every job that does not see the tombstone.
        self.write_file_index(&arrival.upload.file_id, &job_id)
            .await?;
        crash::point("intake.indexed");

        // A bad source does not refuse the event. The job is accepted and then fails, so that a row
        // that an API inserted does not stay pending.
        let (source, failure) = match self.locate_source(&arrival) {
            Ok(source) => (Some(source), None),
            Err(failure) => (None, Some(failure)),
        };

        let trace = arrival.traceparent.clone().or_else(trace::current);
        let file_id = arrival.upload.file_id.clone();
        let accepted = self.make_accepted(arrival, source, &job_id, event).await?;

        let (created, failure) = self
            .publish_accepted(delivery, accepted, trace.as_deref(), failure)
            .await?;
        let failure = match created {
            CreateOutcome::Created(_) => {
                counter!("fluxhls_uploads_total", "result" => "accepted").increment(1);
                failure
            }
            CreateOutcome::AlreadyExists(stored) => {
                let existing: Accepted = match wire::read(&stored.subject, &stored.payload) {
                    Err(unread @ Unread::Broken { .. }) => {
                        end_broken_job(&self.jobs, &job_id, unread).await?;
                        return Ok(Disposition::Ack);
                    }
                    read => read?,
                };

                if existing.head.file_id != file_id {
                    let reason = format!("job_id {job_id} is already the job of another file");
                    return Ok(self
                        .settle_malformed(delivery, "upload", &Malformed(reason))
                        .await?);
                }

                counter!("fluxhls_uploads_total", "result" => "duplicate").increment(1);
                tracing::info!(job.id = %job_id, file.id = %file_id, "the event was already accepted");
                // What is wrong with another event than the job's own does not concern the job.
                None
            }
        };

        crash::point("intake.accepted");
        self.start_job(delivery, &job_id, failure).await
    }

    /// Publishes `accepted`, and returns why the job can only fail, if that is so. An event that
    /// the server accepted but that is too long to be forwarded is accepted without its metadata,
    /// and published as a dead letter as far as it fits.
    async fn publish_accepted(
        &self,
        delivery: &Delivery,
        accepted: Accepted,
        trace: Option<&str>,
        failure: Option<Failure>,
    ) -> Result<(CreateOutcome, Option<Failure>), Refused> {
        // Under an id of the event's own, a second reading of it finds its own `accepted`, and any
        // other event finds someone else's. The time distinguishes it from an event of the same
        // number in another life of the stream.
        let (seq, micros) = (delivery.seq, delivery.time.timestamp_micros());
        let id = format!("upload-{seq}-{micros}-{}", accepted.head.job_id);

        let whole = Fact::Accepted(accepted.clone());
        let refused = match self.jobs.announce_as(id.clone(), &whole, trace).await {
            Ok(created) => return Ok((created, failure)),
            Err(refused) => refused,
        };

        let failure = Failure::from_error(
            Code::InvalidEvent,
            &format!("the event is too long to be passed on: {refused}"),
        );
        self.publish_dead_letter(delivery, "upload", failure.code, &failure.message)
            .await?;

        let short = Fact::Accepted(Accepted {
            upload: Upload {
                metadata: json!({}),
                ..accepted.upload
            },
            ..accepted
        });
        let created = self.jobs.announce_as(id, &short, trace).await?;
        Ok((created, Some(failure)))
    }

    /// How the job of an event begins.
    async fn make_accepted(
        &self,
        arrival: Arrival,
        source: Option<SourceObject>,
        job: &JobId,
        event: EventOrder,
    ) -> Result<Accepted, Unread> {
        let file_id = arrival.upload.file_id.clone();
        let tombstone = self.jobs.tombstone(&file_id).await?;
        let keys = self.jobs.keys(&arrival.output_prefix, job);

        Ok(Accepted {
            head: Head::new(job.clone(), file_id),
            manifest_url: self.jobs.public_url(&keys.master()),
            output_prefix: arrival.output_prefix,
            retry_of: arrival.retry_of,
            identity: arrival.identity,
            event,
            deleted: tombstone.is_some_and(|(tombstone, _)| !event.is_after(&tombstone.event)),
            upload: arrival.upload,
            source,
        })
    }

    /// Sends an accepted job on its way: to its end where its file was deleted or its event can
    /// only fail, else onto the queue.
    async fn start_job(
        &self,
        delivery: &Delivery,
        job: &JobId,
        failure: Option<Failure>,
    ) -> Result<Disposition, SettleError> {
        let state = match self.jobs.state(job).await {
            Ok(Some(state)) => state,
            Ok(None) => return Ok(Disposition::Retry(Duration::from_secs(1))),
            Err(unread) => {
                end_broken_job(&self.jobs, job, unread).await?;
                return Ok(Disposition::Ack);
            }
        };

        // Read after `accepted`: a deletion that this does not see reads the index later, and finds
        // the job.
        if let Some(deletion) = find_deletion_after(&self.jobs, &state).await? {
            self.await_removal(delivery, delete_job(&self.jobs, &state, deletion))
                .await?;
            return Ok(Disposition::Ack);
        }

        if let (Some(failure), true) = (failure, state.is_open()) {
            fail_job(&self.jobs, &state, failure.to_error(None)).await?;
            return Ok(Disposition::Ack);
        }

        if !state.ended {
            self.jobs
                .log
                .enqueue(&state.key(TaskName::PLAN), state.traceparent.as_deref())
                .await?;
            crash::point("intake.queued");
        }

        Ok(Disposition::Ack)
    }

    /// The object an event means; or why its job can only fail. No one reads the event's URL again.
    fn locate_source(&self, arrival: &Arrival) -> Result<SourceObject, Failure> {
        if !arrival.violations.is_empty() {
            return Err(Failure::new(
                Code::InvalidEvent,
                format!("The event is not valid: {}.", arrival.violations.join("; ")),
            ));
        }

        let located = self.locator.locate(&arrival.upload.file_url);
        located.map_err(|forbidden| Failure::from_error(Code::ForbiddenSource, &forbidden))
    }

    /// Writes down that the file has this job, so that a deletion finds all of them without reading
    /// the log.
    async fn write_file_index(&self, file: &FileId, job: &JobId) -> Result<(), Refused> {
        let entry = SourceOwner {
            job_id: job.clone(),
            file_id: file.clone(),
        };
        let body = wire::encode(&entry);
        let message = OutboundMessage::json(subject::job_of_file(file, job), body);
        self.jobs
            .log
            .create(topology::JOBS, message)
            .await
            .map(drop)
    }

    /// The job an event means: its own id, else the one its identity was first given, unless that
    /// one was deleted since.
    async fn find_job_id(
        &self,
        arrival: &Arrival,
        event: &EventOrder,
    ) -> Result<JobId, SettleError> {
        if let Some(job_id) = &arrival.job_id {
            return Ok(job_id.clone());
        }

        let owner = SourceOwner {
            job_id: JobId::fresh(),
            file_id: arrival.upload.file_id.clone(),
        };
        let body = wire::encode(&owner);
        let message = OutboundMessage::json(subject::source(&arrival.identity), body);

        let mut expected = 0;
        loop {
            // The first event of an identity decides its job. Of several that arrive at once only
            // one is stored, because the write names the sequence that it replaces (0: there is
            // none).
            let first = match self
                .jobs
                .log
                .replace(topology::JOBS, message.clone(), expected)
                .await?
            {
                CreateOutcome::Created(_) => return Ok(owner.job_id),
                CreateOutcome::AlreadyExists(first) => first,
            };
            let SourceOwner { job_id, .. } = wire::read(&first.subject, &first.payload)?;

            // Only equal content can mean another upload: the same file, sent again after it was
            // deleted. An event with its own id is the same event however late it arrives.
            if !(arrival.is_told_by_content() && self.predates_deletion(&job_id, event).await?) {
                return Ok(job_id);
            }

            expected = first.seq;
        }
    }

    /// Whether the job was uploaded before its file was deleted, and the event after.
    async fn predates_deletion(
        &self,
        job: &JobId,
        event: &EventOrder,
    ) -> Result<bool, SettleError> {
        let Some(state) = self.jobs.state(job).await? else {
            return Ok(false);
        };

        let deletion = find_deletion_after(&self.jobs, &state).await?;
        Ok(deletion.is_some_and(|deletion| event.is_after(&deletion)))
    }
}

/// What log lines and traces say of taking an event in.
fn span(arrival: &Arrival, seq: u64) -> Span {
    let traceparent = arrival.traceparent.as_deref();
    let span = tracing::error_span!(
        "intake",
        otel.kind = "consumer",
        job.id = Empty,
        file.id = %arrival.upload.file_id,
        seq,
        trace.id = trace::id(traceparent),
    );
    trace::continued(span, traceparent)
}
