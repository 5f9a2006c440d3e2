//! How a job ends. The first verdict counts; everyone else carries that decision out.

use std::time::Duration;

use jetstream::Refused;
use streams::fact::{Decision, Ended, Fact, FactKind, Head, JobError, Outcome, Verdict};
use streams::{Code, JobId, Unread, subject, topology};

use super::Jobs;
use super::commit::commit_output;
use super::queue::enqueue_playlist_update;
use super::state::{Entry, JobState, entry};
use crate::crash;
use crate::job::failure::Failure;

/// How long the end of a job waits for the copy of its source to be removed.
const REMOVAL: Duration = Duration::from_secs(3);

/// What prevents a job from continuing. `step` and `intake` define what follows from each reason.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// NATS will never take a message of it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Something that was said of the job needs a newer release, or is broken.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// The storage did not do its part; trying again is safe.
    #[error(transparent)]
    Storage(#[from] storage::StorageError),
    /// What the job committed is not in the bucket any more.
    #[error(
        "job {job} decided to commit, but {what} is not in the bucket; restore it or delete the file"
    )]
    Missing {
        /// The job.
        job: JobId,
        /// The object.
        what: String,
    },
}

/// Publishes a verdict unless one exists, and returns the one that does.
///
/// # Errors
/// When the server will never take it, or the one that exists cannot be read.
pub async fn publish_verdict(
    jobs: &Jobs,
    state: &JobState,
    outcome: Decision,
    error: Option<JobError>,
) -> Result<Option<Entry<Verdict>>, SettleError> {
    let head = Head::new(state.job_id.clone(), state.file_id().clone());
    let verdict = Fact::Verdict(Verdict {
        head,
        outcome,
        error,
    });
    jobs.announce(&verdict, state.traceparent.as_deref())
        .await?;
    crash::point("verdict.published");

    // This verdict or an earlier one: the one in the log is carried out.
    let standing = jobs
        .log
        .last(
            topology::JOBS,
            &subject::fact(&state.job_id, FactKind::Verdict),
        )
        .await;
    Ok(standing.map(|recorded| entry(&recorded)).transpose()?)
}

/// Brings a job that was decided or canceled to its end: the verdict is carried out, then
/// announced. Safe to repeat.
///
/// # Errors
/// [`SettleError`]; the job stays decided, and the next one to see it tries again.
pub async fn settle_job(jobs: &Jobs, state: &JobState) -> Result<(), SettleError> {
    if state.ended {
        return Ok(());
    }

    let verdict = match (&state.verdict, &state.cancel) {
        (Some(verdict), _) => Some(verdict.clone()),
        (None, Some(_)) => publish_verdict(jobs, state, Decision::Cancel, None).await?,
        (None, None) => None,
    };
    let Some(verdict) = verdict else {
        return Ok(());
    };

    // The live playlists are sealed. A commit's playlists were, before its verdict.
    if state.playable && verdict.fact.outcome != Decision::Commit {
        enqueue_playlist_update(jobs, state).await?;
    }

    // `ended` announces a verdict that was carried out, so it comes last.
    let ended = match verdict.fact.outcome {
        Decision::Commit => commit_output(jobs, state, &verdict).await?,
        Decision::Fail => unfinished(state, &verdict, Outcome::Failed),
        Decision::Cancel => unfinished(state, &verdict, Outcome::Canceled),
    };
    publish_end(jobs, state, ended).await
}

/// Ends a job as failed that decided to commit what is not in the bucket any more
/// ([`SettleError::Missing`]).
///
/// # Errors
/// As [`settle_job`].
pub async fn fail_uncommittable_job(
    jobs: &Jobs,
    state: &JobState,
    error: JobError,
) -> Result<(), SettleError> {
    let Some(verdict) = &state.verdict else {
        return Ok(());
    };
    let failed = unfinished(state, verdict, Outcome::Failed);
    let error = Some(error);
    publish_end(jobs, state, Ended { error, ..failed }).await
}

/// Announces the end of a job whose verdict was carried out.
async fn publish_end(jobs: &Jobs, state: &JobState, ended: Ended) -> Result<(), SettleError> {
    remove_source_copy(jobs, state).await;
    crash::point("verdict.executed");
    jobs.announce(&Fact::Ended(ended), state.traceparent.as_deref())
        .await?;
    crash::point("verdict.ended");
    Ok(())
}

/// Removes the private copy of the source, before the end is announced, so that a crash in between
/// removes it again. This is done for every job: an attempt to plan may have made a copy that the
/// authoritative plan does not name. A storage that does not answer must not prevent a cancellation
/// from ending, so the removal is given up soon, and what is left is logged.
async fn remove_source_copy(jobs: &Jobs, state: &JobState) {
    let keys = [storage::source_copy(state.job_id.as_str())];
    let removed = tokio::time::timeout(REMOVAL, jobs.output.delete(&keys)).await;
    let reason = match removed {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the storage does not answer".to_owned(),
    };
    tracing::warn!(job.id = %state.job_id, key = keys[0], reason, "the copy of the source may still be there");
}

/// Fails a job, unless it is decided otherwise already, and brings it to its end.
///
/// # Errors
/// As [`settle_job`].
pub async fn fail_job(jobs: &Jobs, state: &JobState, error: JobError) -> Result<(), SettleError> {
    let verdict = publish_verdict(jobs, state, Decision::Fail, Some(error)).await?;
    settle_job(
        jobs,
        &JobState {
            verdict,
            ..state.clone()
        },
    )
    .await
}

impl From<SettleError> for Failure {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::Refused(refused) => refused.into(),
            SettleError::Unread(unread) => unread.into(),
            SettleError::Storage(_) | SettleError::Missing { .. } => {
                Self::new(Code::StorageUnavailable, error.to_string())
            }
        }
    }
}

/// Seconds from `accepted` to the verdict, both on the server's clock.
pub(super) fn elapsed_seconds(state: &JobState, verdict: &Entry<Verdict>) -> f64 {
    (verdict.time - state.accepted.time)
        .as_seconds_f64()
        .max(0.0)
}

fn unfinished(state: &JobState, verdict: &Entry<Verdict>, outcome: Outcome) -> Ended {
    let planned = state.plan().map_or(0, |plan| plan.tasks.len());
    let missing = state.pending().len();
    // 100 percent is for completed jobs alone.
    let percent = (planned.saturating_sub(missing) * 100)
        .checked_div(planned)
        .unwrap_or(0)
        .min(99);

    Ended {
        head: Head::new(state.job_id.clone(), state.file_id().clone()),
        outcome,
        manifest_url: None,
        thumbnail_url: None,
        storyboard_url: None,
        duration_seconds: None,
        elapsed_seconds: elapsed_seconds(state, verdict),
        progress: u8::try_from(percent).unwrap_or(99),
        superseded: false,
        warnings: state
            .plan()
            .map(|plan| plan.warnings.clone())
            .unwrap_or_default(),
        error: verdict
            .fact
            .error
            .clone()
            .filter(|_| outcome == Outcome::Failed),
        renditions: Vec::new(),
    }
}
