//! The log: compare-and-set publishing (`Nats-Expected-Last-Subject-Sequence`) and leader reads.
//!
//! A publish that timed out may have been stored, so every publish is repeated until the server
//! acknowledges it or reports that another message was first; then the winner is read, because it
//! may be the same message. Reads and writes wait for the server however long it takes: a caller
//! that must not wait drops the future.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::header::NATS_MESSAGE_ID;
use futures::stream::BoxStream;
use streams::{Class, Lane, TaskKey, subject, topology, wire};

use super::message::{OutboundMessage, StoredMessage};
use super::store::{self, PublishFailure, Store};
use super::{Backlog, Nats, NewerMessages};

/// What became of a compare-and-set publish.
#[derive(Debug, Clone)]
pub enum CreateOutcome {
    /// The message of the caller is the one stored, at this sequence.
    Created(u64),
    /// Someone was first; this is the message that exists.
    AlreadyExists(StoredMessage),
}

/// What became of a task that was to be queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// It is on the queue, put there now or earlier.
    Queued,
    /// The queue is full; the sweep will return to it.
    Full,
}

/// The server will never accept this message: retrying is useless. The caller publishes its subject
/// as a dead letter.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "NATS refuses a message on {subject}: {reason}; it must take {} bytes (max_payload of the server, max_msg_size of the stream)",
    topology::MIN_PAYLOAD
)]
pub struct Refused {
    subject: String,
    reason: String,
}

impl Refused {
    fn of(message: &OutboundMessage, reason: String) -> Self {
        Self {
            subject: message.subject.clone(),
            reason,
        }
    }
}

/// Reads and writes the streams of the contract. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Log {
    store: Arc<dyn Store>,
    newer: NewerMessages,
}

impl Log {
    /// The log on a server, or in a model of one.
    #[must_use]
    pub fn new(store: impl Store + 'static) -> Self {
        Self {
            store: Arc::new(store),
            newer: NewerMessages::default(),
        }
    }

    /// The connection beneath.
    #[must_use]
    pub fn nats(&self) -> &Nats {
        self.store.nats()
    }

    /// What was read of late that needs a newer release.
    #[must_use]
    pub const fn newer(&self) -> &NewerMessages {
        &self.newer
    }

    /// Bytes that the server accepts in one message, including headers.
    #[must_use]
    pub fn max_payload(&self) -> usize {
        self.store.max_payload()
    }

