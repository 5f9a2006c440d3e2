//! The metrics of the whole installation: what the tables hold, and what the streams hold.
//!
//! Every process with the role `project` collects them. What the projector does itself is counted
//! where it does it.

mod open_jobs;
mod stream_metrics;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use jetstream::Nats;
use metrics::{counter, gauge};
use migration::Schema;
use sea_orm::DbErr;
use streams::fact::Outcome;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use self::stream_metrics::StreamMetrics;
use crate::pipeline::project::error_text::describe_error;
use crate::pipeline::project::jobs::{self, Job, Stats};
use crate::pipeline::project::{Database, JobCounters, read_job_counters};
use crate::telemetry::gauge_value;

/// How long tables and streams may take to answer.
const LIMIT: Duration = Duration::from_secs(3);
/// How often tables and streams are asked.
const PERIOD: Duration = Duration::from_secs(15);
/// Every status a job can have: one that no job has any more must fall to 0, not stay.
const STATUSES: [&str; 5] = ["pending", "processing", "completed", "failed", "canceled"];
/// The statuses of jobs that have not ended.
const OPEN: [&str; 2] = ["pending", "processing"];

/// Asks tables and streams, and publishes what they answer as metrics.
#[derive(Debug)]
pub struct MetricsCollector {
    /// The tables.
    pub database: Database,
    /// The streams.
    pub nats: Nats,
    /// Most open jobs that are reported one by one.
    pub per_job: u64,
    /// The series of each open job, as the text of a scrape.
    pub open: watch::Sender<String>,
    /// How the database is.
    pub health: watch::Sender<DatabaseHealth>,
}

/// How the database is, in sentences.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseHealth {
    /// What prevents this process from writing the tables.
    pub problem: Option<String>,
    /// What an operator should know though it can.
    pub notice: Option<String>,
}

impl MetricsCollector {
    /// Collects every fifteen seconds.
    pub async fn run(self) {
        let mut ticks = interval(PERIOD);
        // After a slow answer the next question comes a period later, not at once.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut streams = StreamMetrics::default();

        loop {
            ticks.tick().await;
            let (answered, ()) =
                tokio::join!(timeout(LIMIT, self.ask()), streams.collect(&self.nats));
            let answer = match answered {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(Unusable::Refused(error))) => Err(format!(
                    "the tables cannot be used: {}",
                    describe_error(&error)
                )),
                Ok(Err(Unusable::Schema(schema))) => Err(schema.to_string()),
                Err(_) => Err(format!(
                    "the database did not answer within {} seconds; check DATABASE_URL and that the database runs",
                    LIMIT.as_secs()
                )),
            };

            gauge!("fluxhls_database_up").set(if answer.is_ok() { 1.0 } else { 0.0 });
            self.health.send_replace(health(&answer));
            self.publish(answer.ok());
        }
    }

    /// Asks the tables.
    async fn ask(&self) -> Result<Answer, Unusable> {
        let schema = self.database.schema().await?;
        if !schema.may_run() {
            return Err(Unusable::Schema(schema));
        }
        // In other databases the check would wait for a writer, and the writes of the projector
        // show the same.
        if self.database.has_many_writers() {
            self.database.check_write().await?;
        }

        let now = Utc::now();
        let db = &self.database.read().await?;
        let oldest = |time: Option<DateTime<Utc>>| {
            time.map_or(0.0, |time| (now - time).as_seconds_f64().max(0.0))
        };
        Ok(Answer {
            schema,
            counts: jobs::counts(db).await?,
            stats: jobs::stats(db, now).await?,
            oldest_open: oldest(jobs::oldest(db, &OPEN).await?),
            oldest_pending: oldest(jobs::oldest(db, &OPEN[..1]).await?),
            counters: read_job_counters(db).await?,
            open: match self.per_job {
                0 => Vec::new(),
                limit => jobs::active(db, Some(limit)).await?,
            },
        })
    }

    /// Publishes the answer; without one, that nothing is known.
    fn publish(&self, answer: Option<Answer>) {
        let known = answer.as_ref();
        let count = |counts: &BTreeMap<String, u64>, status| {
            gauge_value(counts.get(status).copied().unwrap_or(0))
        };

        // What is not known is NaN: the last value would look like a current one.
        for status in STATUSES {
            let rows = known.map_or(f64::NAN, |answer| count(&answer.counts, status));
            gauge!("fluxhls_jobs", "status" => status).set(rows);
            let recent = known.map_or(f64::NAN, |answer| count(&answer.stats.jobs, status));
            gauge!("fluxhls_recent_jobs", "window" => "7d", "status" => status).set(recent);
        }

        let mean = known
            .and_then(|answer| answer.stats.mean_seconds)
            .unwrap_or(f64::NAN);
        gauge!("fluxhls_recent_job_duration_average_seconds", "window" => "7d").set(mean);
        gauge!("fluxhls_oldest_open_job_age_seconds")
            .set(known.map_or(f64::NAN, |answer| answer.oldest_open));
        gauge!("fluxhls_oldest_pending_job_age_seconds")
            .set(known.map_or(f64::NAN, |answer| answer.oldest_pending));

        // A counter has no value for unknown, so it keeps its last one.
        if let Some(answer) = known {
            publish_totals(answer.counters);
        }

        self.open
            .send_replace(open_jobs::render(known.map_or(&[], |answer| &answer.open)));
    }
}

/// Why the tables are of no use to this process.
enum Unusable {
    Refused(DbErr),
    Schema(Schema),
}

impl From<DbErr> for Unusable {
    fn from(error: DbErr) -> Self {
        Self::Refused(error)
    }
}

fn health(answer: &Result<Answer, String>) -> DatabaseHealth {
    match answer {
        Ok(answer) => DatabaseHealth {
            problem: None,
            notice: matches!(answer.schema, Schema::Newer(_)).then(|| answer.schema.to_string()),
        },
        Err(reason) => DatabaseHealth {
            problem: Some(reason.clone()),
            notice: None,
        },
    }
}

/// What the tables answered.
struct Answer {
    schema: Schema,
    counts: BTreeMap<String, u64>,
    stats: Stats,
    oldest_open: f64,
    oldest_pending: f64,
    /// Nothing was counted before the first fact; reporting zero makes the first increase visible.
    counters: JobCounters,
    open: Vec<Job>,
}

/// The counts of the database. A counter of this process never decreases, whatever it is set to.
fn publish_totals(counters: JobCounters) {
    let count = |jobs: i64| u64::try_from(jobs).unwrap_or(0);
    counter!("fluxhls_jobs_accepted_total").absolute(count(counters.accepted));
    for (outcome, jobs) in [
        (Outcome::Completed, counters.completed),
        (Outcome::Failed, counters.failed),
        (Outcome::Canceled, counters.canceled),
    ] {
        counter!("fluxhls_jobs_finished_total", "outcome" => outcome.as_str())
            .absolute(count(jobs));
    }
}
