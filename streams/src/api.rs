//! Questions to the service by request and reply, for API services that have no access to the
//! database.
//!
//! A NATS micro-service (`fluxhls`; see
//! [ADR-32](https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-32.md))
//! answers on four subjects. Bodies are JSON; fields it does not know are ignored. A refusal has no
//! body, and says why in the headers `Nats-Service-Error-Code` (400, 404, 409 or 503) and
//! `Nats-Service-Error` (one sentence).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{FileId, JobId};

/// Name of the micro-service.
pub const SERVICE: &str = "fluxhls";
/// What all its subjects begin with.
pub const GROUP: &str = "hls.v1.api";

/// The body of `hls.v1.api.status`: the job to report. The reply is a job as `fluxhls jobs list
/// --json` writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusRequest {
    /// The job.
    #[serde(default)]
    pub job_id: Option<JobId>,
    /// The file, whose newest job is reported.
    #[serde(default)]
    pub file_id: Option<FileId>,
}

/// The body of `hls.v1.api.cancel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancelRequest {
    /// The job.
    pub job_id: JobId,
    /// Who asks, for the log; `api` if missing.
    #[serde(default)]
    pub by: Option<String>,
    /// Why, for the log.
    #[serde(default)]
    pub reason: Option<String>,
}

/// The reply of `hls.v1.api.cancel`. A request is refused with 409 if the result of the job is
/// already decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancelReply {
    /// The job, which has ended as canceled, or soon will.
    pub job_id: JobId,
}

/// The body of `hls.v1.api.retry`: a new job like one that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetryRequest {
    /// The job that has ended, whatever its outcome. An open one is refused with 409.
    pub job_id: JobId,
    /// The id of the new job. A client that chooses it may repeat the request if the reply is lost;
    /// without an id, each request creates another job.
    #[serde(default)]
    pub new_job_id: Option<JobId>,
}

/// The reply of `hls.v1.api.retry`: the event of the new job is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetryReply {
    /// The new job.
    pub job_id: JobId,
    /// Its file.
    pub file_id: FileId,
    /// The job it repeats.
    pub retry_of: JobId,
}
