//! A model of the streams on one server, for simulations: the same answers, and a turn before each
//! of them at which the process that asks can be held, lose its answer, or die.
//!
//! A separate test checks that the model is correct: the same random requests go to it and to a
//! real nats-server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_nats::jetstream::stream;
use async_trait::async_trait;
use bytes::Bytes;
use chrono::Utc;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use streams::topology::{self, Sizing};
use tokio::sync::{mpsc, oneshot};

use crate::{Backlog, Delivery, Nats, OutboundMessage, PublishFailure, Store, StoredMessage};

/// What happens to a process at its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    /// The request is carried out and answered.
    Goes,
    /// The request does not reach the server.
    Unheard,
    /// The request is carried out, but its answer is lost.
    Unanswered,
    /// The request is carried out, and the process sleeps until its next turn before it gets the
    /// answer.
    Sleeps,
    /// The process dies before its request leaves.
    DiesBefore,
    /// The process dies when its request has been carried out.
    DiesAfter,
}

/// The answer of the code that decides about fates.
pub type Turn = oneshot::Sender<RequestOutcome>;

/// The streams of one server.
#[derive(Debug, Clone, Default)]
pub struct Model {
    streams: Arc<Mutex<BTreeMap<String, Stream>>>,
    refused: Arc<OnceLock<Refusal>>,
}

/// Which messages the server will never take.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// A part of their subjects.
    pub subject: String,
    /// Their bodies have more bytes.
    pub longer_than: usize,
}

#[derive(Debug, Default)]
struct Stream {
    last_seq: u64,
    messages: Vec<StoredMessage>,
    /// Ids of messages, with their sequences: the window in which they are remembered is longer
    /// than any simulation.
    ids: BTreeMap<String, u64>,
    acknowledged: BTreeSet<u64>,
}

/// The server as one process sees it.
#[derive(Debug, Clone)]
pub struct Process {
    model: Model,
    turns: mpsc::UnboundedSender<Turn>,
}

impl Model {
    /// A process whose turns are announced at the returned receiver.
    pub fn process(&self) -> (Process, mpsc::UnboundedReceiver<Turn>) {
        let (turns, announced) = mpsc::unbounded_channel();
        let model = self.clone();
        (Process { model, turns }, announced)
    }

    /// Every message of a stream, oldest first.
    pub fn messages(&self, stream: &str) -> Vec<StoredMessage> {
        self.of(stream, |stream| stream.messages.clone())
    }

    /// Whether the message at `seq` was acknowledged.
    pub fn is_acknowledged(&self, stream: &str, seq: u64) -> bool {
        self.of(stream, |stream| stream.acknowledged.contains(&seq))
    }

    /// From now on some messages are refused.
    pub fn refuse(&self, refusal: Refusal) {
        self.refused.set(refusal).expect("one refusal in a life");
    }

    /// A stream whose first message has this number.
    pub fn begin_at(&self, stream: &str, first: u64) {
        self.of(stream, |stream| stream.last_seq = first - 1);
    }

    /// Stores a message of a publisher's.
    pub fn publish(&self, message: &OutboundMessage) -> u64 {
        self.send(message, None).expect("publishers do not compare")
    }

    fn of<T>(&self, stream: &str, read: impl FnOnce(&mut Stream) -> T) -> T {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        read(streams.entry(stream.to_owned()).or_default())
    }

    fn send(
        &self,
        message: &OutboundMessage,
        expected: Option<u64>,
    ) -> Result<u64, PublishFailure> {
        let home = home(&message.subject)
            .ok_or_else(|| PublishFailure::NoAck("no stream takes it".to_owned()))?;

        let is_refused = |refusal: &Refusal| {
            message.subject.contains(&refusal.subject)
                && message.payload.len() > refusal.longer_than
        };
        if self.refused.get().is_some_and(is_refused) {
            return Err(PublishFailure::Refused("it is too long".to_owned()));
        }

        self.of(&home, |stream| {
            // In the order of the server: a message that loses the comparison is refused even when
            // its id is known.
            let last = stream
                .messages
                .iter()
                .rfind(|held| held.subject == message.subject);
            if expected.is_some_and(|expected| last.map_or(0, |last| last.seq) != expected) {
                return Err(PublishFailure::Taken);
            }

            if let Some(seq) = stream.ids.get(&message.id) {
                return Ok(*seq);
            }

            stream.last_seq += 1;
            let mut headers = message.headers.clone();
            headers.insert("Nats-Msg-Id", message.id.as_str());
            stream.ids.insert(message.id.clone(), stream.last_seq);
            stream.messages.push(StoredMessage {
                subject: message.subject.clone(),
                seq: stream.last_seq,
                time: Utc::now(),
                headers,
                payload: message.payload.clone(),
            });

            Ok(stream.last_seq)
        })
    }

    /// Settles the message at `seq`: an acknowledged one is removed from the queue, and stays in
    /// other streams. As on the server, it does not matter who sends it.
    fn settle(&self, subject: &str, seq: u64, body: &[u8]) {
        let Some(home) = home(subject).filter(|_| body.starts_with(b"+ACK")) else {
            return;
        };
        self.of(&home, |stream| {
            stream.acknowledged.insert(seq);
            if home == topology::TASKS {
                stream.messages.retain(|message| message.seq != seq);
            }
        });
    }
}

