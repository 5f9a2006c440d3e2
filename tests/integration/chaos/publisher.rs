//! Someone who uploads: publishes each event until the server has it, as any publisher must, and
//! cancels some jobs.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream::message::PublishMessage;
use serde_json::{Value, json};
use streams::{JobId, subject};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::order::{ExpectedEnd, Manner, Order, Source};
use super::schedule::OPEN;
use crate::harness::streams::Streams;
use crate::harness::worker::fluxhls;

/// What one event asked for.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    /// How it must end.
    pub(super) expected_end: ExpectedEnd,
    /// The file.
    pub(super) file: String,
    /// The job, where the event names one.
    pub(super) job: Option<JobId>,
    /// Sequences of the messages in the stream of events.
    pub(super) seqs: Vec<u64>,
    /// What was sent.
    pub(super) body: Value,
}

/// Someone who uploads.
pub(super) struct Publisher {
    /// Where events go.
    pub(super) streams: Streams,
    /// URL and size of every source.
    pub(super) sources: BTreeMap<Source, (String, u64)>,
    /// How many jobs have ended.
    pub(super) ended: watch::Receiver<usize>,
    /// What a command has to know.
    pub(super) environment: BTreeMap<&'static str, String>,
}

/// Everything that was asked for.
#[derive(Debug)]
pub(super) struct Published {
    /// The events of different meaning.
    pub(super) sent: Vec<Sent>,
    /// Jobs whose cancel was answered with "canceled".
    pub(super) canceled: Vec<JobId>,
}

impl Publisher {
    /// Publishes everything, in order, while few enough jobs are open.
    pub(super) async fn run(mut self, orders: &[Order]) -> Published {
        let mut sent = Vec::new();
        let mut cancels = JoinSet::new();
        let mut jobs = 0;
        for order in orders {
            let room = self.ended.wait_for(|ended| jobs < ended + OPEN);
            drop(room.await.unwrap());
            jobs += order.jobs();
            sent.extend(self.publish(*order).await);
            if order.manner == Manner::Canceled {
                let job = sent.last().and_then(|sent| sent.job.clone()).unwrap();
                cancels.spawn(cancel(self.environment.clone(), self.streams.clone(), job));
            }
        }
        Published {
            sent,
            canceled: cancels.join_all().await.into_iter().flatten().collect(),
        }
    }

    async fn publish(&self, order: Order) -> Vec<Sent> {
        let mut first = self.event(order);
        if order.manner == Manner::Malformed {
            first["file_id"] = json!("no/file");
        }
        let mut events = vec![first.clone()];
        if order.manner == Manner::Again {
            first["retry_of"] = first["job_id"].clone();
            first["job_id"] = json!(cuid2::create_id());
            events.push(first);
        }
        let times = match order.manner {
            Manner::Twice | Manner::NamelessTwice => 2,
            _ => 1,
        };
        let mut sent = Vec::new();
        for body in events {
            let mut seqs = Vec::new();
            for _ in 0..times {
                seqs.push(deliver(&self.streams, &body).await);
            }
            sent.push(Sent {
                expected_end: order.expected_end(),
                file: body["file_id"].as_str().unwrap().to_owned(),
                job: body["job_id"].as_str().map(|job| job.parse().unwrap()),
                seqs,
                body,
            });
        }
        sent
    }

    fn event(&self, order: Order) -> Value {
        let (url, size) = &self.sources[&order.source];
        // Attempts are cheap here: a job is to end as its source deserves, however often its
        // workers die.
        let mut event = json!({
            "file_id": cuid2::create_id(), "job_id": cuid2::create_id(), "name": "clip.mp4", "file_url": url, "size": size,
            "settings": { "profile": "chaos", "max_attempts": 50 },
        });
        if matches!(order.manner, Manner::Nameless | Manner::NamelessTwice) {
            event.as_object_mut().unwrap().remove("job_id");
        }
        event
    }
}

/// Publishes one event until it is acknowledged; its message id makes it one message.
async fn deliver(streams: &Streams, event: &Value) -> u64 {
    let id = cuid2::create_id();
    loop {
        let message = PublishMessage::build()
            .payload(event.to_string().into())
            .message_id(&id);
        let sent = async {
            streams
                .js
                .send_publish(subject::UPLOAD, message)
                .await?
                .await
        };
        match sent.await {
            Ok(ack) => return ack.sequence,
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// Cancels a job once its plan task was started; returns the job if the answer says that it is
/// canceled.
async fn cancel(
    environment: BTreeMap<&'static str, String>,
    streams: Streams,
    job: JobId,
) -> Option<JobId> {
    let started = format!("hls.v1.work.{job}.attempt.>");
    streams
        .first(streams::topology::WORK, &started, |_| true)
        .await;
    loop {
        let mut program = fluxhls();
        program
            .args(["jobs", "cancel", job.as_str()])
            .envs(&environment);
        let output = program.output().await.unwrap();
        if output.status.success() {
            return Some(job);
        }
        if String::from_utf8_lossy(&output.stdout).contains("too late") {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
