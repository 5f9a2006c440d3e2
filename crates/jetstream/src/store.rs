//! What streams can be asked, once, with whatever comes of it: the log above repeats and decides.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{
    LastRawMessageError, LastRawMessageErrorKind, RawMessageError, RawMessageErrorKind, Stream,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use streams::{subject, topology};

use super::listing;
use super::message::{OutboundMessage, StoredMessage};
use super::{Backlog, Delivery, Nats};

/// Why a publish did not get through as it was.
#[derive(Debug, thiserror::Error)]
pub enum PublishFailure {
    /// Another message is already where this one should be the first.
    #[error("another message was first")]
    Taken,
    /// The stream is at a limit.
    #[error("{0}")]
    Full(String),
    /// The server will never take it.
    #[error("{0}")]
    Refused(String),
    /// There was no answer, or one that says nothing of the message, which may be in the stream, or
    /// come there yet.
    #[error("{0}")]
    NoAck(String),
}

/// Where the streams are: [`Nats`], a server; for tests also a model of one, which lets a simulated
/// process die at any step.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// The connection to the server. A model has none, and panics.
    fn nats(&self) -> &Nats;

    /// Bytes that the server accepts in one message, including headers.
    fn max_payload(&self) -> usize;

    /// The pause after a first setback.
    fn first_pause(&self) -> Duration;

    /// The last message on `subject`, as the stream's leader has it.
    async fn last(&self, stream: &str, subject: &str) -> Result<Option<StoredMessage>, String>;

    /// The first message on `subject` at or after `seq`, as the stream's leader has it.
    async fn first_after(
        &self,
        stream: &str,
        subject: &str,
        seq: u64,
    ) -> Result<Option<StoredMessage>, String>;

    /// How many messages each subject under `filter` holds, as the stream's leader counts them.
    async fn count(&self, stream: &str, filter: &str) -> Result<BTreeMap<String, u64>, String>;

    /// What a consumer of the queue has in hand.
    async fn backlog(&self, durable: &str) -> Result<Backlog, String>;

    /// Subjects of the messages under `filter` that core NATS publishes from now on. It ends where
    /// nothing will be published.
    async fn subscribe(&self, filter: String) -> BoxStream<'static, String>;

    /// Publishes a message once; with `expected`, only if the last one on its subject is still at
    /// that sequence (0 for none).
    async fn send(
        &self,
        message: &OutboundMessage,
        expected: Option<u64>,
    ) -> Result<u64, PublishFailure>;

    /// Sends an acknowledgement as a request, since only an answer proves that the consumer still
    /// exists. Whether one came.
    async fn reply(&self, delivery: &Delivery, body: Bytes) -> bool;
}

#[async_trait]
impl Store for Nats {
    fn nats(&self) -> &Nats {
        self
    }

    fn max_payload(&self) -> usize {
        self.client.max_payload()
    }

    fn first_pause(&self) -> Duration {
        Duration::from_millis(100)
    }

    async fn last(&self, stream: &str, subject: &str) -> Result<Option<StoredMessage>, String> {
        // Never by a direct get, which any replica may answer: in a cluster it may not have the
        // last write yet.
        let answer = stream_handle(self, stream)
            .await?
            .get_last_raw_message_by_subject(subject)
            .await;

        let read = match answer {
            Ok(message) => Ok(Some(message.into())),
            Err(error) if is_no_message(&error) => Ok(None),
            Err(error) => Err(error.to_string()),
        };

        record_result(self, &format!("STREAM.MSG.GET.{stream}"), read)
    }

    async fn first_after(
        &self,
        stream: &str,
        subject: &str,
        seq: u64,
    ) -> Result<Option<StoredMessage>, String> {
        let handle = stream_handle(self, stream).await?;
        let answer = handle.get_first_raw_message_by_subject(subject, seq).await;
        record_result(
            self,
            &format!("STREAM.MSG.GET.{stream}"),
            found_message(answer),
        )
    }

    async fn count(&self, stream: &str, filter: &str) -> Result<BTreeMap<String, u64>, String> {
        let counted = listing::subjects(self, stream, filter).await;
        record_result(self, &format!("STREAM.INFO.{stream}"), counted)
    }

    async fn backlog(&self, durable: &str) -> Result<Backlog, String> {
        Backlog::of(self, topology::TASKS, durable).await
    }

