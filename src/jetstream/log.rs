//! The log: compare-and-set publishing and leader reads.
//!
//! A publish that timed out may have landed, so every publish is repeated until the server acknowledges it or says that
//! somebody was first; then the winner is read, for it may be our own. Reads and writes wait for the server however long it
//! takes: a caller that must not wait drops the future.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::RawMessageErrorKind;
use async_nats::{HeaderMap, HeaderName};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use streams::{TaskKey, dead, subject, topology};

use super::Nats;

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

impl From<StreamMessage> for Recorded {
    fn from(message: StreamMessage) -> Self {
        Self {
            subject: message.subject.to_string(),
            seq: message.sequence,
            time: message.time,
            headers: message.headers,
            payload: message.payload,
        }
    }
}

const CONTENT_TYPE: &str = "Content-Type";

/// A message to publish. Its `Nats-Msg-Id` tells our own message from another writer's.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub(super) subject: String,
    id: String,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
}

impl Outgoing {
    /// A JSON message with a fresh id.
    #[must_use]
    pub fn json(subject: String, payload: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "application/json");
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

    /// The same message with one more header. Control characters, which could break it, become spaces.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, dead::line(value, value.len()));
        self
    }

    /// The same message with the headers of another one that are that one's own, not the server's. To be called before any other
    /// header is added.
    #[must_use]
    pub fn with_headers_of(mut self, original: &HeaderMap) -> Self {
        let is_type = |name: &HeaderName| AsRef::<str>::as_ref(name).eq_ignore_ascii_case(CONTENT_TYPE);
        // Names differ by their case, and whoever reads them takes whichever comes first.
        if original.iter().any(|(name, _)| is_type(name)) {
            self.headers = HeaderMap::new();
        }
        for (name, values) in original.iter().filter(|(name, _)| dead::is_original(name.as_ref())) {
            for value in values {
                self.headers.append(name.clone(), value.clone());
            }
        }
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
    nats: Nats,
}

/// A publish that did not get through as it was.
enum Setback {
    /// Another message stands where ours was to be the first.
    Taken,
    /// The stream is at a limit.
    Full,
}

impl Log {
    /// The log over `nats`.
    #[must_use]
    pub const fn new(nats: Nats) -> Self {
        Self { nats }
    }

    /// The connection beneath.
    #[must_use]
    pub const fn nats(&self) -> &Nats {
        &self.nats
    }

    /// The last message on `subject`, as the stream's leader has it.
    pub async fn last(&self, stream: &str, subject: &str) -> Option<Recorded> {
        let mut pause = Pause::default();
        loop {
            let read = async {
                let stream = self
                    .nats
                    .js
                    .get_stream_no_info(stream)
                    .await
                    .map_err(|error| error.to_string())?;
                match stream.get_last_raw_message_by_subject(subject).await {
                    Ok(message) => Ok(Some(message)),
                    Err(error) if is_no_message(&error) => Ok(None),
                    Err(error) => Err(error.to_string()),
                }
            };
            match read.await {
                Ok(found) => return found.map(Recorded::from),
                Err(reason) => pause.after("read", subject, &reason).await,
            }
        }
    }

    /// The message at `seq`, as the stream's leader has it; nothing when it is not there, or not any more.
    pub async fn at(&self, stream: &str, seq: u64) -> Option<Recorded> {
        let mut pause = Pause::default();
        loop {
            let read = async {
                let stream = self.nats.js.get_stream_no_info(stream).await;
                let stream = stream.map_err(|error| error.to_string())?;
                match stream.get_raw_message(seq).await {
                    Ok(message) => Ok(Some(message)),
                    Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
                    Err(error) => Err(error.to_string()),
                }
            };
            match read.await {
                Ok(found) => return found.map(Recorded::from),
                Err(reason) => pause.after("read", stream, &reason).await,
            }
        }
    }

    /// How many messages each subject under `filter` holds, as the stream's leader counts them.
    pub async fn subjects(&self, stream: &str, filter: &str) -> BTreeMap<String, u64> {
        let mut pause = Pause::default();
        loop {
            match self.count(stream, filter).await {
                Ok(counts) => return counts,
                Err(reason) => pause.after("count", filter, &reason).await,
            }
        }
    }

