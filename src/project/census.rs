//! The metrics of the tables: what was projected, and how many jobs there are of each status.

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use sea_orm::DatabaseConnection;
use streams::Fact;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::batch::Applied;
use super::jobs;

/// How often the rows are counted.
const PERIOD: Duration = Duration::from_secs(15);
/// Every status a job can have: one that no job has any more must fall to 0, not stay.
const STATUSES: [&str; 5] = ["pending", "processing", "completed", "failed", "canceled"];

/// Counts a committed batch. A rebuild is not counted: its facts were, when they came.
pub(super) fn count(applied: &Applied) {
    for (result, facts) in [("applied", applied.entries.len()), ("dead", applied.dead.len())] {
        counter!("fluxhls_projection_facts_total", "result" => result)
            .increment(u64::try_from(facts).unwrap_or(u64::MAX));
    }
    for entry in &applied.entries {
        if let Fact::Ended(ended) = &entry.fact {
            let outcome = ended.outcome.as_str();
            counter!("fluxhls_jobs_finished_total", "outcome" => outcome).increment(1);
            histogram!("fluxhls_job_duration_seconds", "outcome" => outcome).record(ended.elapsed_seconds);
        }
    }
}

/// Says how many facts the tables are behind.
pub(super) fn lag(facts: u64) {
    gauge!("fluxhls_projection_lag_messages").set(float(facts));
}

/// Counts the jobs of each status now and then, until `stop`.
pub(super) async fn keep(db: &DatabaseConnection, stop: &CancellationToken) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        match jobs::counts(db).await {
            Ok(counts) => {
                for status in STATUSES {
                    let jobs = counts.get(status).copied().unwrap_or(0);
                    gauge!("fluxhls_jobs", "status" => status).set(float(jobs));
                }
            }
            Err(error) => tracing::debug!(%error, "jobs cannot be counted"),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and exact up to 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}
