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
    /// The NATS servers.
    pub nats: NatsSettings,
    /// The sizes of its streams and consumers.
    pub sizing: Sizing,
    /// The database; only the role `project` needs it.
    pub database: Option<DatabaseSettings>,
    /// The profiles.
    pub profiles: Profiles,
    /// The object storage.
    pub storage: StorageSettings,
    /// Bucket of the output.
    pub bucket: String,
    /// Buckets that events may name.
    pub source_buckets: Vec<String>,
    /// The decisions about jobs.
    pub job: JobSettings,
    /// ffmpeg and ffprobe.
    pub tool: Tool,
    /// Requirements for the sandbox around ffmpeg.
    pub sandbox: SandboxRequirement,
    /// Folder for work in progress.
    pub work_dir: PathBuf,
    /// The disk and memory that tasks may use.
    pub capacity: Capacity,
    /// Chunks encoded at a time.
    pub encode_slots: usize,
    /// Bytes of the largest source without an index that is copied into one with an index before it
    /// is encoded.
    pub remux_max: u64,
    /// Which sources are accepted.
    pub limits: Limits,
    /// Number of open jobs with per-job metrics.
    pub metrics_per_job: u64,
    /// The roles of this process.
    pub roles: Vec<Role>,
}

impl ServiceSettings {
    /// The locator that interprets the URLs of events.
    ///
    /// # Errors
    /// When the endpoint or the public root is not a URL.
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
