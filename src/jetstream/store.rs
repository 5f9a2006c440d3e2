//! What streams can be asked, once, with whatever comes of it: the log above repeats and decides.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{
    LastRawMessageError, LastRawMessageErrorKind, RawMessageError, RawMessageErrorKind, Stream,
};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use streams::{subject, topology};

use super::listing;
use super::message::{Outgoing, Recorded};
#[cfg(test)]
use super::model::Process;
use super::{Backlog, Nats};

/// Why a publish did not get through as it was.
#[derive(Debug, thiserror::Error)]
pub(super) enum Setback {
    /// Another message stands where ours was to be the first.
    #[error("another message was first")]
    Taken,
    /// The stream is at a limit.
    #[error("{0}")]
    Full(String),
    /// The server will never take it.
    #[error("{0}")]
    Refused(String),
    /// There was no answer, or one that says nothing of the message.
    #[error("{0}")]
    Unheard(String),
}

/// Where the streams are.
#[derive(Debug, Clone)]
#[cfg_attr(
    test,
    expect(
        clippy::large_enum_variant,
        reason = "there are few, and in production there is one kind"
    )
)]
pub(super) enum Store {
    /// On a server.
    Nats(Nats),
    /// In a model of a server, which lets a simulated process die at any step.
    #[cfg(test)]
    Model(Process),
}

impl Store {
    /// The connection to the server.
    pub(super) const fn nats(&self) -> &Nats {
        match self {
            Self::Nats(nats) => nats,
            #[cfg(test)]
            Self::Model(_) => panic!("a model has no connection"),
        }
    }

    /// Bytes that the server takes in one message, headers and all.
    pub(super) fn max_payload(&self) -> usize {
        match self {
            Self::Nats(nats) => nats.client.max_payload(),
            #[cfg(test)]
            Self::Model(_) => 1 << 20,
        }
    }

    /// The pause after a first setback.
    pub(super) const fn first_pause(&self) -> Duration {
        match self {
            Self::Nats(_) => Duration::from_millis(100),
            #[cfg(test)]
            Self::Model(_) => Duration::ZERO,
        }
    }

    /// The last message on `subject`, as the stream's leader has it.
    pub(super) async fn last(&self, stream: &str, subject: &str) -> Result<Option<Recorded>, String> {
        let nats = match self {
            Self::Nats(nats) => nats,
            #[cfg(test)]
            Self::Model(process) => return process.last(stream, subject).await,
        };
        let answer = handle(nats, stream)
            .await?
            .get_last_raw_message_by_subject(subject)
            .await;
        let read = match answer {
            Ok(message) => Ok(Some(message.into())),
            Err(error) if is_no_message(&error) => Ok(None),
            Err(error) => Err(error.to_string()),
        };
        noted(nats, &format!("STREAM.MSG.GET.{stream}"), read)
    }

    /// The first message on `subject` at or after `seq`, as the stream's leader has it.
    pub(super) async fn first_after(&self, stream: &str, subject: &str, seq: u64) -> Result<Option<Recorded>, String> {
        let nats = match self {
            Self::Nats(nats) => nats,
            #[cfg(test)]
            Self::Model(process) => return process.first_after(stream, subject, seq).await,
        };
        let handle = handle(nats, stream).await?;
        let answer = handle.get_first_raw_message_by_subject(subject, seq).await;
        noted(nats, &format!("STREAM.MSG.GET.{stream}"), raw(answer))
    }

    /// The message at `seq`, as the stream's leader has it.
    pub(super) async fn at(&self, stream: &str, seq: u64) -> Result<Option<Recorded>, String> {
        let answer = handle(self.nats(), stream).await?.get_raw_message(seq).await;
        noted(self.nats(), &format!("STREAM.MSG.GET.{stream}"), raw(answer))
    }

    /// How many messages each subject under `filter` holds, as the stream's leader counts them.
    pub(super) async fn count(&self, stream: &str, filter: &str) -> Result<BTreeMap<String, u64>, String> {
        let nats = match self {
            Self::Nats(nats) => nats,
            #[cfg(test)]
            Self::Model(process) => return process.count(stream, filter).await,
        };
        let counted = listing::subjects(nats, stream, filter).await;
        noted(nats, &format!("STREAM.INFO.{stream}"), counted)
    }

    /// Tasks on the queue, and how many there may be.
    pub(super) async fn queued(&self) -> Result<(u64, i64), String> {
        let stream = self.nats().js.get_stream(topology::TASKS).await;
        let request = format!("STREAM.INFO.{}", topology::TASKS);
        let stream = noted(self.nats(), &request, stream.map_err(|error| error.to_string()))?;
        let info = stream.cached_info();
        Ok((info.state.messages, info.config.max_messages))
    }