    async fn count(&self, stream: &str, filter: &str) -> Result<BTreeMap<String, u64>, String> {
        let stream = self
            .nats
            .js
            .get_stream_no_info(stream)
            .await
            .map_err(|error| error.to_string())?;
        let pages = stream
            .info_builder()
            .subjects(filter)
            .fetch()
            .await
            .map_err(|error| error.to_string())?;
        pages
            .map_ok(|(subject, count)| (subject, u64::try_from(count).unwrap_or(u64::MAX)))
            .try_collect()
            .await
            .map_err(|error| error.to_string())
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
    pub async fn replace(&self, stream: &str, message: Outgoing, expected: u64) -> Result<Created, Refused> {
        let mut pause = Pause::default();
        loop {
            match self.publish(&message, Some(expected), &mut pause).await? {
                Ok(seq) => return Ok(Created::Ours(seq)),
                Err(Setback::Full) => pause.after("publish", &message.subject, "the stream is full").await,
                Err(Setback::Taken) => match self.last(stream, &message.subject).await {
                    // The acknowledgement of an earlier try was lost; the message was not.
                    Some(winner) if winner.header("Nats-Msg-Id") == Some(&message.id) => {
                        return Ok(Created::Ours(winner.seq));
                    }
                    Some(winner) => return Ok(Created::Theirs(winner)),
                    // The winner aged out between the two calls; now ours may be the first.
                    None => {}
                },
            }
        }
    }

    /// Appends `message`, once however often it is tried, and returns its sequence.
    ///
    /// # Errors
    /// [`Refused`] when the server will never take it.
    pub async fn append(&self, message: Outgoing) -> Result<u64, Refused> {
        let mut pause = Pause::default();
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
        match self.publish(&message, Some(0), &mut Pause::default()).await? {
            Ok(_) | Err(Setback::Taken) => Ok(Enqueued::Queued),
            Err(Setback::Full) => Ok(Enqueued::Full),
        }
    }

    /// Share of the queue's message limit that is in use, 0 to 1.
    pub async fn queue_fill(&self) -> f64 {
        let mut pause = Pause::default();
        loop {
            let read = async {
                let stream = self
                    .nats
                    .js
                    .get_stream(topology::TASKS)
                    .await
                    .map_err(|error| error.to_string())?;
                let info = stream.cached_info();
                Ok::<_, String>((info.state.messages, info.config.max_messages))
            };
            match read.await {
                #[expect(clippy::cast_precision_loss, reason = "a share of a million needs few digits")]
                Ok((messages, limit)) => return if limit > 0 { messages as f64 / limit as f64 } else { 0.0 },
                Err(reason) => pause.after("read", topology::TASKS, &reason).await,
            }
        }
    }

    async fn publish(
        &self,
        message: &Outgoing,
        expected: Option<u64>,
        pause: &mut Pause,
    ) -> Result<Result<u64, Setback>, Refused> {
        loop {
            let mut publish = PublishMessage::build()
                .payload(message.payload.clone())
                .headers(message.headers.clone())
                .header(NATS_MESSAGE_ID, message.id.as_str());
            if let Some(expected) = expected {
                publish = publish.expected_last_subject_sequence(expected);
            }
            let sent = match self.nats.js.send_publish(message.subject.clone(), publish).await {
                Ok(ack) => ack.await,
                Err(error) => Err(error),
            };
            let error = match sent {
                Ok(ack) => return Ok(Ok(ack.sequence)),
                Err(error) => error,
            };
            match error.kind() {
                PublishErrorKind::WrongLastSequence => return Ok(Err(Setback::Taken)),
                PublishErrorKind::MaxPayloadExceeded => {
                    return Err(Refused {
                        subject: message.subject.clone(),
                        reason: error.to_string(),
                    });
                }
                _ if is_full(&error) => return Ok(Err(Setback::Full)),
                _ => pause.after("publish", &message.subject, &error.to_string()).await,
            }
        }
    }
}

fn is_no_message(error: &async_nats::jetstream::stream::LastRawMessageError) -> bool {
    use async_nats::jetstream::stream::LastRawMessageErrorKind as Kind;
    matches!(error.kind(), Kind::NoMessageFound)
        || matches!(error.kind(), Kind::JetStream(reason) if reason.error_code() == ErrorCode::NO_MESSAGE_FOUND)
}

/// A stream at its limit answers with code 10077 and one of several texts, which the client passes on as "other".
fn is_full(error: &PublishError) -> bool {
    let text = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    ["maximum messages", "maximum bytes", "maximum messages per subject"]
        .iter()
        .any(|limit| text.contains(limit))
}

/// Growing pauses between tries, 0.1 s to 5 s, with a word to the operator.
#[derive(Debug, Default)]
struct Pause {
    tries: u32,
}

impl Pause {
    async fn after(&mut self, what: &str, subject: &str, reason: &str) {
        let delay = Duration::from_millis(100 << self.tries.min(6)).min(Duration::from_secs(5));
        self.tries += 1;
        if self.tries >= 3 {
            tracing::warn!(subject, reason, tries = self.tries, "NATS cannot {what}; trying again");
        }
        tokio::time::sleep(delay).await;
    }
}
