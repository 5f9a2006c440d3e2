//! Canceling: at once, also when the job is still queued and no worker is alive.

use streams::JobId;
use streams::fact::{Cancel, Fact, Head};

use super::Jobs;
use super::verdict::{SettleError, settle_job};

/// What became of a request to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelAnswer {
    /// The job ended as canceled, or is about to.
    Canceled,
    /// How the job ends was decided before.
    TooLate,
    /// There is no such job.
    Unknown,
}

/// Cancels a job: publishes the request, then decides and announces the end itself, so that no
/// worker is needed for it.
///
/// # Errors
/// [`SettleError`]; the request remains, and the next process that sees it carries it out.
pub async fn cancel_job(
    jobs: &Jobs,
    job: &JobId,
    by: &str,
    reason: Option<String>,
) -> Result<CancelAnswer, SettleError> {
    let Some(state) = jobs.state(job).await? else {
        return Ok(CancelAnswer::Unknown);
    };
    if state.verdict.is_some() || state.ended {
        return Ok(CancelAnswer::TooLate);
    }

    let head = Head::new(job.clone(), state.file_id().clone());
    let request = Fact::Cancel(Cancel {
        head,
        by: Some(by.to_owned()),
        reason,
    });
    // Losing is success: someone asked before.
    jobs.announce(&request, state.traceparent.as_deref())
        .await?;

    // What is settled must include the `cancel` just published, and a verdict that came in
    // between.
    let Some(state) = jobs.state(job).await? else {
        return Ok(CancelAnswer::Unknown);
    };
    settle_job(jobs, &state).await?;

    // A worker may have decided the job in between; the answer follows the verdict in the log.
    let decided = jobs.state(job).await?.and_then(|state| state.verdict);
    Ok(match decided {
        Some(verdict) if verdict.fact.outcome != streams::fact::Decision::Cancel => {
            CancelAnswer::TooLate
        }
        _ => CancelAnswer::Canceled,
    })
}
