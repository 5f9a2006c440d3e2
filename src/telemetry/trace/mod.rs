//! The trace a job belongs to ([W3C Trace Context](https://www.w3.org/TR/trace-context/)): its
//! publisher's. Every message of the job carries the `traceparent` of the upload event unchanged,
//! from `accepted` to `ended`, whether spans are exported or not.
//!
//! With the feature `otel` each start of a task is a span of that trace, sent to an OpenTelemetry
//! collector. A job whose publisher sent no `traceparent` then gets a new one, from the span in
//! which it was accepted.

#[cfg(feature = "otel")]
mod otlp;
#[cfg(not(feature = "otel"))]
mod silent;

#[cfg(feature = "otel")]
use otlp as way;
#[cfg(not(feature = "otel"))]
use silent as way;

use tracing::Span;

pub use way::Traces;
pub(super) use way::export;

/// Where traces go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// The http:// URL of its gRPC port.
    pub endpoint: String,
    /// What this program is called there.
    pub service: String,
}

/// Makes `span` a part of the trace that `traceparent` names; of none where it names none.
#[must_use]
pub fn continued(span: Span, traceparent: Option<&str>) -> Span {
    if let Some(traceparent) = traceparent {
        way::join(&span, traceparent);
    }
    span
}

/// The `traceparent` of the current span, where it is exported.
#[must_use]
pub fn current() -> Option<String> {
    way::current(&Span::current())
}

/// The trace id of a `traceparent`, for log lines.
#[must_use]
pub fn id(traceparent: Option<&str>) -> Option<&str> {
    traceparent?.split('-').nth(1).filter(|id| id.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_id_is_the_second_part() {
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(
            id(Some(traceparent)),
            Some("4bf92f3577b34da6a3ce929d0e0e4736")
        );
        assert_eq!(id(Some("no trace")), None);
        assert_eq!(id(None), None);
    }
}
