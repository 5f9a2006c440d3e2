//! Messages of the log: as they are read, and as they are published.

use async_nats::jetstream::message::StreamMessage;
use async_nats::{HeaderMap, HeaderName};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use streams::dead;

/// A message as the stream's leader has it.
#[derive(Debug, Clone)]
pub struct StoredMessage {
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

impl From<StreamMessage> for StoredMessage {
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

impl StoredMessage {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(async_nats::HeaderValue::as_str)
    }
}

const CONTENT_TYPE: &str = "Content-Type";

/// A message to publish. Its `Nats-Msg-Id` distinguishes it from the message of another writer.
#[derive(Debug, Clone)]
pub struct OutboundMessage {
    pub(super) subject: String,
    pub(super) id: String,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
}

impl OutboundMessage {
    /// The subject it goes to.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

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

    /// The same message with one more header. Control characters, which could break it, become
    /// spaces.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers
            .insert(name, dead::one_line(value, value.len()));
        self
    }

    /// The same message with the headers of another one that are that one's own, not the server's.
    /// To be called before any other header is added.
    #[must_use]
    pub fn with_headers_of(mut self, original: &HeaderMap) -> Self {
        let is_type =
            |name: &HeaderName| AsRef::<str>::as_ref(name).eq_ignore_ascii_case(CONTENT_TYPE);

        // Names are case-sensitive, and readers take the first match.
        if original.iter().any(|(name, _)| is_type(name)) {
            self.headers = HeaderMap::new();
        }

        for (name, values) in original
            .iter()
            .filter(|(name, _)| dead::is_original(name.as_ref()))
        {
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
