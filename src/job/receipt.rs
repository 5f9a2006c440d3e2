//! The receipt: the proof beside a finished output. A pure function of facts and objects, so two writers write equal bytes.

use serde::{Deserialize, Serialize};
use streams::fact::EndedRendition;
use streams::work::ObjectRef;

/// Everything that was checked before a job was called completed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Version of the format.
    pub v: u32,
    /// The job.
    pub job_id: streams::JobId,
    /// The file.
    pub file_id: streams::FileId,
    /// Length of the output in seconds.
    pub duration_seconds: f64,
    /// What was made, as `ended` tells it.
    pub renditions: Vec<EndedRendition>,
    /// Key of the poster, where one was made.
    pub poster: Option<String>,
    /// Key of the storyboard's index, where one was made.
    #[serde(default)]
    pub storyboard: Option<String>,
    /// What was left out or changed, as stable words.
    pub warnings: Vec<String>,
    /// Every object of the output, but master and the receipt itself.
    pub objects: Vec<ObjectRef>,
    /// Every check and what it found.
    pub checks: Vec<Check>,
}

/// One check of the output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was checked, as a stable word.
    pub name: String,
    /// What was found, one sentence.
    pub found: String,
}
