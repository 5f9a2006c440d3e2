//! The end of a job that cannot go by its own rules: one of its facts is broken, or the server
//! refuses what must be said of it.

use jetstream::{DeadLetterReason, Refused, StoredMessage, dead_letter};
use streams::fact::{Decision, Ended, Fact, FactKind, Head, JobError, Outcome, Verdict};
use streams::task::TaskName;
use streams::{FileId, JobId, Lane, TaskKey, Unread, dead, subject, topology};

use super::Jobs;
use super::verdict::SettleError;
use crate::job::failure::Failure;

/// Ends a job one of whose messages is broken: the message becomes a dead letter, the job fails
/// as `internal`, unless it has ended. Safe to repeat.
///
/// # Errors
/// [`SettleError`] if `unread` needs a newer release after all, or the server refuses even the dead
/// letter.
pub async fn end_broken_job(jobs: &Jobs, job: &JobId, unread: Unread) -> Result<(), SettleError> {
    let Unread::Broken { what, .. } = &unread else {
        return Err(unread.into());
    };

    let stream = if what.starts_with("hls.v1.work.") {
        topology::WORK
    } else {
        topology::JOBS
    };

    tracing::error!(job.id = %job, %unread, "a message of the job is broken; the job ends as failed");
    let failure = Failure::from(unread.clone());
    let broken = jobs.log.last(stream, what).await;
    let file_id = find_file(jobs, job).await;

    // The dead letter comes before the facts: it is all that remains if the server refuses them.
    if let Some(broken) = &broken {
        publish_dead_letter(jobs, job, file_id.as_ref(), stream, broken, &failure).await?;
    }

    // The index entry is written before `accepted`, so a job without one does not exist.
    let Some(file_id) = file_id else {
        return Ok(());
    };

    let head = Head::new(job.clone(), file_id);
    let error = Some(failure.to_error(None));
    let trace = broken
        .as_ref()
        .and_then(|broken| broken.header("traceparent"));
    let verdict = Verdict {
        head: head.clone(),
        outcome: Decision::Fail,
        error: error.clone(),
    };

    // In the order in which every job ends: the verdict, then `ended`.
    let facts = [Fact::Verdict(verdict), Fact::Ended(failed(head, error))];
    for fact in &facts {
        if let Err(refused) = jobs.announce(fact, trace).await {
            tracing::error!(job.id = %job, %refused, "the job cannot be ended; only its dead letter remains");
            break;
        }
    }

    Ok(())
}

/// Publishes what is known of a job as a dead letter like that of its plan task, once for each
/// message that it is about.
async fn publish_dead_letter(
    jobs: &Jobs,
    job: &JobId,
    file: Option<&FileId>,
    stream: &str,
    about: &StoredMessage,
    failure: &Failure,
) -> Result<(), Refused> {
    let file = file.map(|file| (dead::FILE, file.to_string()));
    let grief = DeadLetterReason {
        stream,
        seq: about.seq,
        time: about.time,
        code: failure.code,
        reason: &failure.message,
        more: file.as_slice(),
    };

    let subject = subject::dead_task(&TaskKey::new(job.clone(), TaskName::PLAN, Lane::Lo));
    let limit = jobs.log.max_payload();
    let letter = dead_letter(
        subject,
        &grief,
        about.payload.clone(),
        Some(&about.headers),
        limit,
    );
    jobs.log.publish_dead_letter(letter).await
}

/// Publishes a dead letter for a job whose end the server refuses. Safe to repeat.
///
/// # Errors
/// [`Refused`] where the server takes not even that.
pub async fn publish_job_as_dead_letter(
    jobs: &Jobs,
    job: &JobId,
    refused: Refused,
) -> Result<(), Refused> {
    let accepted = subject::fact(job, FactKind::Accepted);
    let Some(accepted) = jobs.log.last(topology::JOBS, &accepted).await else {
        return Ok(());
    };

    let file = find_file(jobs, job).await;
    let failure = Failure::from(refused);
    publish_dead_letter(
        jobs,
        job,
        file.as_ref(),
        topology::JOBS,
        &accepted,
        &failure,
    )
    .await
}

/// The file of a job by the index, which does not depend on what is in any fact.
async fn find_file(jobs: &Jobs, job: &JobId) -> Option<FileId> {
    let entries = jobs
        .log
        .subjects(topology::JOBS, &subject::files_of_job(job))
        .await;
    let mut files = entries
        .keys()
        .filter_map(|subject| subject::parse_job_of_file(subject));
    files.next().map(|(file, _)| file)
}

fn failed(head: Head, error: Option<JobError>) -> Ended {
    Ended {
        head,
        outcome: Outcome::Failed,
        manifest_url: None,
        thumbnail_url: None,
        storyboard_url: None,
        duration_seconds: None,
        // From `accepted` to the verdict; the unreadable message may be either of them.
        elapsed_seconds: 0.0,
        progress: 0,
        superseded: false,
        warnings: Vec::new(),
        error,
        renditions: Vec::new(),
    }
}
