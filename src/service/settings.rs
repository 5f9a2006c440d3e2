//! Everything a process needs to know, as plain data.

use std::path::PathBuf;

use ffmpeg::Tool;
use ffmpeg::sandbox::SandboxRequirement;
use jetstream::NatsSettings;
use media::ladder::{Limits, Profiles};
use storage::{Locator, LocatorError, StorageSettings};
use streams::topology::Sizing;

use super::Role;
use crate::job::JobSettings;
use crate::pipeline::project::DatabaseSettings;
use crate::worker::admission::Capacity;

/// Everything a process needs to know, as plain data.
#[derive(Debug, Clone)]
pub struct ServiceSettings {
    /// Where NATS is.
    pub nats: NatsSettings,
    /// How its streams and consumers are to be sized.
    pub sizing: Sizing,
    /// Where the tables are; needed by the role `project` alone.
    pub database: Option<DatabaseSettings>,
    /// What videos may become.
    pub profiles: Profiles,
    /// Where objects are.
    pub storage: StorageSettings,
    /// Bucket of the output.
    pub bucket: String,
    /// Buckets that events may name.
    pub source_buckets: Vec<String>,
    /// What is decided about jobs.
    pub job: JobSettings,
    /// ffmpeg and ffprobe.
    pub tool: Tool,
    /// What is asked of the sandbox around ffmpeg.
    pub sandbox: SandboxRequirement,
    /// Folder for work in progress.
    pub work_dir: PathBuf,
    /// What tasks may take of disk and memory.
    pub capacity: Capacity,
    /// Chunks encoded at a time.
    pub encode_slots: usize,
    /// Bytes of the largest source without an index that is copied into one with an index before it
    /// is encoded.
    pub remux_max: u64,
    /// What sources are accepted.
    pub limits: Limits,
    /// Most open jobs with metrics of their own.
    pub metrics_per_job: u64,
    /// What this process does.
    pub roles: Vec<Role>,
}

impl ServiceSettings {
    /// What the URLs of events may mean.
    ///
    /// # Errors
    /// When the endpoint or the public root is no URL.
    pub fn locator(&self) -> Result<Locator, LocatorError> {
        let public = Some(self.job.public_base_url.as_str());
        let buckets = self.source_buckets.clone();
        Locator::new(
            self.storage.endpoint.as_deref(),
            buckets,
            &self.bucket,
            public,
        )
    }
}
