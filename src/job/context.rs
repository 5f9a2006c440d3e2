//! What every worker that runs ffmpeg over a source works with.

use std::sync::Arc;

use ffmpeg::Tool;
use media::ladder::Limits;
use storage::{BlockCache, Storage};

use super::Jobs;
use crate::worker::admission::ResourceBudget;
use crate::worker::work_dir::WorkDir;

/// The handles that planning, encoding and repairing share. One process has one of them; clones
/// share connections, cache and budget.
#[derive(Debug, Clone)]
pub struct WorkerContext {
    /// The log of all jobs, and the output bucket.
    pub jobs: Jobs,
    /// Where sources are.
    pub storage: Storage,
    /// Blocks of sources, shared by all tasks of this process.
    pub cache: BlockCache,
    /// ffmpeg and ffprobe.
    pub tool: Tool,
    /// The version of ffmpeg, as it is written in plans and results.
    pub ffmpeg_version: String,
    /// Where task directories are created.
    pub work_dir: Arc<WorkDir>,
    /// What disk and memory there is, and who has reserved it.
    pub budget: ResourceBudget,
    /// The limits on sources.
    pub limits: Limits,
}
