//! The log: compare-and-set publishing and leader reads.
//!
//! A publish that timed out may have landed, so every publish is repeated until the server acknowledges it or says that
//! somebody was first; then the winner is read, for it may be our own. Reads and writes wait for the server however long it
//! takes: a caller that must not wait drops the future.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use streams::{TaskKey, subject, topology};

use super::Nats;
#[cfg(test)]
use super::model::Process;
use super::store::{Setback, Store};

/// A message as the stream's leader has it.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its subject.
    pub subject: String,
    /// Its sequence in the stream.
    pub seq: u64,
    /// When the server stored it.
    pub time: DateTime<Utc>,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub payload: Bytes,
}

impl Recorded {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(async_nats::HeaderValue::as_str)
    }
}

/// A message to publish. Its `Nats-Msg-Id` tells our own message from another writer's.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub(super) subject: String,
    pub(super) id: String,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
}

impl Outgoing {
    /// A JSON message with a fresh id.
    #[must_use]
    pub fn json(subject: String, payload: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("Content-Type", "application/json");
        Self {
            subject,
            id: cuid2::create_id(),
            headers,
            payload: payload.into(),
        }
    }

    /// The same message under an id of the caller's.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// The same message with one more header. Line breaks, which a header cannot hold, become spaces.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.replace(['\r', '\n'], " "));
        self
    }

    /// The same message carrying the trace of the upload event, where it had one.
    #[must_use]
    pub fn traced(self, traceparent: Option<&str>) -> Self {
        match traceparent {
            Some(trace) => self.with_header("traceparent", trace),
            None => self,
        }
    }
}

/// What became of a compare-and-set publish.
#[derive(Debug, Clone)]
pub enum Created {
    /// Ours is the message, stored at this sequence.
    Ours(u64),
    /// Somebody was first; this is what stands.
    Theirs(Recorded),
}

/// What became of a task that was to be queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// It is on the queue, put there by us or before us.
    Queued,
    /// The queue is full; the sweep will come back to it.
    Full,
}

/// The server will never take this message.
#[derive(Debug, Clone, thiserror::Error)]
#[error("NATS refuses a message on {subject}: {reason}")]
pub struct Refused {
    subject: String,
    reason: String,
}

/// Reads and writes the streams of the contract. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Log {
    store: Store,
}

impl Log {
    /// The log over `nats`.
    #[must_use]
    pub const fn new(nats: Nats) -> Self {
        Self {
            store: Store::Nats(nats),
        }
    }

    /// The log as one simulated process sees it.
    #[cfg(test)]
    pub(crate) const fn simulated(process: Process) -> Self {
        Self {
            store: Store::Model(process),
        }
    }

    /// The connection beneath.
    #[must_use]
    pub const fn nats(&self) -> &Nats {
        self.store.nats()
    }

