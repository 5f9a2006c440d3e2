//! A fact and its place in the log.

use chrono::{NaiveDateTime, SubsecRound as _};
use streams::{Fact, subject};

use crate::jetstream::Recorded;

/// A decoded message of the job log.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// Stream sequence, in the type the guard columns have.
    pub(super) seq: i64,
    /// When the server stored it: UTC without a zone, cut to the microseconds both databases keep.
    pub(super) at: NaiveDateTime,
    /// What happened.
    pub(super) fact: Fact,
}

impl Entry {
    /// Decodes a message.
    ///
    /// # Errors
    /// One sentence on what in the message is no fact of this contract.
    pub(super) fn read(message: &Recorded) -> Result<Self, String> {
        let (job, kind) = subject::parse_fact(&message.subject)
            .ok_or_else(|| format!("{} is not the subject of a fact this version knows", message.subject))?;
        let fact = Fact::decode(kind, &message.payload)
            .map_err(|error| format!("the body is not a {} fact: {error}", kind.as_str()))?;
        if fact.head().job_id != job {
            return Err(format!("the body speaks of job {}, not of {job}", fact.head().job_id));
        }
        let seq = i64::try_from(message.seq).map_err(|error| format!("sequence {}: {error}", message.seq))?;
        Ok(Self {
            seq,
            at: message.time.naive_utc().trunc_subsecs(6),
            fact,
        })
    }
}
