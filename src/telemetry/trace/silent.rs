//! Without the feature `otel`: `traceparent` is carried, and nothing is exported.

use tracing::Span;
use tracing_subscriber::layer::Identity;

use super::Collector;

/// The export of traces in a build without it.
#[derive(Debug)]
pub struct Traces;

impl Traces {
    /// Nothing to wait for.
    pub async fn flush(self) {}
}

/// # Errors
/// Where traces are asked for.
pub(in crate::telemetry) fn export(
    collector: Option<&Collector>,
) -> anyhow::Result<(Identity, Traces)> {
    anyhow::ensure!(
        collector.is_none(),
        "OTEL_EXPORTER_OTLP_ENDPOINT is set, but this build cannot export traces; build it with `--features otel`, or unset it"
    );
    Ok((Identity::new(), Traces))
}

pub(super) fn join(_: &Span, _: &str) {}

pub(super) fn current(_: &Span) -> Option<String> {
    None
}
