//! One delivery of a message, and the only ways to settle it.

use std::time::Duration;

use async_nats::jetstream::Message;
use bytes::Bytes;
use chrono::{DateTime, Utc};

/// How a handler wants its message settled. The pull loop alone carries it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It is done with; remove it.
    Ack,
    /// Deliver it again after a while.
    Retry(Duration),
    /// Somebody else holds it now: say nothing.
    Silence,
}

/// A message in our hands until `ack_wait` has passed since the last confirmed [`Delivery::heartbeat`].
#[derive(Debug)]
pub struct Delivery {
    message: Message,
    /// Sequence in the stream.
    pub seq: u64,
    /// When the server stored it.
    pub time: DateTime<Utc>,
}

impl Delivery {
    /// Takes charge of a message; nothing when its reply subject does not say where it comes from.
    #[must_use]
    pub fn new(message: Message) -> Option<Self> {
        let (seq, time) = message.info().ok().map(|info| (info.stream_sequence, info.published))?;
        Some(Self { message, seq, time })
    }

    /// The subject of the message.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.message.subject.as_str()
    }

    /// The headers of the message.
    #[must_use]
    pub fn headers(&self) -> Option<&async_nats::HeaderMap> {
        self.message.headers.as_ref()
    }

    /// The body of the message.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.message.payload
    }

    /// Tells the server that the work goes on. Whether the server confirmed it.
    pub async fn heartbeat(&self) -> bool {
        self.reply("+WPI".into()).await
    }

    /// Settles the message. An acknowledgement that got lost only means that the message comes again.
    pub async fn settle(&self, settlement: Settlement) {
        let body = match settlement {
            Settlement::Silence => return,
            Settlement::Ack => Bytes::from_static(b"+ACK"),
            Settlement::Retry(delay) => format!("-NAK {{\"delay\": {}}}", delay.as_nanos()).into(),
        };
        for _ in 0..3 {
            if self.reply(body.clone()).await {
                return;
            }
        }
        tracing::warn!(
            subject = self.subject(),
            ?settlement,
            "the server did not confirm; the message will come again"
        );
    }

    /// Sends an acknowledgement as a request, since only an answer proves that the consumer still exists.
    async fn reply(&self, body: Bytes) -> bool {
        let Some(reply) = self.message.reply.clone() else {
            return false;
        };
        let request = async_nats::Request::new()
            .payload(body)
            .timeout(Some(Duration::from_secs(5)));
        self.message.context.client().send_request(reply, request).await.is_ok()
    }
}
