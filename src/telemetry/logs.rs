//! Log lines: for people on a terminal, JSON otherwise.
//!
//! Every line about a job has `job.id`, every change of its state `file.id` as well, and lines
//! about a task `task`. JSON lines hold besides what the work they were written in belongs to, as
//! `span`: the task, its attempt, and the trace.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use super::trace::{self, Collector, Traces};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One human line per event.
    Text,
    /// One JSON object per event.
    Json,
}

/// Starts logging to standard error, and sending traces to `collector` where there is one.
///
/// # Errors
/// When the collector's address is none.
pub fn init(
    format: LogFormat,
    filter: &str,
    collector: Option<&Collector>,
) -> anyhow::Result<Traces> {
    // A filter that cannot be parsed does not prevent the program from starting.
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));

    let is_json = match format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };

    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = if is_json {
        lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed()
    } else {
        // A person reads the ids in the line itself; before each line they would hide it.
        lines
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .with_filter(filter_fn(|metadata| !metadata.is_span()))
            .boxed()
    };

    let (spans, traces) = trace::export(collector)?;
    let started = tracing_subscriber::registry()
        .with(lines)
        .with(spans)
        .with(filter)
        .try_init();
    if let Err(error) = started {
        // A second call is a mistake of the program, not of its user; the first subscriber stays.
        tracing::debug!(%error, "logging was started before");
    }

    Ok(traces)
}
