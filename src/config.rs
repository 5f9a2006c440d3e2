//! Configuration: the only reader of the environment. Every setting is a flag and an environment variable of one name.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use secrecy::SecretString;

use crate::admission::Capacity;
use crate::ffmpeg::sandbox::Demand;
use crate::ffmpeg::{Tool, tool::ToolError};
use crate::jetstream::NatsSettings;
use crate::ladder::{Limits, Profiles};
use crate::storage::{Checksums, Locator, LocatorError, STALL_TIMEOUT, StorageSettings};
use crate::telemetry::LogFormat;
use crate::telemetry::trace::Collector;

/// Default of the setting of that name, in bytes.
pub const REMUX_MAX: u64 = 16 << 30;

/// Default of the setting of that name.
pub const METRICS_PER_JOB: u64 = 200;

/// What the program says of itself, and where.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetryArgs {
    /// How log lines look.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "auto", global = true)]
    pub log_format: LogFormat,
    /// URL of the gRPC port of an OpenTelemetry collector (`http://127.0.0.1:4317`), for traces; needs a build with the feature `otel`.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", global = true)]
    pub otlp_endpoint: Option<String>,
    /// What this program is called there.
    #[arg(long, env = "OTEL_SERVICE_NAME", default_value = "fluxhls", global = true)]
    pub service_name: String,
}

impl TelemetryArgs {
    /// Where traces go, if anywhere.
    #[must_use]
    pub fn collector(&self) -> Option<Collector> {
        let endpoint = self.otlp_endpoint.clone().filter(|url| !url.is_empty())?;
        Some(Collector {
            endpoint,
            service: self.service_name.clone(),
        })
    }
}

/// Where NATS is.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "NATS")]
pub struct NatsArgs {
    /// One or several comma-separated nats:// or tls:// URLs. A user and password (`nats://user:password@host`) or a token
    /// (`nats://token@host`) are best given in the environment, since everybody on a machine can see command lines.
    #[arg(
        long,
        env = "NATS_URL",
        default_value = "nats://127.0.0.1:4222",
        hide_env_values = true
    )]
    pub nats_url: SecretString,
    /// A credentials file, as `nsc` makes it.
    #[arg(long, env = "NATS_CREDENTIALS", value_name = "FILE", conflicts_with = "nats_nkey")]
    pub nats_credentials: Option<PathBuf>,
    /// A file with the seed of an nkey, as `nk -gen user` makes it.
    #[arg(long, env = "NATS_NKEY", value_name = "FILE")]
    pub nats_nkey: Option<PathBuf>,
    /// The authorities that may sign the servers' certificates, in PEM; default: those of the system. Demands TLS.
    #[arg(long, env = "NATS_CA", value_name = "FILE")]
    pub nats_ca: Option<PathBuf>,
    /// A certificate to show to servers, in PEM. Demands TLS.
    #[arg(long, env = "NATS_CERT", value_name = "FILE", requires = "nats_key")]
    pub nats_cert: Option<PathBuf>,
    /// The private key of that certificate, in PEM.
    #[arg(long, env = "NATS_KEY", value_name = "FILE", requires = "nats_cert")]
    pub nats_key: Option<PathBuf>,
    /// Copies of every stream when provisioning: 3 in production, on a cluster.
    #[arg(long, env = "STREAM_REPLICAS", default_value_t = 1)]
    pub stream_replicas: usize,
}

impl NatsArgs {
    /// The settings of the connection named `name`.
    #[must_use]
    pub fn settings(&self, name: &str) -> NatsSettings {
        NatsSettings {
            url: self.nats_url.clone(),
            credentials: self.nats_credentials.clone(),
            nkey: self.nats_nkey.clone(),
            ca: self.nats_ca.clone(),
            certificate: self.nats_cert.clone(),
            key: self.nats_key.clone(),
            name: name.to_owned(),
        }
    }

    /// How streams are to be sized.
    #[must_use]
    pub const fn sizing(&self) -> streams::topology::Sizing {
        streams::topology::Sizing {
            replicas: self.stream_replicas,
        }
    }
}

/// Where the tables are.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseArgs {
    /// postgres:// or sqlite:// URL of the database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<SecretString>,
}

