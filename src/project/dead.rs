//! A fact that cannot be in the tables, and why.

use streams::{Code, dead, subject, topology};

use crate::jetstream::{Outgoing, Recorded};

/// A message of the job log that the projection skips.
#[derive(Debug, Clone)]
pub(super) struct DeadFact {
    message: Recorded,
    reason: String,
}

impl DeadFact {
    /// Sets `message` aside for `reason`, one sentence.
    pub(super) fn new(message: &Recorded, reason: impl Into<String>) -> Self {
        Self {
            message: message.clone(),
            reason: reason.into(),
        }
    }

    /// Stream sequence of the fact.
    pub(super) const fn seq(&self) -> u64 {
        self.message.seq
    }

    /// The dead letter: the original bytes and the reason.
    ///
    /// Its id makes a projector that crashed between publishing and committing publish it once, within the window in
    /// which the server remembers ids; after that a second copy is harmless.
    pub(super) fn letter(&self) -> Outgoing {
        let Recorded { seq, time, payload, .. } = &self.message;
        Outgoing::json(subject::dead_message("project", *seq), payload.clone())
            .with_id(format!("project-{seq}-{}", time.timestamp_micros()))
            .with_header(dead::ORIGIN_STREAM, topology::JOBS)
            .with_header(dead::ORIGIN_SEQ, &seq.to_string())
            .with_header(dead::CODE, Code::InvalidEvent.as_str())
            .with_header(dead::REASON, &self.reason)
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
