//! One delivery of a message, and the only ways to settle it: the acknowledgements of JetStream
//! (`+ACK`, `-NAK` with a delay, `+WPI`) on the reply subject of the message.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::{HeaderMap, Subject};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::{Nats, Store, StoredMessage};

/// How a handler wants its message settled. The pull loop alone carries it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// It is done with; remove it.
    Ack,
    /// Deliver it again after a while.
    Retry(Duration),
    /// Someone else holds it now: say nothing.
    LeaveUnacked,
}

/// The place in the pull loop that a message takes while it is worked on. Clones are the same
/// place.
#[derive(Debug, Clone, Default)]
pub struct Slot(CancellationToken);

impl Slot {
    /// Frees the slot for the next message before this one is settled, when the rest of its work
    /// hardly needs the scarce resource. As many works may continue like this as there are slots.
    pub fn free(&self) {
        self.0.cancel();
    }

    /// Waits until someone does.
    pub(super) async fn freed(&self) {
        self.0.cancelled().await;
    }
}

/// A message that this process holds until `ack_wait` has passed since the last confirmed
/// [`Delivery::heartbeat`].
#[derive(Debug)]
pub struct Delivery {
    subject: String,
    headers: Option<HeaderMap>,
    payload: Bytes,
    /// Where it is settled, and under which subject.
    store: Arc<dyn Store>,
    pub(super) reply_to: Subject,
    /// Sequence in the stream.
    pub seq: u64,
    /// When the server stored it.
    pub time: DateTime<Utc>,
    /// The place it takes.
    pub slot: Slot,
}

impl Delivery {
    /// Takes charge of a message that came by `nats`; none if its reply subject does not say where
    /// it comes from.
    #[must_use]
    pub fn new(message: Message, nats: &Nats) -> Option<Self> {
        let (seq, time) = message
            .info()
            .ok()
            .map(|info| (info.stream_sequence, info.published))?;
        let message = message.message;

        Some(Self {
            subject: message.subject.to_string(),
            headers: message.headers,
            payload: message.payload,
            store: Arc::new(nats.clone()),
            reply_to: message.reply?,
            seq,
            time,
            slot: Slot::default(),
        })
    }

    /// A delivery of a message by any store, which needs no subject to be answered under.
    #[must_use]
    pub fn over(message: StoredMessage, store: impl Store + 'static) -> Self {
        Self {
            subject: message.subject,
            headers: Some(message.headers),
            payload: message.payload,
            store: Arc::new(store),
            reply_to: Subject::from_static(""),
            seq: message.seq,
            time: message.time,
            slot: Slot::default(),
        }
    }

    /// The subject of the message.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The headers of the message.
    #[must_use]
    pub const fn headers(&self) -> Option<&HeaderMap> {
        self.headers.as_ref()
    }

    /// The body of the message.
    #[must_use]
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Sends a heartbeat (`+WPI`), so that `ack_wait` begins again. Returns whether the server
    /// confirmed it.
    pub async fn heartbeat(&self) -> bool {
        self.store.reply(self, "+WPI".into()).await
    }

    /// Settles the message. A lost acknowledgement only means that the message is delivered again.
    pub async fn settle(&self, settlement: Disposition) {
        let body = match settlement {
            Disposition::LeaveUnacked => return,
            Disposition::Ack => Bytes::from_static(b"+ACK"),
            // The server takes the delay in nanoseconds.
            Disposition::Retry(delay) => format!("-NAK {{\"delay\": {}}}", delay.as_nanos()).into(),
        };

        for _ in 0..3 {
            if self.store.reply(self, body.clone()).await {
                return;
            }
        }

        tracing::warn!(
            subject = self.subject(),
            ?settlement,
            "the server did not confirm; the message will be delivered again"
        );
    }
}