/// Where objects are.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Storage")]
pub struct StorageArgs {
    /// Root URL of the S3 service; AWS when absent.
    #[arg(long, env = "S3_ENDPOINT")]
    pub s3_endpoint: Option<String>,
    /// Bucket of the output.
    #[arg(long, env = "S3_BUCKET", default_value = "fluxhls")]
    pub s3_bucket: String,
    /// Region that requests are signed for.
    #[arg(long, env = "S3_REGION", default_value = "us-east-1")]
    pub s3_region: String,
    /// Whether the bucket is part of the path; default: yes where an endpoint is set.
    #[arg(long, env = "S3_PATH_STYLE")]
    pub s3_path_style: Option<bool>,
    /// When requests carry checksums; default: when required where an endpoint is set.
    #[arg(long, env = "S3_CHECKSUMS", value_enum)]
    pub s3_checksums: Option<ChecksumsArg>,
    /// Send the ACL `public-read` with everything players need.
    #[arg(long, env = "S3_PUBLIC_READ", default_value_t = false, action = clap::ArgAction::Set)]
    pub s3_public_read: bool,
    /// Seconds a transfer may stand still before it is given up and tried again.
    #[arg(long, env = "S3_STALL_TIMEOUT", default_value_t = STALL_TIMEOUT.as_secs())]
    pub s3_stall_timeout: u64,
    /// Comma-separated buckets that events may name; default: the output bucket.
    #[arg(long, env = "SOURCE_BUCKETS", value_delimiter = ',')]
    pub source_buckets: Vec<String>,
    /// Where every output prefix starts.
    #[arg(long, env = "OUTPUT_ROOT", default_value = "hls/")]
    pub output_root: String,
    /// Root of public URLs (the CDN); default: the bucket at its endpoint.
    #[arg(long, env = "PUBLIC_BASE_URL")]
    pub public_base_url: Option<String>,
}

/// When requests carry checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum ChecksumsArg {
    /// Only where S3 demands one.
    WhenRequired,
    /// Wherever the operation can carry one.
    WhenSupported,
}

impl StorageArgs {
    /// The settings of the S3 client.
    #[must_use]
    pub fn settings(&self) -> StorageSettings {
        StorageSettings {
            endpoint: self.s3_endpoint.clone(),
            path_style: self.s3_path_style,
            checksums: self.s3_checksums.map(|checksums| match checksums {
                ChecksumsArg::WhenRequired => Checksums::WhenRequired,
                ChecksumsArg::WhenSupported => Checksums::WhenSupported,
            }),
            public_read: self.s3_public_read,
            stall_timeout: Duration::from_secs(self.s3_stall_timeout.max(1)),
            ..StorageSettings::new(self.s3_region.clone())
        }
    }

    /// What the URLs of events may mean.
    ///
    /// # Errors
    /// When the endpoint or the public root is no URL.
    pub fn locator(&self) -> Result<Locator, LocatorError> {
        let public = self.public_base_url();
        let endpoint = self.s3_endpoint.as_deref();
        Locator::new(endpoint, self.source_buckets(), &self.s3_bucket, Some(&public))
    }

    /// The buckets that events may name.
    #[must_use]
    pub fn source_buckets(&self) -> Vec<String> {
        if self.source_buckets.is_empty() {
            vec![self.s3_bucket.clone()]
        } else {
            self.source_buckets.clone()
        }
    }

    /// Root of public URLs, ending in `/`.
    #[must_use]
    pub fn public_base_url(&self) -> String {
        let root = self.public_base_url.clone().unwrap_or_else(|| match &self.s3_endpoint {
            Some(endpoint) if self.s3_path_style == Some(false) => virtual_host(endpoint, &self.s3_bucket),
            Some(endpoint) => format!("{}/{}", endpoint.trim_end_matches('/'), self.s3_bucket),
            None => format!("https://{}.s3.{}.amazonaws.com", self.s3_bucket, self.s3_region),
        });
        if root.ends_with('/') { root } else { format!("{root}/") }
    }
}

fn virtual_host(endpoint: &str, bucket: &str) -> String {
    match endpoint.split_once("://") {
        Some((scheme, host)) => format!("{scheme}://{bucket}.{}", host.trim_end_matches('/')),
        None => format!("https://{bucket}.{endpoint}"),
    }
}

/// What is asked of the sandbox around ffmpeg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum SandboxArg {
    /// Every wall this kernel has; what is missing is said.
    Auto,
    /// Refuse to work where files and network cannot be shut off.
    Require,
}

