//! The settings of workers: resources, programs and the sandbox.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use ffmpeg::sandbox::SandboxRequirement;
use ffmpeg::{Tool, tool::ToolError};

use super::sources::LimitArgs;
use super::variable;
use crate::worker::admission::Capacity;

/// Default of the setting of that name, in bytes.
pub const REMUX_MAX: u64 = 16 << 30;

/// Requirements for the sandbox around ffmpeg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum SandboxArg {
    /// All layers that this kernel supports; missing ones are reported.
    Auto,
    /// Refuse to start without the layers for files and network.
    Require,
}

/// The settings of workers.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Worker")]
pub struct WorkerArgs {
    /// Folder for work in progress; default: `fluxhls` in the temporary folder.
    #[arg(long, env = "WORK_DIR", value_name = "FOLDER")]
    pub work_dir: Option<PathBuf>,
    /// Chunks encoded at a time; default: half the cores, at least one.
    #[arg(long, env = "ENCODE_SLOTS")]
    pub encode_slots: Option<usize>,
    /// Bytes that all tasks of this process together may use in the work folder; default: the free
    /// space of its file system.
    #[arg(long, env = "WORK_DIR_MAX")]
    pub work_dir_max: Option<u64>,
    /// Bytes of memory of this process and its ffmpeg processes together; default: the limit of the
    /// control group, else the memory of the machine.
    #[arg(long, env = "MEMORY_MAX")]
    pub memory_max: Option<u64>,
    /// Seconds to wait for the object of an event if it does not exist yet, or if the storage
    /// denies access to it, also in the middle of its job.
    #[arg(long, env = "SOURCE_WAIT", default_value_t = 120)]
    pub source_wait: u64,
    /// Bytes of the largest source without an index (TS, PS, FLV) that is copied into Matroska
    /// first, so that its chunks can be encoded in parallel; larger ones are one sequential task.
    /// The copy needs as much space in `WORK_DIR`.
    #[arg(long, env = "REMUX_MAX", default_value_t = REMUX_MAX)]
    pub remux_max: u64,
    /// Seconds before the first retry of a failure that may pass.
    #[arg(long, env = "RETRY_DELAY", default_value_t = 10)]
    pub retry_delay: u64,
    /// Seconds that a stopping worker gives its tasks before it releases them.
    #[arg(long, env = "GRACE_PERIOD", default_value_t = 25)]
    pub grace_period: u64,
    /// Requirements for the sandbox around ffmpeg (`fluxhls doctor` shows its layers on this
    /// machine).
    #[arg(long, env = "SANDBOX", value_enum, default_value = "auto")]
    pub sandbox: SandboxArg,
    /// The ffmpeg programs.
    #[command(flatten)]
    pub tool: ToolArgs,
    /// What is accepted.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Name of this worker in attempts and logs; default: host name and process id.
    #[arg(long, env = "WORKER_NAME")]
    pub worker_name: Option<String>,
}

impl WorkerArgs {
    /// The folder for work in progress.
    #[must_use]
    pub fn work_dir(&self) -> PathBuf {
        self.work_dir
            .clone()
            .unwrap_or_else(|| std::env::temp_dir().join("fluxhls"))
    }

    /// The disk and memory that tasks may use.
    #[must_use]
    pub const fn capacity(&self) -> Capacity {
        Capacity {
            work_dir_max: self.work_dir_max,
            memory_max: self.memory_max,
        }
    }

    /// Chunks encoded at a time.
    #[must_use]
    pub fn encode_slots(&self) -> usize {
        self.encode_slots
            .unwrap_or_else(|| ffmpeg::cores().div_ceil(2))
            .max(1)
    }

    /// Requirements for the sandbox around ffmpeg.
    #[must_use]
    pub const fn sandbox(&self) -> SandboxRequirement {
        match self.sandbox {
            SandboxArg::Auto => SandboxRequirement::Auto,
            SandboxArg::Require => SandboxRequirement::Require,
        }
    }

    /// The worker's name.
    #[must_use]
    pub fn worker_name(&self) -> String {
        self.worker_name.clone().unwrap_or_else(|| {
            let host = nix::unistd::gethostname()
                .ok()
                .and_then(|name| name.into_string().ok());
            format!(
                "{}-{}",
                host.as_deref().unwrap_or("host"),
                std::process::id()
            )
        })
    }

    /// How long a stopping worker waits for its tasks.
    #[must_use]
    pub const fn grace_period(&self) -> Duration {
        Duration::from_secs(self.grace_period)
    }
}

/// The ffmpeg programs.
#[derive(Debug, Clone, Args)]
pub struct ToolArgs {
    /// Path of ffmpeg; default: searched for in PATH.
    #[arg(long, env = "FFMPEG", value_name = "PATH")]
    pub ffmpeg: Option<PathBuf>,
    /// Path of ffprobe; default: searched for in PATH.
    #[arg(long, env = "FFPROBE", value_name = "PATH")]
    pub ffprobe: Option<PathBuf>,
}

impl ToolArgs {
    /// The programs. They are located here, because they run without the environment of this
    /// process and so without its PATH.
    ///
    /// # Errors
    /// When one of them is not found, with how to install it.
    pub fn locate(&self) -> Result<Tool, ToolError> {
        let path = variable("PATH").unwrap_or_default();
        Tool::locate(
            self.ffmpeg.as_deref(),
            self.ffprobe.as_deref(),
            path.as_ref(),
        )
    }
}
