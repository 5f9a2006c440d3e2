//! A fact that cannot be in the tables, and why.

use std::time::Duration;

use jetstream::{DeadLetterReason, Log, OutboundMessage, StoredMessage, dead_letter};
use streams::{Code, subject, topology};
use tokio::time::timeout;

use super::error::ProjectError;

/// How long a transaction stays open for its dead letters.
pub(super) const DEAD_LETTER_LIMIT: Duration = Duration::from_secs(10);

/// A message of the job log that the projection skips.
#[derive(Debug, Clone)]
pub(super) struct DeadFact {
    message: StoredMessage,
    reason: String,
}

impl DeadFact {
    /// Sets `message` aside for `reason`, one sentence.
    pub(super) fn new(message: &StoredMessage, reason: impl Into<String>) -> Self {
        Self {
            message: message.clone(),
            reason: reason.into(),
        }
    }

    /// Stream sequence of the fact.
    pub(super) const fn seq(&self) -> u64 {
        self.message.seq
    }

    /// The dead letter: the original bytes and the reason, within the size that the server accepts
    /// in one message.
    ///
    /// Its id makes a projector that crashed between publishing and committing publish it once.
    pub(super) fn to_dead_letter(&self, limit: usize) -> OutboundMessage {
        let StoredMessage {
            seq,
            time,
            payload,
            headers,
            ..
        } = &self.message;

        let grief = DeadLetterReason {
            stream: topology::JOBS,
            seq: *seq,
            time: *time,
            code: Code::InvalidEvent,
            reason: &self.reason,
            more: &[],
        };
        dead_letter(
            subject::dead_message("project", *seq),
            &grief,
            payload.clone(),
            Some(headers),
            limit,
        )
    }
}

impl std::fmt::Display for DeadFact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "fact {} ({}): {}",
            self.message.seq, self.message.subject, self.reason
        )
    }
}

/// Publishes dead letters, before the commit that skips their facts: nothing is dropped silently.
pub(super) async fn publish_dead_letters(log: &Log, dead: &[DeadFact]) -> Result<(), ProjectError> {
    for fact in dead {
        tracing::error!(seq = fact.seq(), %fact, "a fact cannot be stored in the tables; it is now a dead letter");
        timeout(
            DEAD_LETTER_LIMIT,
            log.publish_dead_letter(fact.to_dead_letter(log.max_payload())),
        )
        .await
        .map_err(|_| {
            ProjectError::DeadLetter(format!(
                "no answer within {} seconds",
                DEAD_LETTER_LIMIT.as_secs()
            ))
        })??;
    }
    Ok(())
}