/// How a worker works.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Worker")]
pub struct WorkerArgs {
    /// Folder for work in progress; default: `fluxhls` in the temporary folder.
    #[arg(long, env = "WORK_DIR", value_name = "FOLDER")]
    pub work_dir: Option<PathBuf>,
    /// Chunks encoded at a time; default: half the cores, at least one.
    #[arg(long, env = "ENCODE_SLOTS")]
    pub encode_slots: Option<usize>,
    /// Bytes that tasks of this process may have in the work folder together; default: what is free on its file system.
    #[arg(long, env = "WORK_DIR_MAX")]
    pub work_dir_max: Option<u64>,
    /// Bytes of memory of this process and its ffmpeg processes together; default: the limit of the control group, else what the machine has.
    #[arg(long, env = "MEMORY_MAX")]
    pub memory_max: Option<u64>,
    /// Seconds an event's object is waited for.
    #[arg(long, env = "SOURCE_WAIT", default_value_t = 120)]
    pub source_wait: u64,
    /// Largest source without an index of its own (TS, PS, FLV) that is copied into Matroska first, so that its chunks can be
    /// encoded in parallel; larger ones are one sequential task. Bytes; needs as much room in `WORK_DIR`.
    #[arg(long, env = "REMUX_MAX", default_value_t = REMUX_MAX)]
    pub remux_max: u64,
    /// Seconds before the first repetition of what failed and may succeed.
    #[arg(long, env = "RETRY_DELAY", default_value_t = 10)]
    pub retry_delay: u64,
    /// Seconds a stopping worker gives its tasks before it hands them back.
    #[arg(long, env = "GRACE_PERIOD", default_value_t = 25)]
    pub grace_period: u64,
    /// What is asked of the sandbox around ffmpeg (`fluxhls doctor` tells what it has here).
    #[arg(long, env = "SANDBOX", value_enum, default_value = "auto")]
    pub sandbox: SandboxArg,
    /// Where ffmpeg is.
    #[command(flatten)]
    pub tool: ToolArgs,
    /// What is accepted.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Name of this worker in attempts and logs; default: host name and process id.
    #[arg(long, env = "WORKER_NAME")]
    pub worker_name: Option<String>,
}

/// What sources are accepted.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Bytes of the largest source that is accepted.
    #[arg(long, env = "MAX_SOURCE_BYTES", default_value_t = Limits::default().bytes)]
    pub max_source_bytes: u64,
    /// Seconds of the longest source that is accepted.
    #[arg(long, env = "MAX_DURATION", default_value_t = 172_800, value_parser = clap::value_parser!(u32).range(1..=604_800))]
    pub max_duration: u32,
    /// Pixels of the largest picture that is accepted (8192x4320 by default). Memory grows with it.
    #[arg(long, env = "MAX_PIXELS", default_value_t = Limits::default().pixels, value_parser = clap::value_parser!(u64).range(256..=268_435_456))]
    pub max_pixels: u64,
    /// Tracks of any kind that one source may have.
    #[arg(long, env = "MAX_TRACKS", default_value_t = 32, value_parser = clap::value_parser!(u8).range(1..=200))]
    pub max_tracks: u8,
}

impl LimitArgs {
    /// The limits.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            bytes: self.max_source_bytes,
            duration: self.max_duration.into(),
            pixels: self.max_pixels,
            tracks: self.max_tracks.into(),
        }
    }
}

/// What videos become.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Ladder")]
pub struct LadderArgs {
    /// A TOML file that adds profiles to the shipped ones, or replaces them by name.
    #[arg(long, env = "LADDER_FILE", value_name = "FILE")]
    pub ladder_file: Option<PathBuf>,
}

impl LadderArgs {
    /// Every profile events may ask for.
    ///
    /// # Errors
    /// When the file cannot be read, or is not valid: then with the profile, the field and what it must be.
    pub fn profiles(&self) -> anyhow::Result<Profiles> {
        let Some(path) = &self.ladder_file else {
            return Ok(Profiles::shipped().clone());
        };
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("cannot read the ladder file {file}; set LADDER_FILE to one this user can read, or unset it")
        })?;
        Ok(Profiles::shipped().with_file(&file, &text)?)
    }
}

/// Where ffmpeg is.
#[derive(Debug, Clone, Args)]
pub struct ToolArgs {
    /// ffmpeg's executable; searched for in PATH when absent.
    #[arg(long, env = "FFMPEG", value_name = "PATH")]
    pub ffmpeg: Option<PathBuf>,
    /// ffprobe's executable; searched for in PATH when absent.
    #[arg(long, env = "FFPROBE", value_name = "PATH")]
    pub ffprobe: Option<PathBuf>,
}

