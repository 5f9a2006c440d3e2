//! Why a plan is as it is, and what it will cost: for people, and for those who tune profiles.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that the source or the ladder has and the output lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// Its name, e.g. `1080p` or `track 3`.
    pub name: String,
    /// Why, one sentence.
    pub reason: String,
}

/// How hard the video is to encode, measured by a few short sample encodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Complexity {
    /// The result of the sample for each rung, from the top down, including rungs that were left
    /// out because of it.
    pub rungs: Vec<RungSample>,
    /// Seconds of media in the sample.
    pub sampled_seconds: f64,
    /// Processor seconds the sample took, on the planning machine.
    pub cpu_seconds: f64,
    /// Why no sample was taken, one sentence; then `rungs` is empty.
    #[serde(default)]
    pub not_sampled: Option<String>,
}

/// The result of the sample for one rung.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RungSample {
    /// The rung, e.g. `1080p`.
    pub name: String,
    /// Bits per second that the sample needed at the quality of the rung.
    pub bitrate: u64,
    /// The decision, one sentence.
    pub decision: String,
}

/// The expected cost of a job. The values are estimates, for admission and for people.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// Processor seconds of all tasks on a current server core.
    pub cpu_seconds: f64,
    /// Bytes of the whole output, at most.
    pub output_bytes: u64,
    /// Bytes of memory of the largest task.
    pub memory_bytes: u64,
}
