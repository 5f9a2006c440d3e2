//! A fact and its place in the log.

use chrono::{NaiveDateTime, SubsecRound as _};
use jetstream::StoredMessage;
use streams::{Fact, Unread, subject};

/// A decoded message of the job log.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// Stream sequence, in the type the guard columns have.
    pub(super) seq: i64,
    /// When the server stored it: UTC without a zone, truncated to the microseconds that both
    /// databases store.
    pub(super) at: NaiveDateTime,
    /// What happened.
    pub(super) fact: Fact,
}

/// The messages before the first that needs a newer release, and why that one does. Nothing behind
/// it may reach the tables before it has.
pub(super) fn split_at_newer(
    mut messages: Vec<StoredMessage>,
) -> (Vec<StoredMessage>, Option<Unread>) {
    let found = messages.iter().enumerate().find_map(|(index, message)| {
        let unread = Entry::read(message).err()?;
        matches!(unread, Unread::Newer { .. }).then_some((index, unread))
    });

    match found {
        Some((index, unread)) => {
            messages.truncate(index);
            (messages, Some(unread))
        }
        None => (messages, None),
    }
}

impl Entry {
    /// Decodes a message.
    ///
    /// # Errors
    /// What in the message is no fact of this contract, or none that this release knows.
    pub(super) fn read(message: &StoredMessage) -> Result<Self, Unread> {
        let subject = &message.subject;
        let (job, kind) = subject::read_fact(subject)?;
        let fact = Fact::decode(subject, kind, &message.payload)?;

        // Readers look under the subject, so a body that names another job belongs to neither.
        if fact.head().job_id != job {
            let why = format!("the body names job {}, not {job}", fact.head().job_id);
            return Err(Unread::broken(subject, why));
        }

        let seq = i64::try_from(message.seq).map_err(|error| {
            Unread::broken(subject, format!("sequence {}: {error}", message.seq))
        })?;
        Ok(Self {
            seq,
            at: message.time.naive_utc().trunc_subsecs(6),
            fact,
        })
    }
}
