//! With the feature `otel`: spans go to a collector by OTLP over gRPC. The other `OTEL_*` variables
//! (headers, sampler, resource attributes) are the SDK's own, as the [OpenTelemetry
//! specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/)
//! has them.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, Tracer};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt as _};
use tracing_subscriber::registry::LookupSpan;

use super::Collector;

/// Name of the header and of the field in a carrier.
const TRACEPARENT: &str = "traceparent";

/// How long a process that ends waits for its collector.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// The export of traces.
#[derive(Debug)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Sends the remaining spans; spans that end later are lost.
    pub async fn flush(self) {
        let Some(provider) = self.0 else { return };
        // It blocks until the exporter is done, which needs this runtime.
        let flush = tokio::task::spawn_blocking(move || provider.shutdown());
        match tokio::time::timeout(FLUSH_LIMIT, flush).await {
            Ok(Ok(Err(error))) => {
                tracing::warn!(%error, "the last spans did not reach the collector")
            }
            Err(_) => tracing::warn!("the collector did not take the last spans in time"),
            Ok(_) => {}
        }
    }
}

/// The layer that hands spans to the exporter.
///
/// # Errors
/// When `collector` is not the http:// URL of a collector.
pub(in crate::telemetry) fn export<S>(
    collector: Option<&Collector>,
) -> anyhow::Result<(Option<OpenTelemetryLayer<S, Tracer>>, Traces)>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let Some(collector) = collector else {
        return Ok((None, Traces(None)));
    };

    anyhow::ensure!(
        collector.endpoint.starts_with("http://"),
        "OTEL_EXPORTER_OTLP_ENDPOINT must be the http:// URL of a collector's gRPC port (http://127.0.0.1:4317); TLS is the business of a collector nearby"
    );

    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&collector.endpoint)
        .build()
        .context("OTEL_EXPORTER_OTLP_ENDPOINT cannot be used")?;
    let resource = Resource::builder()
        .with_service_name(collector.service.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build();

    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("fluxhls"));
    Ok((Some(layer), Traces(Some(provider))))
}

pub(super) fn join(span: &Span, traceparent: &str) {
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let parent = TraceContextPropagator::new().extract(&carrier);
    // It is refused if the span is filtered out, and then there is nothing to join.
    let _ = span.set_parent(parent);
}

pub(super) fn current(span: &Span) -> Option<String> {
    let context = span.context();
    if !context.span().span_context().is_valid() {
        return None;
    }
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut carrier);
    carrier.remove(TRACEPARENT)
}