    /// What a consumer of the queue has in hand.
    pub(super) async fn backlog(&self, durable: &str) -> Result<Backlog, String> {
        match self {
            Self::Nats(nats) => Backlog::of(nats, topology::TASKS, durable).await,
            #[cfg(test)]
            Self::Model(_) => Ok(Backlog::default()),
        }
    }

    /// Subjects of the messages under `filter` that core NATS tells from now on. It ends where nothing will be told.
    pub(super) async fn heard(&self, filter: String) -> BoxStream<'static, String> {
        match self {
            Self::Nats(nats) => {
                nats.troubles.subscribing(&filter);
                match nats.client.subscribe(filter).await {
                    Ok(messages) => messages.map(|message| message.subject.to_string()).boxed(),
                    Err(_) => futures::stream::empty().boxed(),
                }
            }
            #[cfg(test)]
            Self::Model(_) => futures::stream::empty().boxed(),
        }
    }

    /// Publishes a message once; with `expected`, only if the last one on its subject is still at that sequence (0 for none).
    pub(super) async fn send(&self, message: &Outgoing, expected: Option<u64>) -> Result<u64, Setback> {
        let nats = match self {
            Self::Nats(nats) => nats,
            #[cfg(test)]
            Self::Model(process) => return process.send(message, expected).await,
        };
        let mut publish = PublishMessage::build()
            .payload(message.payload.clone())
            .headers(message.headers.clone())
            .header(NATS_MESSAGE_ID, message.id.as_str());
        if let Some(expected) = expected {
            publish = publish.expected_last_subject_sequence(expected);
        }
        let sent = match nats.js.send_publish(message.subject.clone(), publish).await {
            Ok(ack) => ack.await,
            Err(error) => Err(error),
        };
        let sent = sent.map(|ack| ack.sequence).map_err(|error| match error.kind() {
            PublishErrorKind::WrongLastSequence => Setback::Taken,
            PublishErrorKind::MaxPayloadExceeded => Setback::Refused(error.to_string()),
            _ if is_too_long(&error) => Setback::Refused(words(&error)),
            _ if is_full(&error) => Setback::Full(words(&error)),
            _ => Setback::Unheard(words(&error)),
        });
        match &sent {
            Ok(_) | Err(Setback::Taken | Setback::Refused(_)) => nats.troubles.worked(&message.subject),
            // A full queue is no trouble: its task is planned again.
            Err(Setback::Full(_)) if subject::parse_task(&message.subject).is_some() => {}
            Err(Setback::Full(reason) | Setback::Unheard(reason)) => nats.troubles.failed(&message.subject, reason),
        }
        sent
    }
}

/// An answer to a request to JetStream's API, after readiness heard of it.
fn noted<T>(nats: &Nats, request: &str, answer: Result<T, String>) -> Result<T, String> {
    nats.troubles.note_request(request, &answer);
    answer
}

/// A message that was asked for, where it is there.
fn raw(answer: Result<StreamMessage, RawMessageError>) -> Result<Option<Recorded>, String> {
    match answer {
        Ok(message) => Ok(Some(message.into())),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// The server's words, without what the client puts around them.
fn words(error: &PublishError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// A handle of a stream, without asking the server anything.
async fn handle(nats: &Nats, stream: &str) -> Result<Stream<()>, String> {
    let handle = nats.js.get_stream_no_info(stream).await;
    handle.map_err(|error| error.to_string())
}

fn is_no_message(error: &LastRawMessageError) -> bool {
    use LastRawMessageErrorKind as Kind;
    matches!(error.kind(), Kind::NoMessageFound)
        || matches!(error.kind(), Kind::JetStream(reason) if reason.error_code() == ErrorCode::NO_MESSAGE_FOUND)
}

/// A stream whose `max_msg_size` is below a message (10054), or headers above 64 KiB (10097), which the client passes on as "other", too.
fn is_too_long(error: &PublishError) -> bool {
    let text = words(error);
    [
        "message size exceeds maximum allowed",
        "header size exceeds maximum allowed",
    ]
    .iter()
    .any(|limit| text.contains(limit))
}

/// A stream at its limit answers with code 10077 and one of several texts, which the client passes on as "other".
fn is_full(error: &PublishError) -> bool {
    let text = words(error);
    ["maximum messages", "maximum bytes", "maximum messages per subject"]
        .iter()
        .any(|limit| text.contains(limit))
}