    async fn subscribe(&self, filter: String) -> BoxStream<'static, String> {
        self.health.subscribing(&filter);
        match self.client.subscribe(filter).await {
            Ok(messages) => messages.map(|message| message.subject.to_string()).boxed(),
            Err(_) => futures::stream::empty().boxed(),
        }
    }

    async fn send(
        &self,
        message: &OutboundMessage,
        expected: Option<u64>,
    ) -> Result<u64, PublishFailure> {
        let mut publish = PublishMessage::build()
            .payload(message.payload.clone())
            .headers(message.headers.clone())
            .header(NATS_MESSAGE_ID, message.id.as_str());
        if let Some(expected) = expected {
            publish = publish.expected_last_subject_sequence(expected);
        }

        let sent = match self.js.send_publish(message.subject.clone(), publish).await {
            Ok(ack) => ack.await,
            Err(error) => Err(error),
        };
        // The client names only some refusals; the others are known by the server's words.
        let sent = sent
            .map(|ack| ack.sequence)
            .map_err(|error| match error.kind() {
                PublishErrorKind::WrongLastSequence => PublishFailure::Taken,
                PublishErrorKind::MaxPayloadExceeded => PublishFailure::Refused(error.to_string()),
                _ if is_too_long(&error) => PublishFailure::Refused(server_message(&error)),
                _ if is_full(&error) => PublishFailure::Full(server_message(&error)),
                _ => PublishFailure::NoAck(server_message(&error)),
            });

        // `Taken` and `Refused` are answers as well, which prove the permission to publish to the
        // subject.
        match &sent {
            Ok(_) | Err(PublishFailure::Taken | PublishFailure::Refused(_)) => {
                self.health.worked(&message.subject)
            }
            // A full queue is not a problem: its task is queued again.
            Err(PublishFailure::Full(_)) if subject::parse_task(&message.subject).is_some() => {}
            Err(PublishFailure::Full(reason) | PublishFailure::NoAck(reason)) => {
                self.health.failed(&message.subject, reason)
            }
        }

        sent
    }

    async fn reply(&self, delivery: &Delivery, body: Bytes) -> bool {
        let request = async_nats::Request::new()
            .payload(body)
            .timeout(Some(Duration::from_secs(5)));
        let answer = self
            .client
            .send_request(delivery.reply_to.clone(), request)
            .await;
        self.health.note_result(&delivery.reply_to, &answer);
        answer.is_ok()
    }
}

/// The message at `seq`, as the stream's leader has it.
pub(super) async fn at(
    nats: &Nats,
    stream: &str,
    seq: u64,
) -> Result<Option<StoredMessage>, String> {
    let answer = stream_handle(nats, stream)
        .await?
        .get_raw_message(seq)
        .await;
    record_result(
        nats,
        &format!("STREAM.MSG.GET.{stream}"),
        found_message(answer),
    )
}

/// Tasks on the queue, and how many there may be.
pub(super) async fn queue_size(nats: &Nats) -> Result<(u64, i64), String> {
    let stream = nats.js.get_stream(topology::TASKS).await;
    let request = format!("STREAM.INFO.{}", topology::TASKS);
    let stream = record_result(nats, &request, stream.map_err(|error| error.to_string()))?;
    let info = stream.cached_info();
    Ok((info.state.messages, info.config.max_messages))
}

/// An answer to a request to the JetStream API, after readiness was updated.
fn record_result<T>(nats: &Nats, request: &str, answer: Result<T, String>) -> Result<T, String> {
    nats.health.note_request(request, &answer);
    answer
}

/// A message that was asked for, where it is there.
fn found_message(
    answer: Result<StreamMessage, RawMessageError>,
) -> Result<Option<StoredMessage>, String> {
    match answer {
        Ok(message) => Ok(Some(message.into())),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// The server's words, without what the client puts around them.
fn server_message(error: &PublishError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// A handle of a stream, without asking the server anything.
async fn stream_handle(nats: &Nats, stream: &str) -> Result<Stream<()>, String> {
    let handle = nats.js.get_stream_no_info(stream).await;
    handle.map_err(|error| error.to_string())
}

fn is_no_message(error: &LastRawMessageError) -> bool {
    use LastRawMessageErrorKind as Kind;
    matches!(error.kind(), Kind::NoMessageFound)
        || matches!(error.kind(), Kind::JetStream(reason) if reason.error_code() == ErrorCode::NO_MESSAGE_FOUND)
}

/// A stream whose `max_msg_size` is below a message (10054), or headers above 64 KiB (10097), which
/// the client passes on as "other", too.
fn is_too_long(error: &PublishError) -> bool {
    let text = server_message(error);
    [
        "message size exceeds maximum allowed",
        "header size exceeds maximum allowed",
    ]
    .iter()
    .any(|limit| text.contains(limit))
}

/// A stream at its limit answers with code 10077 and one of several texts, which the client passes
/// on as "other".
fn is_full(error: &PublishError) -> bool {
    let text = server_message(error);
    [
        "maximum messages",
        "maximum bytes",
        "maximum messages per subject",
    ]
    .iter()
    .any(|limit| text.contains(limit))
}
