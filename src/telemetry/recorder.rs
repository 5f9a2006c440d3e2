//! The recorder that everything is counted by, and the scrape it renders.

use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::catalogue::{CATALOGUE, Kind};

/// Installs the recorder and describes every metric. Its handle renders the scrape.
///
/// # Errors
/// When a recorder was installed before.
pub fn install(roles: &str) -> Result<PrometheusHandle, BuildError> {
    let mut builder = PrometheusBuilder::new();
    // Buckets can be set only before the recorder is installed.
    for metric in CATALOGUE {
        if let Kind::Seconds(buckets) = metric.kind {
            builder =
                builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)?;
        }
    }

    let handle = builder.install_recorder()?;
    describe_metrics();
    metrics_process::Collector::default().describe();
    metrics::gauge!("fluxhls_build_info", "version" => env!("CARGO_PKG_VERSION"), "roles" => roles.to_owned()).set(1.0);
    // A metric that was never set is absent from a scrape.
    metrics::gauge!("fluxhls_draining").set(0.0);

    let upkeep = handle.clone();
    // Histograms collect samples until someone asks; without a scraper only this keeps them small.
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            upkeep.run_upkeep();
        }
    });

    Ok(handle)
}

/// Describes every metric to the current recorder, which shows the help of those that have a
/// series.
pub fn describe_metrics() {
    for metric in CATALOGUE {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, metric.help),
            Kind::Gauge => describe_gauge!(metric.name, metric.help),
            Kind::Seconds(_) => describe_histogram!(metric.name, Unit::Seconds, metric.help),
        }
    }
}

/// A count as a gauge holds it.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float, and exact up to 2^53"
)]
#[must_use]
pub const fn gauge_value(count: u64) -> f64 {
    count as f64
}
