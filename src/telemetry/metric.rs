//! Every metric, in one place: its type, unit, help and, for histograms, its buckets.

use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// One line of help.
    pub help: &'static str,
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets, in seconds.
    Seconds(&'static [f64]),
}

/// A request on loopback takes a millisecond, a multipart upload over a thin line a minute.
const REQUEST: &[f64] = &[
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// A stage takes from a probe's tenth of a second to the hours of a sequential encode.
const STAGE: &[f64] = &[
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14400.0,
];

macro_rules! metrics_table {
    ($($name:literal $kind:expr, $help:literal;)*) => {
        /// Every metric the program emits.
        pub const DESCRIPTIONS: &[Metric] = &[$(Metric { name: $name, kind: $kind, help: $help }),*];
    };
}

metrics_table! {
    "fluxhls_build_info" Kind::Gauge, "Always 1; the labels tell version and roles.";
    "fluxhls_nats_connected" Kind::Gauge, "1 while the connection to NATS stands.";
    "fluxhls_nats_reconnects_total" Kind::Counter, "Connections to NATS after the first one.";
    "fluxhls_uploads_total" Kind::Counter, "Upload events taken in, by result.";
    "fluxhls_deleted_files_total" Kind::Counter, "Delete events carried out.";
    "fluxhls_attempts_total" Kind::Counter, "Starts of tasks and what became of them, by class and outcome.";
    "fluxhls_task_failures_total" Kind::Counter, "Failed attempts, by class and code.";
    "fluxhls_stage_duration_seconds" Kind::Seconds(STAGE), "Time a task's work took, by stage.";
    "fluxhls_queue_wait_seconds" Kind::Seconds(STAGE), "Time a task waited on the queue before its first start, by class.";
    "fluxhls_ffmpeg_exits_total" Kind::Counter, "Ends of ffmpeg processes, by result.";
    "fluxhls_media_seconds_total" Kind::Counter, "Whole seconds of source encoded.";
    "fluxhls_output_bytes_total" Kind::Counter, "Bytes of segments uploaded.";
    "fluxhls_source_bytes_total" Kind::Counter, "Bytes of sources read from storage.";
    "fluxhls_slots" Kind::Gauge, "Tasks this worker takes at a time, by class.";
    "fluxhls_busy_slots" Kind::Gauge, "Tasks this worker works on now, by class.";
    "fluxhls_storage_waits_total" Kind::Counter, "Tasks that were not started since the output bucket could not be used, by class.";
    "fluxhls_admission_waits_total" Kind::Counter, "Tasks that were not started since this worker had no room for them, by resource.";
    "fluxhls_reserved_bytes" Kind::Gauge, "What tasks in work have reserved, by resource.";
    "fluxhls_open_jobs" Kind::Gauge, "Jobs that were accepted and have not ended.";
    "fluxhls_swept_jobs_total" Kind::Counter, "Open jobs that had lost their place on the queue and were planned again.";
    "fluxhls_jobs" Kind::Gauge, "Rows of transcoding_jobs, by status.";
    "fluxhls_jobs_finished_total" Kind::Counter, "Jobs ended, by outcome.";
    "fluxhls_job_duration_seconds" Kind::Seconds(STAGE), "Time from accepted to ended, by outcome.";
    "fluxhls_projection_lag_messages" Kind::Gauge, "Facts not yet in the tables.";
    "fluxhls_projection_facts_total" Kind::Counter, "Facts projected into the tables, by result.";
    "fluxhls_s3_requests_total" Kind::Counter, "Requests to object storage, by operation and result.";
    "fluxhls_s3_request_duration_seconds" Kind::Seconds(REQUEST), "Time of requests to object storage, by operation.";
}

/// Installs the recorder and describes every metric. Its handle renders the scrape.
///
/// # Errors
/// When a recorder was installed before.
pub fn install(roles: &str) -> Result<PrometheusHandle, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for metric in DESCRIPTIONS {
        if let Kind::Seconds(buckets) = metric.kind {
            builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)?;
        }
    }
    let handle = builder.install_recorder()?;
    for metric in DESCRIPTIONS {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, metric.help),
            Kind::Gauge => describe_gauge!(metric.name, metric.help),
            Kind::Seconds(_) => describe_histogram!(metric.name, Unit::Seconds, metric.help),
        }
    }
    metrics_process::Collector::default().describe();
    metrics::gauge!("fluxhls_build_info", "version" => env!("CARGO_PKG_VERSION"), "roles" => roles.to_owned()).set(1.0);
    let upkeep = handle.clone();
    // Histograms collect samples until somebody asks; without a scraper only this keeps them small.
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        for metric in DESCRIPTIONS {
            assert!(metric.name.starts_with("fluxhls_"), "{}", metric.name);
            assert_eq!(
                metric.name.ends_with("_total"),
                metric.kind == Kind::Counter,
                "{}",
                metric.name
            );
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }
}
