//! Why a question is not answered.

use std::fmt::Display;
use std::time::Duration;

use async_nats::service::error::Error;
use sea_orm::DbErr;

use crate::pipeline::project::error_text::describe_error;

/// A status code as HTTP has them (RFC 9110, section 15), and one sentence.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    code: usize,
    sentence: String,
}

impl Refusal {
    /// The request is not what it must be.
    pub(super) fn bad_request(problem: &impl Display) -> Self {
        Self::new(400, format!("The request cannot be read: {problem}."))
    }

    /// There is no such job.
    pub(super) fn not_found(what: &impl Display) -> Self {
        Self::new(404, format!("There is no {what}."))
    }

    /// The request is not possible in the current state of the job.
    pub(super) fn conflict(sentence: String) -> Self {
        Self::new(409, sentence)
    }

    /// Something this needs is away.
    pub(super) fn unavailable(problem: &impl Display) -> Self {
        Self::new(503, format!("It cannot be answered now: {problem}."))
    }

    /// Something this needs did not answer.
    pub(super) fn timeout(limit: Duration) -> Self {
        Self::new(
            503,
            format!(
                "No answer from database and job log within {} seconds.",
                limit.as_secs()
            ),
        )
    }

    /// The answer cannot be written.
    pub(super) fn internal(problem: &impl Display) -> Self {
        Self::new(500, format!("The answer cannot be written: {problem}."))
    }

    fn new(code: usize, sentence: String) -> Self {
        Self { code, sentence }
    }
}

impl From<DbErr> for Refusal {
    fn from(error: DbErr) -> Self {
        tracing::warn!(
            error = describe_error(&error),
            "a request cannot be answered from the tables"
        );
        // What a driver says may name hosts and users, which only the operator should see.
        Self::unavailable(&"the database cannot be used")
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        // NATS carries the sentence in a header (`Nats-Service-Error`), which must be one line.
        let status = refusal.sentence.replace(|c: char| c.is_control(), " ");
        Self {
            status,
            code: refusal.code,
        }
    }
}