    /// Subjects of the messages under `filter` that core NATS tells from now on: quick, but not sure to come.
    pub async fn heard(&self, filter: String) -> BoxStream<'static, String> {
        self.store.heard(filter).await
    }

    /// The last message on `subject`, as the stream's leader has it.
    pub async fn last(&self, stream: &str, subject: &str) -> Option<Recorded> {
        let mut pause = Pause::new(self.store.first_pause());
        loop {
            match self.store.last(stream, subject).await {
                Ok(found) => return found,
                Err(reason) => pause.after("read", subject, &reason).await,
            }
        }
    }

    /// How many messages each subject under `filter` holds, as the stream's leader counts them.
    pub async fn subjects(&self, stream: &str, filter: &str) -> BTreeMap<String, u64> {
        let mut pause = Pause::new(self.store.first_pause());
        loop {
            match self.store.count(stream, filter).await {
                Ok(counts) => return counts,
                Err(reason) => pause.after("count", filter, &reason).await,
            }
        }
    }

    /// Publishes `message` as the first on its subject.
    ///
    /// # Errors
    /// [`Refused`] when the server will never take it, e.g. over its payload limit.
    pub async fn create(&self, stream: &str, message: Outgoing) -> Result<Created, Refused> {
        self.replace(stream, message, 0).await
    }

    /// Publishes `message` if the last one on its subject is still the one at `expected` (0 for none).
    ///
    /// # Errors
    /// [`Refused`] when the server will never take it.
    pub async fn replace(&self, stream: &str, message: Outgoing, mut expected: u64) -> Result<Created, Refused> {
        let mut pause = Pause::new(self.store.first_pause());
        loop {
            match self.publish(&message, Some(expected), &mut pause).await? {
                Ok(seq) => return Ok(Created::Ours(seq)),
                Err(Setback::Full) => pause.after("publish", &message.subject, "the stream is full").await,
                Err(_) => match self.last(stream, &message.subject).await {
                    // The acknowledgement of an earlier try was lost; the message was not.
                    Some(winner) if winner.header("Nats-Msg-Id") == Some(&message.id) => {
                        return Ok(Created::Ours(winner.seq));
                    }
                    Some(winner) => return Ok(Created::Theirs(winner)),
                    // What stood there aged out; now ours may be the first.
                    None => expected = 0,
                },
            }
        }
    }

    /// Appends `message`, once however often it is tried, and returns its sequence.
    ///
    /// # Errors
    /// [`Refused`] when the server will never take it.
    pub async fn append(&self, message: Outgoing) -> Result<u64, Refused> {
        let mut pause = Pause::new(self.store.first_pause());
        loop {
            match self.publish(&message, None, &mut pause).await? {
                Ok(seq) => return Ok(seq),
                Err(_) => pause.after("publish", &message.subject, "the stream is full").await,
            }
        }
    }

    /// Puts a task on the queue unless it is there already.
    ///
    /// # Errors
    /// [`Refused`] when the server will never take it.
    pub async fn enqueue(&self, key: &TaskKey, traceparent: Option<&str>) -> Result<Enqueued, Refused> {
        let body = serde_json::to_vec(key).unwrap_or_default();
        let message = Outgoing::json(subject::task(key), body).traced(traceparent);
        match self
            .publish(&message, Some(0), &mut Pause::new(self.store.first_pause()))
            .await?
        {
            Err(Setback::Full) => Ok(Enqueued::Full),
            Ok(_) | Err(_) => Ok(Enqueued::Queued),
        }
    }

    /// Share of the queue's message limit that is in use, 0 to 1.
    pub async fn queue_fill(&self) -> f64 {
        let mut pause = Pause::new(self.store.first_pause());
        loop {
            match self.store.queued().await {
                #[expect(clippy::cast_precision_loss, reason = "a share of a million needs few digits")]
                Ok((messages, limit)) => return if limit > 0 { messages as f64 / limit as f64 } else { 0.0 },
                Err(reason) => pause.after("read", topology::TASKS, &reason).await,
            }
        }
    }

    /// Sends until the server says what became of it. The setbacks that come back are the two that the callers tell apart.
    async fn publish(
        &self,
        message: &Outgoing,
        expected: Option<u64>,
        pause: &mut Pause,
    ) -> Result<Result<u64, Setback>, Refused> {
        loop {
            match self.store.send(message, expected).await {
                Ok(seq) => return Ok(Ok(seq)),
                Err(Setback::Refused(reason)) => {
                    return Err(Refused {
                        subject: message.subject.clone(),
                        reason,
                    });
                }
                Err(Setback::Unknown(reason)) => pause.after("publish", &message.subject, &reason).await,
                Err(known) => return Ok(Err(known)),
            }
        }
    }
}

/// Growing pauses between tries, from the first one to 5 s, with a word to the operator.
#[derive(Debug)]
struct Pause {
    first: Duration,
    tries: u32,
}

impl Pause {
    const fn new(first: Duration) -> Self {
        Self { first, tries: 0 }
    }

    async fn after(&mut self, what: &str, subject: &str, reason: &str) {
        let delay = (self.first * (1 << self.tries.min(6))).min(Duration::from_secs(5));
        self.tries += 1;
        if self.tries >= 3 {
            tracing::warn!(subject, reason, tries = self.tries, "NATS cannot {what}; trying again");
        }
        tokio::time::sleep(delay).await;
    }
}
