//! The metrics of the projector's own work.

use metrics::{counter, gauge, histogram};
use streams::{Code, Fact};
use strum::VariantArray as _;

use super::batch::Applied;
use crate::telemetry::gauge_value;

/// Makes the counters of this role exist at zero, so that their first increase is seen.
pub fn register_metrics() {
    for result in ["applied", "dead"] {
        counter!("fluxhls_projection_facts_total", "result" => result).increment(0);
    }
    for code in Code::VARIANTS {
        counter!("fluxhls_jobs_failed_total", "code" => code.as_str()).increment(0);
    }
    counter!("fluxhls_swept_jobs_total").increment(0);
}

/// Counts a committed batch. A rebuild is not counted: its facts were, when they came.
pub(super) fn count_batch(applied: &Applied) {
    for (result, facts) in [
        ("applied", applied.entries.len()),
        ("dead", applied.dead.len()),
    ] {
        counter!("fluxhls_projection_facts_total", "result" => result)
            .increment(u64::try_from(facts).unwrap_or(u64::MAX));
    }

    for entry in &applied.entries {
        let Fact::Ended(ended) = &entry.fact else {
            continue;
        };
        let outcome = ended.outcome.as_str();
        histogram!("fluxhls_job_duration_seconds", "outcome" => outcome)
            .record(ended.elapsed_seconds);
        if let Some(error) = &ended.error {
            counter!("fluxhls_jobs_failed_total", "code" => error.code.as_str()).increment(1);
        }
    }
}

/// Reports the position of the projector: how many facts the tables are behind, and whether another
/// projector writes them.
pub(super) fn report_position(lag: u64, standby: bool) {
    gauge!("fluxhls_projection_lag_messages").set(gauge_value(lag));
    gauge!("fluxhls_projection_standby").set(if standby { 1.0 } else { 0.0 });
}
