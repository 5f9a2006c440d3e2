//! Configuration: the only reader of the environment. Every setting is a flag and an environment
//! variable of one name.

mod nats;
mod sources;
mod storage;
mod telemetry;
mod worker;

use std::net::SocketAddr;

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use crate::pipeline::project::DatabaseSettings;

pub use nats::NatsArgs;
pub use sources::{LadderArgs, LimitArgs};
pub use storage::{ChecksumsArg, StorageArgs};
pub use telemetry::TelemetryArgs;
pub use worker::{REMUX_MAX, SandboxArg, ToolArgs, WorkerArgs};

/// Default of the setting of that name.
pub const METRICS_PER_JOB: u64 = 200;

/// Default of the setting of that name.
pub const DATABASE_MAX_CONNECTIONS: u32 = 5;

/// The database.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseArgs {
    /// postgres:// or sqlite:// URL of the database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<SecretString>,
    /// Largest number of connections of this process to the database; a pooler or a small server
    /// may need a lower one.
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", default_value_t = DATABASE_MAX_CONNECTIONS, value_parser = clap::value_parser!(u32).range(1..))]
    pub database_max_connections: u32,
}

impl DatabaseArgs {
    /// The database; none if it is not set, or set to an empty value, as templates do.
    #[must_use]
    pub fn settings(&self) -> Option<DatabaseSettings> {
        let url = self.database_url.as_ref()?;
        (!url.expose_secret().trim().is_empty()).then(|| DatabaseSettings {
            url: url.clone(),
            max_connections: self.database_max_connections,
        })
    }
}

/// Where probes and metrics are served.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "HTTP")]
pub struct HttpArgs {
    /// Address of /metrics, /livez and /readyz.
    #[arg(long, env = "HTTP_ADDR", default_value = "0.0.0.0:8080")]
    pub http_addr: SocketAddr,
    /// Number of open jobs, the oldest first, for which the role project emits per-job metrics; 0
    /// for none.
    #[arg(long, env = "METRICS_PER_JOB", default_value_t = METRICS_PER_JOB)]
    pub metrics_per_job: u64,
}

/// The steps at which a debug build crashes or stops once, for tests of crashes and of workers that
/// wake up late.
#[must_use]
#[cfg(debug_assertions)]
pub fn crash_points() -> crate::crash::CrashPoints {
    crate::crash::CrashPoints {
        crash: variable("FLUXHLS_CRASH_AT"),
        pause: variable("FLUXHLS_PAUSE_AT"),
        panic: variable("FLUXHLS_PANIC_AT"),
    }
}

/// The log filter, in the syntax of `tracing_subscriber`'s `EnvFilter`.
#[must_use]
pub fn log_filter() -> String {
    variable("LOG")
        .or_else(|| variable("RUST_LOG"))
        .unwrap_or_else(|| "info,sqlx=warn,s3s=error,s3s_fs=error".to_owned())
}

/// The log filter of interactive commands: only warnings and errors.
#[must_use]
pub fn quiet_log_filter() -> String {
    variable("LOG")
        .or_else(|| variable("RUST_LOG"))
        .unwrap_or_else(|| "error".to_owned())
}

/// The value of an environment variable; none if it is not set or empty.
#[expect(
    clippy::disallowed_methods,
    reason = "this module is the one reader of the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
