//! What the streams hold, read as any other program would read them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{FutureExt as _, StreamExt as _};
use serde_json::Value;
use streams::progress::Progress;
use streams::{FactKind, JobId, subject, topology};

use super::{DEADLINE, until};

/// How long a cluster may take to elect a leader.
const ELECTION: Duration = Duration::from_secs(30);

/// A message as a reader of the stream gets it.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// Where it was published.
    pub(crate) subject: String,
    /// Its sequence in the stream.
    pub(crate) seq: u64,
    /// When the server stored it.
    pub(crate) time: DateTime<Utc>,
    /// Its headers.
    pub(crate) headers: async_nats::HeaderMap,
    /// Its body.
    pub(crate) payload: Bytes,
}

impl Message {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.payload)
            .unwrap_or_else(|error| panic!("{}: {error}", self.subject))
    }

    /// A header's first value.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("{} has no header {name}", self.subject))
            .as_str()
    }
}

/// What was published of a job's progress since someone began to listen.
#[derive(Debug)]
pub(crate) struct ProgressFeed {
    messages: async_nats::Subscriber,
}

impl ProgressFeed {
    /// Everything that was published: the task, and how much of the job was done.
    pub(crate) fn so_far(mut self) -> Vec<(String, f64)> {
        let told = std::iter::from_fn(|| self.messages.next().now_or_never().flatten());
        let told =
            told.map(|message| serde_json::from_slice::<Progress>(&message.payload).unwrap());
        told.map(|progress| (progress.task.to_string(), progress.job_progress))
            .collect()
    }
}

/// Asks again for a while: a cluster that elects a leader does not answer.
async fn answered<T, F: Future<Output = Result<T, async_nats::Error>>>(ask: impl Fn() -> F) -> T {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) if begun.elapsed() > ELECTION => panic!("NATS does not answer: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// Reads the streams of one server.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    /// The test's connection.
    pub(crate) js: Context,
}

impl Streams {
    /// Waits for the first message under `filter` that `wanted` takes, looking at those already
    /// there too.
    pub(crate) async fn first<F: FnMut(&Message) -> bool>(
        &self,
        stream: &str,
        filter: &str,
        mut wanted: F,
    ) -> Message {
        let found = async {
            let mut messages = self.follow(stream, filter).await;
            while let Some(message) = messages.next().await {
                if wanted(&message) {
                    return message;
                }
            }
            panic!("{stream} stopped telling {filter}");
        };
        let found = tokio::time::timeout(DEADLINE, found).await;
        found.unwrap_or_else(|_| {
            panic!("nothing fitting came on {filter} of {stream} within {DEADLINE:?}")
        })
    }

    /// Every message under `filter`, from the oldest on, for as long as the test reads.
    async fn follow(
        &self,
        stream: &str,
        filter: &str,
    ) -> impl futures::Stream<Item = Message> + Unpin {
        let config = OrderedConfig {
            filter_subject: filter.to_owned(),
            ..OrderedConfig::default()
        };

        let messages = answered(|| {
            let (js, stream, config) = (self.js.clone(), stream.to_owned(), config.clone());
            async move {
                let stream = js.get_stream(stream).await?;
                Ok(stream.create_consumer(config).await?.messages().await?)
            }
        })
        .await;

        // The consumer is made again by itself after a break; only then an item is an error.
        Box::pin(messages.filter_map(async |message| {
            let message = message.ok()?;
            let (seq, time) = message
                .info()
                .ok()
                .map(|info| (info.stream_sequence, info.published))?;
            let (subject, headers) = (
                message.subject.to_string(),
                message.headers.clone().unwrap_or_default(),
            );
            Some(Message {
                subject,
                seq,
                time,
                headers,
                payload: message.payload.clone(),
            })
        }))
    }

    /// Every message under `filter` that is there now.
    pub(crate) async fn all(&self, stream: &str, filter: &str) -> Vec<Message> {
        let count: u64 = self.counts(stream, filter).await.values().sum();
        let messages = self
            .follow(stream, filter)
            .await
            .take(usize::try_from(count).unwrap());
        tokio::time::timeout(DEADLINE, messages.collect())
            .await
            .expect("the stream answers")
    }

    /// How many messages each subject under `filter` holds now.
    pub(crate) async fn counts(&self, stream: &str, filter: &str) -> BTreeMap<String, u64> {
        let pages = answered(|| {
            let (js, stream, filter) = (self.js.clone(), stream.to_owned(), filter.to_owned());
            async move {
                let stream = js.get_stream(stream).await?;
                Ok(stream.info_builder().subjects(filter).fetch().await?)
            }
        })
        .await;

        pages
            .map(|page| {
                page.map(|(subject, count)| (subject, count as u64))
                    .unwrap()
            })
            .collect()
            .await
    }

    /// Waits until a durable consumer has acknowledged everything up to `seq`.
    pub(crate) async fn acknowledged(&self, stream: &str, durable: &str, seq: u64) {
        let stream = self.js.get_stream(stream).await.unwrap();
        until(
            &format!("{durable} acknowledges message {seq}"),
            async || {
                stream
                    .consumer_info(durable)
                    .await
                    .unwrap()
                    .ack_floor
                    .stream_sequence
                    >= seq
            },
        )
        .await;
    }

    /// Waits until a stream holds no message.
    pub(crate) async fn emptied(&self, stream: &str) {
        let handle = self.js.get_stream(stream).await.unwrap();
        until(&format!("{stream} is empty"), async || {
            handle
                .get_info()
                .await
                .is_ok_and(|info| info.state.messages == 0)
        })
        .await;
    }

    /// Listens to the progress of a job from now on.
    pub(crate) async fn progress_of(&self, job: &JobId) -> ProgressFeed {
        let client = self.js.client();
        let messages = client
            .subscribe(format!("hls.v1.progress.{job}.>"))
            .await
            .unwrap();
        // Nothing that is published after this is missed.
        client.flush().await.unwrap();
        ProgressFeed { messages }
    }

    /// A fact of a job, waited for.
    pub(crate) async fn fact(&self, job: &JobId, kind: FactKind) -> Message {
        self.first(topology::JOBS, &subject::fact(job, kind), |_| true)
            .await
    }

    /// Publishes an upload event as bare JSON, and returns its sequence.
    pub(crate) async fn upload(&self, event: &Value) -> u64 {
        self.publish(subject::UPLOAD, event.to_string()).await
    }

    /// Publishes any bytes, and returns their sequence.
    pub(crate) async fn publish(&self, subject: &str, body: impl Into<Bytes>) -> u64 {
        self.send(subject, PublishMessage::build().payload(body.into()))
            .await
    }

    /// Publishes a message with headers, and returns its sequence.
    pub(crate) async fn send(&self, subject: &str, message: PublishMessage) -> u64 {
        self.js
            .send_publish(subject.to_owned(), message)
            .await
            .unwrap()
            .await
            .unwrap()
            .sequence
    }
}
