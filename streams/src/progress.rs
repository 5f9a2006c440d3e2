//! Progress: how far a task and its job are. Only the last value per task is kept; losing one is
//! harmless.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{FileId, JobId};
use crate::task::TaskName;

/// The body of `hls.v1.progress.<job_id>.<task>`, published at most once a second per task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// The job.
    pub job_id: JobId,
    /// The file.
    pub file_id: FileId,
    /// The task that reports.
    pub task: TaskName,
    /// Progress of the task, 0 to 1.
    pub task_progress: f64,
    /// Lower bound of the progress of the job, 0 to 1: take the maximum over the tasks of a job.
    pub job_progress: f64,
    /// Media seconds per second of wall time.
    pub speed: f64,
    /// Estimated seconds until this task ends.
    pub eta_seconds: f64,
}
