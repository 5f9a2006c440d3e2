//! From the log to the page: every fact, start of a task and progress message moves a job on the
//! job list.

use std::time::Duration;

use async_nats::Message;
use async_nats::jetstream::consumer::{DeliverPolicy, pull::OrderedConfig};
use dev::page::{JobError, JobList, JobState, Update};
use futures::{Stream, StreamExt as _};
use jetstream::Log;
use streams::fact::{Accepted, Ended, Fact, Outcome};
use streams::progress::Progress;
use streams::task::Duty;
use streams::{JobId, subject, topology};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Keeps the job list up to date until `stop`, from the beginning of the log.
pub(super) async fn keep_current(
    log: Log,
    job_list: watch::Sender<JobList>,
    stop: CancellationToken,
) {
    loop {
        let trouble = tokio::select! {
            trouble = follow(&log, &job_list) => trouble,
            () = stop.cancelled() => return,
        };

        if let Err(error) = trouble {
            tracing::warn!(%error, "the page's feed was interrupted");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn follow(log: &Log, job_list: &watch::Sender<JobList>) -> Result<(), async_nats::Error> {
    let client = &log.nats().client;
    let mut progress = client.subscribe(subject::ALL_PROGRESS).await?;
    let mut starts = client.subscribe("hls.v1.work.*.attempt.>").await?;
    let mut facts = subscribe_facts(log).await?;

    loop {
        tokio::select! {
            Some(message) = facts.next() => {
                let message = message?;
                let subject = message.subject.as_str();
                let fact = subject::read_fact(subject).and_then(|(_, kind)| Fact::decode(subject, kind, &message.payload));
                if let Ok(fact) = fact {
                    job_list.send_modify(|job_list| record_fact(job_list, &fact));
                }
            }
            Some(message) = progress.next() => if let Ok(update) = serde_json::from_slice::<Progress>(&message.payload) {
                job_list.send_modify(|job_list| record_progress(job_list, &update));
            },
            Some(message) = starts.next() => job_list.send_modify(|job_list| record_attempt(job_list, &message)),
            else => return Ok(()),
        }
    }
}

async fn subscribe_facts(
    log: &Log,
) -> Result<
    impl Stream<Item = Result<async_nats::jetstream::Message, async_nats::Error>> + Unpin,
    async_nats::Error,
> {
    let stream = log.nats().js.get_stream_no_info(topology::JOBS).await?;
    let config = OrderedConfig {
        deliver_policy: DeliverPolicy::All,
        filter_subject: subject::ALL_FACTS.to_owned(),
        ..OrderedConfig::default()
    };
    let messages = stream.create_consumer(config).await?.messages().await?;
    Ok(messages.map(|message| message.map_err(Into::into)))
}

fn record_fact(job_list: &mut JobList, fact: &Fact) {
    let job = fact.head().job_id.as_str();
    let update = match (fact, job_list.job(job).cloned()) {
        (Fact::Accepted(accepted), None) => queued(accepted),
        (Fact::Planned(planned), Some(known)) => Update {
            state: JobState::Encoding,
            warnings: planned.warnings.clone(),
            ..known
        },
        (Fact::Playable(playable), Some(known)) => Update {
            manifest_url: Some(playable.manifest_url.clone()),
            ..known
        },
        (Fact::Ended(ended), Some(known)) => ended_update(ended, known),
        _ => return,
    };

    job_list.record(update);
}

fn queued(accepted: &Accepted) -> Update {
    Update {
        job_id: accepted.head.job_id.to_string(),
        file_id: accepted.head.file_id.to_string(),
        name: accepted.upload.name.clone(),
        state: JobState::Queued,
        progress: 0.0,
        speed: None,
        eta_seconds: None,
        manifest_url: None,
        thumbnail_url: None,
        error: None,
        warnings: Vec::new(),
        created_at: accepted.head.at,
    }
}

fn ended_update(ended: &Ended, known: Update) -> Update {
    let state = match ended.outcome {
        Outcome::Completed => JobState::Completed,
        Outcome::Failed => JobState::Failed,
        Outcome::Canceled => JobState::Canceled,
    };

    Update {
        state,
        progress: if state == JobState::Completed {
            1.0
        } else {
            known.progress
        },
        speed: None,
        eta_seconds: None,
        manifest_url: ended.manifest_url.clone(),
        thumbnail_url: ended.thumbnail_url.clone(),
        error: ended.error.as_ref().map(|error| JobError {
            code: error.code.to_string(),
            message: error.message.clone(),
        }),
        warnings: ended.warnings.clone(),
        ..known
    }
}

fn record_progress(job_list: &mut JobList, update: &Progress) {
    let Some(known) = job_list.job(update.job_id.as_str()).cloned() else {
        return;
    };
    if known.state != JobState::Encoding {
        return;
    }
    // The tasks of a job report side by side, and each value is a lower bound.
    let progress = known.progress.max(update.job_progress);

    job_list.record(Update {
        progress,
        speed: Some(update.speed),
        eta_seconds: Some(update.eta_seconds),
        ..known
    });
}

/// The start of a plan or finish task says where the job is.
fn record_attempt(job_list: &mut JobList, message: &Message) {
    let Some((job, _, task)) = subject::parse_work(message.subject.as_str()) else {
        return;
    };
    let job: JobId = job;
    let Some(known) = job_list.job(job.as_str()).cloned() else {
        return;
    };

    let state = match (task.duty, known.state) {
        (Duty::Plan, JobState::Queued) => JobState::Planning,
        (Duty::Finish, JobState::Encoding) => JobState::Checking,
        _ => return,
    };
    job_list.record(Update { state, ..known });
}
