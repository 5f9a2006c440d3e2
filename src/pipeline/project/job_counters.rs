//! How many jobs were accepted, and how they ended.

use streams::Fact;
use streams::fact::Outcome;

/// Counts of jobs, kept with the checkpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobCounters {
    /// Jobs that were accepted.
    pub accepted: i64,
    /// Jobs that ended as completed.
    pub completed: i64,
    /// Jobs that ended as failed.
    pub failed: i64,
    /// Jobs that ended as canceled.
    pub canceled: i64,
}

impl JobCounters {
    /// Counts a fact; most of them are no count of a job.
    pub(super) fn count(&mut self, fact: &Fact) {
        match fact {
            Fact::Accepted(_) => self.accepted += 1,
            Fact::Ended(ended) => match ended.outcome {
                Outcome::Completed => self.completed += 1,
                Outcome::Failed => self.failed += 1,
                Outcome::Canceled => self.canceled += 1,
            },
            _ => {}
        }
    }

    /// Of each count the larger one.
    pub(super) fn max(self, other: Self) -> Self {
        Self {
            accepted: self.accepted.max(other.accepted),
            completed: self.completed.max(other.completed),
            failed: self.failed.max(other.failed),
            canceled: self.canceled.max(other.canceled),
        }
    }
}
