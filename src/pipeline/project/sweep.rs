//! The sweep: once a minute, every open job must have a task on the queue.
//!
//! It repairs what a crash between two messages, a full queue or a lost queue left behind: a job
//! without a task gets its plan task again (which, if it finds `planned`, continues with whatever
//! is missing), a canceled or decided one is ended, and one that is older than the limit for any
//! job fails. Any number of sweeps may run; compare-and-set makes each step happen once.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use metrics::{counter, gauge};
use streams::fact::{FactKind, JobError};
use streams::task::TaskName;
use streams::{Code, JobId, Unread, subject, topology};

use crate::job::Jobs;
use crate::job::broken::{end_broken_job, publish_job_as_dead_letter};
use crate::job::queue::is_queued;
use crate::job::verdict::{SettleError, fail_job, fail_uncommittable_job, settle_job};

/// How often open jobs are looked at.
const PERIOD: Duration = Duration::from_secs(60);
/// How long a job may take from `accepted`.
const DEADLINE: TimeDelta = TimeDelta::days(7);
/// Facts that open or close a job.
const BOUNDS: [FactKind; 2] = [FactKind::Accepted, FactKind::Ended];

/// Sweeps once a minute, forever.
pub async fn run(jobs: Jobs) {
    let mut open = BTreeSet::new();
    let mut seq = track_open_jobs(&jobs, 0, &mut open).await;

    loop {
        // A sweep right after the start would find jobs whose first task is just being queued by
        // others; the jitter keeps several sweeps apart.
        let pause = PERIOD.mul_f64(0.75 + rand::random::<f64>() / 2.0);
        tokio::time::sleep(pause).await;

        seq = track_open_jobs(&jobs, seq, &mut open).await;
        for job in &open {
            sweep_job(&jobs, job).await;
        }
    }
}

/// Follows the log from `seq` on, and reports how many jobs are open: also before the first sweep,
/// since what is absent looks like no process.
async fn track_open_jobs(jobs: &Jobs, seq: u64, open: &mut BTreeSet<JobId>) -> u64 {
    let reached = read_open_jobs(jobs, seq, open).await;
    gauge!("fluxhls_open_jobs").set(f64::from(u32::try_from(open.len()).unwrap_or(u32::MAX)));
    reached
}

/// Reconciles one open job, and handles what prevents it from continuing.
pub async fn sweep_job(jobs: &Jobs, job: &JobId) {
    if let Err(error) = reconcile_job(jobs, job).await {
        handle_error(jobs, job, error).await;
    }
}

/// Handles a job that cannot be reconciled: a temporary problem is left to the next sweep, a job
/// that needs a newer release is left to one, and everything else ends or is a dead letter.
async fn handle_error(jobs: &Jobs, job: &JobId, error: SettleError) {
    let kept = match error {
        SettleError::Storage(_) | SettleError::Missing { .. } => {
            tracing::warn!(job.id = %job, %error, "a decided job cannot be ended yet");
            return;
        }
        SettleError::Unread(unread @ Unread::Newer { .. }) => {
            return jobs.log.newer().note(&unread);
        }
        SettleError::Unread(unread @ Unread::Broken { .. }) => {
            end_broken_job(jobs, job, unread).await
        }
        SettleError::Refused(refused) => {
            tracing::error!(job.id = %job, %refused, "a message cannot be published");
            publish_job_as_dead_letter(jobs, job, refused)
                .await
                .map_err(SettleError::from)
        }
    };

    if let Err(error) = kept {
        tracing::error!(job.id = %job, %error, "not even a dead letter can be published");
    }
}

/// Puts one open job on its way again: its task back on the queue, or the job to its end. Returns
/// whether there was anything to do.
///
/// # Errors
/// What prevents the job from continuing.
pub async fn reconcile_job(jobs: &Jobs, job: &JobId) -> Result<bool, SettleError> {
    let Some(state) = jobs.state(job).await? else {
        return Ok(false);
    };
    if state.ended {
        return Ok(false);
    }

    let is_overdue = Utc::now() - state.accepted.time > DEADLINE;
    let error = JobError::new(
        Code::DeadlineExceeded,
        Code::DeadlineExceeded.sentence(),
        None,
    );
    if !state.is_open() {
        match settle_job(jobs, &state).await {
            // The output that it decided to commit is gone, and no one has restored it.
            Err(SettleError::Missing { .. }) if is_overdue => {
                fail_uncommittable_job(jobs, &state, error).await?
            }
            settled => settled?,
        }
        return Ok(true);
    }

    if is_overdue {
        fail_job(jobs, &state, error).await?;
        return Ok(true);
    }

    // A task on the queue reads the log when it is taken, and continues from there.
    if is_queued(jobs, job).await {
        return Ok(false);
    }

    tracing::warn!(job.id = %job, file.id = %state.file_id(), "an open job had no task on the queue; planning it again");
    counter!("fluxhls_swept_jobs_total").increment(1);
    jobs.log
        .enqueue(&state.key(TaskName::PLAN), state.traceparent.as_deref())
        .await?;
    Ok(true)
}

/// Reads the facts after `seq` that open or close jobs; returns the sequence read so far.
async fn read_open_jobs(jobs: &Jobs, seq: u64, open: &mut BTreeSet<JobId>) -> u64 {
    let mut reached = seq;
    let bounds = BOUNDS.map(subject::facts_of_kind).to_vec();
    let read = jobs.log.replay(topology::JOBS, bounds, seq, |fact| {
        reached = fact.seq;
        match subject::parse_fact(&fact.subject) {
            Some((job, FactKind::Accepted)) => drop(open.insert(job)),
            Some((job, FactKind::Ended)) => drop(open.remove(&job)),
            _ => {}
        }
    });

    if let Err(error) = read.await {
        tracing::warn!(%error, "the sweep cannot read the log to its end; continuing in a minute");
    }
    reached
}
