//! Logs and traces.

use clap::Args;

use crate::telemetry::LogFormat;
use crate::telemetry::trace::Collector;

/// Logs and traces.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetryArgs {
    /// Format of log lines.
    #[arg(
        long,
        env = "LOG_FORMAT",
        value_enum,
        default_value = "auto",
        global = true
    )]
    pub log_format: LogFormat,
    /// URL of the gRPC port of an OpenTelemetry collector (`http://127.0.0.1:4317`), for traces;
    /// needs a build with the feature `otel`.
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        value_name = "URL",
        global = true
    )]
    pub otlp_endpoint: Option<String>,
    /// Name of this service at the collector.
    #[arg(
        long,
        env = "OTEL_SERVICE_NAME",
        default_value = "fluxhls",
        global = true
    )]
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
