//! What a durable consumer has in hand, as the server counts it.

use async_nats::jetstream::consumer::{Consumer, pull};

use super::Nats;

/// Messages of a durable consumer, and who asks for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Messages that no one was given yet.
    pub waiting: u64,
    /// Messages that were delivered and not settled, including those that wait for redelivery.
    pub in_flight: u64,
    /// Pulls that wait for a message: about one for each worker with a free slot.
    pub pulls: u64,
}

impl Backlog {
    /// Asks the server.
    ///
    /// # Errors
    /// Why there is no answer, such as a missing consumer.
    pub async fn of(nats: &Nats, stream: &str, durable: &str) -> Result<Self, String> {
        let consumer: Result<Consumer<pull::Config>, _> =
            nats.js.get_consumer_from_stream(durable, stream).await;
        let consumer = consumer.map_err(|error| error.to_string())?;
        let info = consumer.cached_info();
        Ok(Self {
            waiting: info.num_pending,
            in_flight: u64::try_from(info.num_ack_pending).unwrap_or(0),
            pulls: u64::try_from(info.num_waiting).unwrap_or(0),
        })
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            waiting: self.waiting + other.waiting,
            in_flight: self.in_flight + other.in_flight,
            // An idle worker has a pull open on each.
            pulls: if self.pulls > other.pulls {
                self.pulls
            } else {
                other.pulls
            },
        }
    }

    /// Tasks that can be worked on at a time, as far as is known: those in work, and a slot for
    /// each pull.
    #[must_use]
    pub const fn capacity(self) -> u64 {
        self.in_flight + self.pulls
    }
}
