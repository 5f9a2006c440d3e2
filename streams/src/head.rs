//! What every fact begins with: whose it is, and when it was written.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::VERSION;
use crate::id::{FileId, JobId};

/// What every fact begins with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Head {
    /// Version of the payload.
    pub v: u32,
    /// The job.
    pub job_id: JobId,
    /// The file the job transcodes.
    pub file_id: FileId,
    /// The time on the writer's clock, for people. The server timestamp of the message is
    /// authoritative.
    pub at: DateTime<Utc>,
}

impl Head {
    /// The head of a fact of `job_id` written now.
    #[must_use]
    pub fn new(job_id: JobId, file_id: FileId) -> Self {
        Self {
            v: VERSION,
            job_id,
            file_id,
            at: Utc::now(),
        }
    }
}
