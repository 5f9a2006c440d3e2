//! Why a plan is as it is, and what it will cost: for people, and for those who tune profiles.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something the source or the ladder has and the output has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// What, e.g. `1080p` or `track 3`.
    pub name: String,
    /// Why, one sentence.
    pub reason: String,
}

/// How hard the pictures are to encode, as a few short sample encodes show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Complexity {
    /// What each rung's sample shows, from the top down; also of rungs that were left out because of
    /// it.
    pub rungs: Vec<RungSample>,
    /// Seconds of media that were sampled.
    pub sampled_seconds: f64,
    /// Processor seconds the sample took, on the planning machine.
    pub cpu_seconds: f64,
    /// Why no sample was taken, one sentence; then there are no rungs here.
    #[serde(default)]
    pub not_sampled: Option<String>,
}

/// What the sample shows of one rung.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RungSample {
    /// The rung, e.g. `1080p`.
    pub name: String,
    /// Bits per second the sample needed at the rung's quality.
    pub bitrate: u64,
    /// What was decided because of it, one sentence.
    pub decision: String,
}

/// What a job is expected to cost. Estimates, for admission and for people; never a promise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// Processor seconds of all tasks on a current server core.
    pub cpu_seconds: f64,
    /// Bytes of the whole output, at most.
    pub output_bytes: u64,
    /// Bytes of memory of the largest task.
    pub memory_bytes: u64,
}
