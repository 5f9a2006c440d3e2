//! What must be true however much was broken: pure functions of the state read afterwards, which
//! return every violation.

pub(super) mod ends;
pub(super) mod output;
pub(super) mod repeats;
pub(super) mod rows;
pub(super) mod traces;

#[cfg(test)]
pub(super) mod told;

use streams::JobId;

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    /// The job it is about, where it is about one.
    pub(super) job: Option<JobId>,
    /// What is wrong, one sentence.
    pub(super) what: String,
}

/// A violation of a job.
fn of(job: &JobId, what: impl Into<String>) -> Violation {
    Violation {
        job: Some(job.clone()),
        what: what.into(),
    }
}

/// A violation that is no job's.
fn all(what: impl Into<String>) -> Violation {
    Violation {
        job: None,
        what: what.into(),
    }
}