#[async_trait]
impl Store for Process {
    fn nats(&self) -> &Nats {
        panic!("a model has no connection")
    }

    fn max_payload(&self) -> usize {
        1 << 20
    }

    fn first_pause(&self) -> Duration {
        Duration::ZERO
    }

    async fn last(&self, stream: &str, subject: &str) -> Result<Option<StoredMessage>, String> {
        self.turn(|model| {
            model.of(stream, |stream| {
                stream
                    .messages
                    .iter()
                    .rfind(|message| message.subject == subject)
                    .cloned()
            })
        })
        .await
    }

    async fn first_after(
        &self,
        stream: &str,
        subject: &str,
        seq: u64,
    ) -> Result<Option<StoredMessage>, String> {
        let wanted = |message: &&StoredMessage| message.subject == subject && message.seq >= seq;
        self.turn(|model| {
            model.of(stream, |stream| {
                stream.messages.iter().find(wanted).cloned()
            })
        })
        .await
    }

    async fn count(&self, stream: &str, filter: &str) -> Result<BTreeMap<String, u64>, String> {
        self.turn(|model| {
            model.of(stream, |stream| {
                let mut counts = BTreeMap::new();
                for message in stream
                    .messages
                    .iter()
                    .filter(|message| covers(filter, &message.subject))
                {
                    *counts.entry(message.subject.clone()).or_default() += 1;
                }
                counts
            })
        })
        .await
    }

    async fn send(
        &self,
        message: &OutboundMessage,
        expected: Option<u64>,
    ) -> Result<u64, PublishFailure> {
        let sent = self.turn(|model| model.send(message, expected)).await;
        sent.map_err(PublishFailure::NoAck)?
    }

    async fn backlog(&self, _durable: &str) -> Result<Backlog, String> {
        Ok(Backlog::default())
    }

    async fn subscribe(&self, _filter: String) -> BoxStream<'static, String> {
        futures::stream::empty().boxed()
    }

    async fn reply(&self, delivery: &Delivery, body: Bytes) -> bool {
        let settled = self.turn(|model| model.settle(delivery.subject(), delivery.seq, &body));
        settled.await.is_ok()
    }
}

impl Process {
    async fn turn<T>(&self, request: impl FnOnce(&Model) -> T) -> Result<T, String> {
        let unanswered = || "no answer".to_owned();
        match self.next_outcome().await {
            RequestOutcome::Goes => Ok(request(&self.model)),
            RequestOutcome::Unheard => Err(unanswered()),
            RequestOutcome::Unanswered => {
                request(&self.model);
                Err(unanswered())
            }
            RequestOutcome::Sleeps => {
                let answer = request(&self.model);
                match self.next_outcome().await {
                    RequestOutcome::Goes | RequestOutcome::Sleeps => Ok(answer),
                    RequestOutcome::Unheard | RequestOutcome::Unanswered => Err(unanswered()),
                    RequestOutcome::DiesBefore | RequestOutcome::DiesAfter => {
                        std::future::pending().await
                    }
                }
            }
            RequestOutcome::DiesAfter => {
                request(&self.model);
                // A process that died never continues; the simulation drops it.
                std::future::pending().await
            }
            RequestOutcome::DiesBefore => std::future::pending().await,
        }
    }

    async fn next_outcome(&self) -> RequestOutcome {
        let (turn, fate) = oneshot::channel();
        // Where no one listens any more no one decides, and the process stays where it is.
        let _ = self.turns.send(turn);
        match fate.await {
            Ok(fate) => fate,
            Err(_) => std::future::pending().await,
        }
    }
}

/// The stream of the contract that takes a subject.
fn home(subject: &str) -> Option<String> {
    static STREAMS: LazyLock<Vec<stream::Config>> =
        LazyLock::new(|| topology::streams(&Sizing::default()));
    let takes =
        |stream: &&stream::Config| stream.subjects.iter().any(|filter| covers(filter, subject));
    STREAMS.iter().find(takes).map(|stream| stream.name.clone())
}

/// Whether a subject is under a filter: `*` is any one token, `>` all that follow.
fn covers(filter: &str, subject: &str) -> bool {
    let (mut filter, mut subject) = (filter.split('.'), subject.split('.'));
    loop {
        match (filter.next(), subject.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some(wanted), Some(token)) if wanted == "*" || wanted == token => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_cover_what_nats_says_they_do() {
        for (filter, subject, covered) in [
            ("hls.v1.job.>", "hls.v1.job.a.ended", true),
            ("hls.v1.job.>", "hls.v1.job", false),
            ("hls.v1.job.*.ended", "hls.v1.job.a.ended", true),
            ("hls.v1.job.*.ended", "hls.v1.job.a.b.ended", false),
            ("hls.v1.upload", "hls.v1.upload", true),
        ] {
            assert_eq!(covers(filter, subject), covered, "{filter} {subject}");
        }
    }
}
