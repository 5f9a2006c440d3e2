//! The percentage of running jobs, which is not part of the checkpoint: it may be lost, and it only
//! grows.
//!
//! Workers publish progress once a second per task, and the next value replaces a lost one; so this
//! subscribes to the messages and keeps no position.

use std::collections::HashMap;
use std::time::Duration;

use entity::prelude::TranscodingJobs;
use entity::transcoding_jobs::Column;
use futures::StreamExt as _;
use jetstream::Nats;
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _};
use streams::progress::Progress;
use streams::{JobId, subject};
use tokio::time::{MissedTickBehavior, interval};

use super::Database;
use super::error_text::describe_error;

/// How often the rows are written: at most once a second per job.
const PERIOD: Duration = Duration::from_secs(1);
/// Only `ended` says 100.
const MAX_PERCENT: i32 = 99;

/// Keeps `progress` of processing jobs up to date.
pub async fn follow(database: Database, nats: Nats) {
    let mut messages = match nats.client.subscribe(subject::ALL_PROGRESS).await {
        Ok(messages) => messages,
        Err(error) => {
            return tracing::error!(%error, "cannot listen to progress; percentages stay as they are");
        }
    };

    let mut latest = HashMap::new();
    let mut ticks = interval(PERIOD);
    // After a slow database the rows are written a period later, not once for each missed tick.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);

    loop {
        tokio::select! {
            message = messages.next() => match message {
                Some(message) => note(&mut latest, &message.payload),
                None => return,
            },
            _ = ticks.tick() => write(&database, &mut latest).await,
        }
    }
}

/// Keeps the furthest value of each job since the last write.
fn note(latest: &mut HashMap<JobId, i32>, body: &[u8]) {
    match serde_json::from_slice::<Progress>(body) {
        Ok(progress) => {
            let percent = percent(progress.job_progress);
            let furthest = latest.entry(progress.job_id).or_default();
            *furthest = std::cmp::max(percent, *furthest);
        }
        Err(error) => tracing::debug!(%error, "a progress message cannot be read"),
    }
}

/// Whole percent of a share, rounded down, from 0 to 99. What is no number counts as nothing.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the value was clamped to two digits"
)]
fn percent(share: f64) -> i32 {
    // A share such as 0.29 times 100 is 28.999…: a millionth of a percent makes up for binary
    // fractions.
    (share * 100.0 + 1e-6)
        .floor()
        .clamp(0.0, f64::from(MAX_PERCENT)) as i32
}

async fn write(database: &Database, latest: &mut HashMap<JobId, i32>) {
    for (job, percent) in latest.drain() {
        if let Err(error) = raise_in(database, &job, percent).await {
            tracing::warn!(job.id = %job, error = describe_error(&error), "the progress of a job was not written; the next one may be");
        }
    }
}

/// One transaction for each job: what waits for the row of one holds no other.
async fn raise_in(database: &Database, job: &JobId, percent: i32) -> Result<(), DbErr> {
    let transaction = database.write().await?;
    raise(&transaction, job, percent).await?;
    transaction.commit().await
}

/// Raises the percentage of a job that is processing; a lower one changes nothing.
pub(super) async fn raise(
    db: &impl ConnectionTrait,
    job: &JobId,
    percent: i32,
) -> Result<(), DbErr> {
    TranscodingJobs::update_many()
        .col_expr(Column::Progress, Expr::value(percent))
        .filter(Column::Id.eq(job.as_str()))
        .filter(Column::Status.eq("processing"))
        .filter(Column::Progress.is_null().or(Column::Progress.lt(percent)))
        .exec(db)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_becomes_whole_percent_below_a_hundred() {
        for (share, whole) in [
            (0.0, 0),
            (0.29, 29),
            (0.999, 99),
            (1.0, 99),
            (7.0, 99),
            (-1.0, 0),
            (f64::NAN, 0),
            (f64::INFINITY, 99),
        ] {
            assert_eq!(percent(share), whole, "{share}");
        }
    }

    #[test]
    fn the_furthest_task_speaks_for_its_job_and_garbage_for_none() {
        let mut latest = HashMap::new();
        for (task, share) in [("v0", 0.2), ("tracks", 0.5), ("v1", 0.3)] {
            let body = serde_json::json!({
                "job_id": "j", "file_id": "f", "task": task, "task_progress": 0.1, "job_progress": share,
                "speed": 1.0, "eta_seconds": 2.0
            });
            note(&mut latest, body.to_string().as_bytes());
        }

        note(&mut latest, b"{");
        assert_eq!(latest, HashMap::from([("j".parse().unwrap(), 50)]));
    }
}