    /// Subjects of the messages under `filter` that core NATS publishes from now on: quick, but not
    /// sure to come.
    pub async fn subscribe(&self, filter: String) -> BoxStream<'static, String> {
        self.store.subscribe(filter).await
    }

    /// The last message on `subject`, as the stream's leader has it.
    pub async fn last(&self, stream: &str, subject: &str) -> Option<StoredMessage> {
        let read = || self.store.last(stream, subject);
        self.repeat_until_answered("read", subject, read).await
    }

    /// The first message on `subject` at or after `seq`, as the stream's leader has it.
    async fn first_after(&self, stream: &str, subject: &str, seq: u64) -> Option<StoredMessage> {
        let read = || self.store.first_after(stream, subject, seq);
        self.repeat_until_answered("read", subject, read).await
    }

    /// The message at `seq`, as the stream's leader has it; none if it does not exist, or no longer
    /// exists.
    pub async fn at(&self, stream: &str, seq: u64) -> Option<StoredMessage> {
        let read = || store::at(self.nats(), stream, seq);
        self.repeat_until_answered("read", stream, read).await
    }

    /// How many messages each subject under `filter` holds, as the stream's leader counts them.
    pub async fn subjects(&self, stream: &str, filter: &str) -> BTreeMap<String, u64> {
        let count = || self.store.count(stream, filter);
        self.repeat_until_answered("count", filter, count).await
    }

    /// Publishes `message` as the first on its subject.
    ///
    /// # Errors
    /// [`Refused`] when the server will never take it, e.g. over its payload limit.
    pub async fn create(
        &self,
        stream: &str,
        message: OutboundMessage,
    ) -> Result<CreateOutcome, Refused> {
        self.replace(stream, message, 0).await
    }

    /// Publishes `message` if the last one on its subject is still the one at `expected` (0 for
    /// none).
    ///
    /// # Errors
    /// [`Refused`] when the server will never take it.
    pub async fn replace(
        &self,
        stream: &str,
        message: OutboundMessage,
        mut expected: u64,
    ) -> Result<CreateOutcome, Refused> {
        let mut pause = Pause::new(self.store.first_pause());
        loop {
            match self.store.send(&message, Some(expected)).await {
                Ok(seq) => return Ok(CreateOutcome::Created(seq)),
                Err(PublishFailure::Refused(reason)) => return Err(Refused::of(&message, reason)),
                Err(PublishFailure::Taken) => match self.last(stream, &message.subject).await {
                    // The acknowledgement of an earlier try was lost; the message was not.
                    Some(winner)
                        if winner.header(NATS_MESSAGE_ID.as_ref()) == Some(&message.id) =>
                    {
                        return Ok(CreateOutcome::Created(winner.seq));
                    }
                    Some(winner) => return Ok(CreateOutcome::AlreadyExists(winner)),
                    // The earlier message has expired; now this one may be the first.
                    None => expected = 0,
                },
                Err(failure) => {
                    pause
                        .after("publish", &message.subject, &failure.to_string())
                        .await
                }
            }
        }
    }

    /// Publishes a dead letter once, however often it is tried. Its id names what it is about. A
    /// dead letter with another id on the same subject is about a message of an earlier life of its
    /// stream, which had the same number, and stays as well.
    ///
    /// # Errors
    /// [`Refused`] when the server will never take it.
    pub async fn publish_dead_letter(&self, letter: OutboundMessage) -> Result<(), Refused> {
        let mut expected = 0;
        while let CreateOutcome::AlreadyExists(other) = self
            .replace(topology::DEAD, letter.clone(), expected)
            .await?
        {
            expected = other.seq;
        }
        Ok(())
    }

    /// Appends `message`, once however often it is tried, and returns its sequence.
    ///
    /// The server drops a second copy within the duplicate window of the stream. A server that was
    /// down for longer no longer has the ids, so the subject is searched for the same message
    /// before each repetition.
    ///
    /// # Errors
    /// [`Refused`] when the server will never take it.
    pub async fn append(&self, stream: &str, message: OutboundMessage) -> Result<u64, Refused> {
        let mut pause = Pause::new(self.store.first_pause());
        loop {
            match self.store.send(&message, None).await {
                Ok(seq) => return Ok(seq),
                Err(PublishFailure::Refused(reason)) => return Err(Refused::of(&message, reason)),
                Err(failure) => {
                    pause
                        .after("publish", &message.subject, &failure.to_string())
                        .await
                }
            }

            if let Some(seq) = self.find(stream, &message).await {
                return Ok(seq);
            }
        }
    }

    /// The sequence of the message on the same subject that has the same id, as the stream's leader
    /// has it. Such subjects hold a handful.
    async fn find(&self, stream: &str, message: &OutboundMessage) -> Option<u64> {
        let mut next = 1;
        loop {
            let found = self.first_after(stream, &message.subject, next).await?;
            if found.header(NATS_MESSAGE_ID.as_ref()) == Some(&message.id) {
                return Some(found.seq);
            }
            next = found.seq + 1;
        }
    }

    /// Puts a task on the queue unless it is there already.
    ///
    /// # Errors
    /// [`Refused`] when the server will never take it.
    pub async fn enqueue(
        &self,
        key: &TaskKey,
        traceparent: Option<&str>,
    ) -> Result<Enqueued, Refused> {
        let body = wire::encode(key);
        let message = OutboundMessage::json(subject::task(key), body).traced(traceparent);

        let mut pause = Pause::new(self.store.first_pause());
        loop {
            // A work queue keeps a message until it is acknowledged, so 0 holds while a task is
            // neither queued nor in work.
            match self.store.send(&message, Some(0)).await {
                Ok(_) | Err(PublishFailure::Taken) => return Ok(Enqueued::Queued),
                Err(PublishFailure::Full(_)) => return Ok(Enqueued::Full),
                Err(PublishFailure::Refused(reason)) => return Err(Refused::of(&message, reason)),
                Err(failure) => {
                    pause
                        .after("publish", &message.subject, &failure.to_string())
                        .await
                }
            }
        }
    }

    /// Share of the queue's message limit that is in use, 0 to 1.
    pub async fn queue_fill(&self) -> f64 {
        let read = || store::queue_size(self.nats());
        let (messages, limit) = self
            .repeat_until_answered("read", topology::TASKS, read)
            .await;

        #[expect(
            clippy::cast_precision_loss,
            reason = "a share of a million needs few digits"
        )]
        if limit > 0 {
            messages as f64 / limit as f64
        } else {
            0.0
        }
    }

    /// What waits and what is in work in a lane of the queue. Unlike what decisions are made of, it
    /// may be a guess: where the server does not answer, nothing is known to wait.
    pub async fn backlog(&self, class: Class, lane: Lane) -> Backlog {
        let backlog = self.store.backlog(topology::durable(class, lane)).await;
        backlog.unwrap_or_default()
    }

    /// Repeats a question to the server until it is answered, however long that takes.
    async fn repeat_until_answered<T, F>(&self, what: &str, subject: &str, ask: impl Fn() -> F) -> T
    where
        F: Future<Output = Result<T, String>>,
    {
        let mut pause = Pause::new(self.store.first_pause());
        loop {
            match ask().await {
                Ok(answer) => return answer,
                Err(reason) => pause.after(what, subject, &reason).await,
            }
        }
    }
}

/// Growing pauses between tries, from the first one to 5 s, with a word to the operator at the
/// third, and one a minute from then on.
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
        // At 5 s each, twelve tries take a minute.
        if self.tries == 3 || self.tries.is_multiple_of(12) {
            tracing::warn!(
                subject,
                reason,
                tries = self.tries,
                "NATS cannot {what}; trying again"
            );
        }
        tokio::time::sleep(delay).await;
    }
}
