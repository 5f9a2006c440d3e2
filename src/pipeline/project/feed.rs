//! The job log as a gapless feed of facts from a given sequence on.
//!
//! `async_nats` has an ordered consumer that repairs itself, but in doing so it trusts sequences,
//! and after the log lost its tail those lie. This one never repairs itself: whatever is not the
//! next message ends it with an error, and who opens a new one verifies the checkpoint first.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use jetstream::{Nats, StoredMessage};
use streams::{subject, topology};
use tokio::time::{Instant, timeout_at};

/// Most facts of one batch.
pub(super) const BATCH: usize = 500;
/// How long a batch waits for more facts after its first.
const GATHER: Duration = Duration::from_millis(100);
/// How long one pull waits at the server; after a silent one the stream is looked at.
const IDLE: Duration = Duration::from_secs(5);
/// When the server forgets a consumer that no one pulls from.
const FORGET: Duration = Duration::from_secs(60);

/// Why the feed ended. It says nothing of the facts: open a new one.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The server did not do as asked.
    #[error("cannot {what} the job log {}: {reason}", topology::JOBS)]
    Server {
        /// What was asked for.
        what: &'static str,
        /// The client's or server's words.
        reason: String,
    },
    /// Messages are missing between two that came.
    #[error("the job log skipped from delivery {0} to {1}")]
    Gap(u64, u64),
    /// Facts are there, yet none comes.
    #[error("the job log holds {0} facts more but does not deliver them")]
    Stalled(u64),
    /// The stream is another one now, or lost its end.
    #[error("the job log is not the same as before: it was created again or lost its end")]
    Changed,
}

impl FeedError {
    fn server(what: &'static str) -> impl FnOnce(&dyn std::fmt::Display) -> Self {
        move |reason| Self::Server {
            what,
            reason: reason.to_string(),
        }
    }
}

/// What the leader says of the job log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogState {
    /// When the stream was created.
    pub(super) created: DateTime<Utc>,
    /// The oldest sequence that is still there.
    pub(super) first_seq: u64,
    /// The last sequence that was given out.
    pub(super) last_seq: u64,
}

/// Asks the leader for the state of the job log.
pub(super) async fn state(nats: &Nats) -> Result<LogState, FeedError> {
    Ok(state_of(&stream(nats).await?))
}

/// The message at `seq`, as the leader has it; none when it aged out.
pub(super) async fn message(nats: &Nats, seq: u64) -> Result<Option<StoredMessage>, FeedError> {
    match stream(nats).await?.get_raw_message(seq).await {
        Ok(message) => Ok(Some(message.into())),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(FeedError::server("read")(&error)),
    }
}

async fn stream(nats: &Nats) -> Result<Stream, FeedError> {
    nats.js
        .get_stream(topology::JOBS)
        .await
        .map_err(|error| FeedError::server("find")(&error))
}

fn state_of(stream: &Stream) -> LogState {
    let info = stream.cached_info();
    LogState {
        created: info.created,
        first_seq: info.state.first_sequence,
        last_seq: info.state.last_sequence,
    }
}

/// A request for messages that is open at the server.
struct Pull {
    messages: pull::Batch,
    /// Whether it brought any.
    delivered_any: bool,
}

/// An open reader of the job log.
pub(super) struct Feed {
    nats: Nats,
    consumer: Consumer<pull::Config>,
    created: DateTime<Utc>,
    pull: Option<Pull>,
    /// Deliveries so far; the server counts them too.
    delivered: u64,
    /// Sequence of the last message that came.
    seq: u64,
    pending: u64,
}

impl Feed {
    /// Opens the log after `seq`.
    pub(super) async fn open(nats: &Nats, seq: u64) -> Result<Self, FeedError> {
        let stream = stream(nats).await?;
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: seq + 1,
            },
            // The position is in the database, in one transaction with the rows; nothing is
            // acknowledged.
            ack_policy: AckPolicy::None,
            filter_subject: subject::ALL_FACTS.to_owned(),
            // The consumer may be lost at any time: the next one starts from the checkpoint.
            inactive_threshold: FORGET,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };

        let consumer = stream
            .create_consumer(config)
            .await
            .map_err(|error| FeedError::server("read")(&error))?;

        Ok(Self {
            nats: nats.clone(),
            created: state_of(&stream).created,
            pending: consumer.cached_info().num_pending,
            consumer,
            pull: None,
            delivered: 0,
            seq,
        })
    }

    /// How many facts the log held beyond those that came, when the last of them did.
    pub(super) const fn pending(&self) -> u64 {
        self.pending
    }

    /// Waits for facts; gives those that come within a tenth of a second, at most [`BATCH`].
    pub(super) async fn next(&mut self) -> Result<Vec<StoredMessage>, FeedError> {
        let mut batch = vec![self.first().await?];
        let deadline = Instant::now() + GATHER;

        while batch.len() < BATCH {
            // A pull that is used up ends the batch; the next one is opened by the next call.
            let Some(pull) = &mut self.pull else { break };
            match timeout_at(deadline, pull.messages.next()).await {
                Ok(Some(message)) => batch.push(self.take(message)?),
                Ok(None) => self.pull = None,
                Err(_) => break,
            }
        }

        Ok(batch)
    }

    async fn first(&mut self) -> Result<StoredMessage, FeedError> {
        loop {
            let mut pull = match self.pull.take() {
                Some(pull) => pull,
                None => self.open_pull().await?,
            };

            if let Some(message) = pull.messages.next().await {
                self.pull = Some(Pull {
                    delivered_any: true,
                    ..pull
                });
                return self.take(message);
            }

            // A pull that brought messages was used up; only one that brought none is silence.
            if !pull.delivered_any {
                self.check_log().await?;
            }
        }
    }

    async fn open_pull(&self) -> Result<Pull, FeedError> {
        // No `.heartbeat()`: with it async-nats 0.51 may sleep on a message that is there.
        let request = self.consumer.batch().max_messages(BATCH).expires(IDLE);
        let messages = request
            .messages()
            .await
            .map_err(|error| FeedError::server("pull from")(&error))?;
        Ok(Pull {
            messages,
            delivered_any: false,
        })
    }

    /// After silence: is the log still there, and as long as it was?
    async fn check_log(&self) -> Result<(), FeedError> {
        let state = state(&self.nats).await?;
        if state.created != self.created || state.last_seq < self.seq {
            return Err(FeedError::Changed);
        }

        // Where the server counted more facts, an empty pull means that it does not deliver them.
        match self.pending {
            0 => Ok(()),
            pending => Err(FeedError::Stalled(pending)),
        }
    }

    fn take(
        &mut self,
        message: Result<async_nats::jetstream::Message, async_nats::Error>,
    ) -> Result<StoredMessage, FeedError> {
        let message = message.map_err(|error| FeedError::server("pull from")(&error))?;
        let info = message
            .info()
            .map_err(|error| FeedError::server("read")(&error))?;

        // Nothing is acknowledged, so a lost message would never be delivered again.
        if info.consumer_sequence != self.delivered + 1 {
            return Err(FeedError::Gap(self.delivered, info.consumer_sequence));
        }

        self.delivered = info.consumer_sequence;
        self.seq = info.stream_sequence;
        self.pending = info.pending;

        Ok(StoredMessage {
            seq: info.stream_sequence,
            time: info.published,
            subject: message.message.subject.to_string(),
            headers: message.message.headers.clone().unwrap_or_default(),
            payload: message.message.payload.clone(),
        })
    }
}