impl ToolArgs {
    /// The programs. They are looked up here, since they run without our environment and so without our PATH.
    ///
    /// # Errors
    /// When one of them is nowhere, with how to install it.
    pub fn locate(&self) -> Result<Tool, ToolError> {
        let path = variable("PATH").unwrap_or_default();
        Tool::locate(self.ffmpeg.as_deref(), self.ffprobe.as_deref(), path.as_ref())
    }
}

impl WorkerArgs {
    /// The folder for work in progress.
    #[must_use]
    pub fn work_dir(&self) -> PathBuf {
        self.work_dir
            .clone()
            .unwrap_or_else(|| std::env::temp_dir().join("fluxhls"))
    }

    /// What tasks may take of disk and memory.
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
        self.encode_slots.unwrap_or_else(|| cores().div_ceil(2)).max(1)
    }

    /// What is asked of the sandbox around ffmpeg.
    #[must_use]
    pub const fn sandbox(&self) -> Demand {
        match self.sandbox {
            SandboxArg::Auto => Demand::Auto,
            SandboxArg::Require => Demand::Require,
        }
    }

    /// The worker's name.
    #[must_use]
    pub fn worker_name(&self) -> String {
        self.worker_name.clone().unwrap_or_else(|| {
            let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
            format!("{}-{}", host.as_deref().unwrap_or("host"), std::process::id())
        })
    }

    /// How long a stopping worker waits for its tasks.
    #[must_use]
    pub const fn grace_period(&self) -> Duration {
        Duration::from_secs(self.grace_period)
    }
}

/// Cores this process may use.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// Where probes and metrics are served.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "HTTP")]
pub struct HttpArgs {
    /// Address of /metrics, /livez and /readyz.
    #[arg(long, env = "HTTP_ADDR", default_value = "0.0.0.0:8080")]
    pub http_addr: SocketAddr,
    /// Most open jobs, the oldest first, that the role project gives metrics of their own; 0 for none.
    #[arg(long, env = "METRICS_PER_JOB", default_value_t = METRICS_PER_JOB)]
    pub metrics_per_job: u64,
}

/// The step at which a debug build dies, for tests of crashes.
#[must_use]
#[cfg(debug_assertions)]
pub fn crash_point() -> Option<String> {
    variable("FLUXHLS_CRASH_AT")
}

/// The step at which a debug build stands still once, for tests of workers that wake up late.
#[must_use]
#[cfg(debug_assertions)]
pub fn pause_point() -> Option<String> {
    variable("FLUXHLS_PAUSE_AT")
}

/// The log filter, in the syntax of `tracing_subscriber`'s `EnvFilter`.
#[must_use]
pub fn log_filter() -> String {
    variable("LOG")
        .or_else(|| variable("RUST_LOG"))
        .unwrap_or_else(|| "info,sqlx=warn,s3s=error,s3s_fs=error".to_owned())
}

/// The log filter of commands that talk to a person: only what went wrong.
#[must_use]
pub fn quiet_log_filter() -> String {
    variable("LOG")
        .or_else(|| variable("RUST_LOG"))
        .unwrap_or_else(|| "error".to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "this module is the one reader of the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        storage: StorageArgs,
    }

    #[derive(Parser)]
    struct Accepted {
        #[command(flatten)]
        limits: LimitArgs,
    }

    #[test]
    fn without_settings_the_limits_are_the_default_ones() {
        assert_eq!(Accepted::parse_from(["x"]).limits.limits(), Limits::default());
        for absurd in ["--max-duration=0", "--max-pixels=1", "--max-tracks=201"] {
            assert!(Accepted::try_parse_from(["x", absurd]).is_err(), "{absurd}");
        }
    }

    fn base_url(args: &[&str]) -> String {
        Only::parse_from([&["x"], args].concat()).storage.public_base_url()
    }

    #[test]
    fn public_urls_start_at_the_cdn_else_at_the_bucket() {
        assert_eq!(
            base_url(&["--public-base-url", "https://cdn.example"]),
            "https://cdn.example/"
        );
        assert_eq!(
            base_url(&["--s3-endpoint", "http://127.0.0.1:9000", "--s3-bucket", "b"]),
            "http://127.0.0.1:9000/b/"
        );
        assert_eq!(
            base_url(&[
                "--s3-endpoint",
                "https://nyc3.digitaloceanspaces.com",
                "--s3-bucket",
                "b",
                "--s3-path-style",
                "false"
            ]),
            "https://b.nyc3.digitaloceanspaces.com/"
        );
        assert_eq!(
            base_url(&["--s3-bucket", "b", "--s3-region", "eu-west-1"]),
            "https://b.s3.eu-west-1.amazonaws.com/"
        );
    }
}
