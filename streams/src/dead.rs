//! Dead letters: what could not be done, with the original bytes and the reason. Nothing is ever dropped silently.

use serde::{Deserialize, Serialize};

use crate::fact::JobError;
use crate::task::TaskKey;

/// Stream the original message came from.
pub const ORIGIN_STREAM: &str = "Fluxhls-Origin-Stream";
/// Sequence of the original message in that stream.
pub const ORIGIN_SEQ: &str = "Fluxhls-Origin-Seq";
/// The stable failure word.
pub const CODE: &str = "Fluxhls-Code";
/// One sentence.
pub const REASON: &str = "Fluxhls-Reason";
/// For a task: the [`TaskReport`] as JSON, cut to fit a header.
pub const REPORT: &str = "Fluxhls-Report";

/// What an operator needs to repeat the failure of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskReport {
    /// The task.
    pub key: TaskKey,
    /// Why it failed.
    pub error: JobError,
    /// The last command, argument by argument.
    #[serde(default)]
    pub argv: Vec<String>,
    /// The end of its standard error.
    #[serde(default)]
    pub stderr: String,
    /// What the probe said of the source, where it came so far.
    #[serde(default)]
    pub probe: Option<serde_json::Value>,
}
