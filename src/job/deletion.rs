//! Deleting a file: its jobs end, their outputs are removed, and a tombstone stays.
//!
//! A delete event removes what was uploaded before it, by the order of `HLS_UPLOADS`, and nothing
//! else. Intake and a deletion may be at work on one file at the same moment, on two hosts. Intake
//! writes the index entry, then `accepted`, then reads the tombstone; a deletion writes the
//! tombstone, then reads the index, then each `accepted`. All of that is decided by the streams'
//! leaders, so either intake sees the tombstone, or the deletion sees the job; where both do, each
//! step is done once by compare-and-set, or may be done twice.

use std::collections::BTreeSet;

use jetstream::{CreateOutcome, OutboundMessage, Refused};
use storage::{StorageError, revision_of};
use streams::delete::{Delete, Tombstone};
use streams::fact::{Cancel, Decision, Fact, FactKind, Head, JobError, Pruned};
use streams::work::Current;
use streams::{Code, EventOrder, FileId, JobId, OutputPrefix, Unread, subject, topology, wire};

use super::Jobs;
use super::broken::end_broken_job;
use super::commit::{SMALL_OBJECT, write_master};
use super::receipt::Receipt;
use super::state::JobState;
use super::verdict::{SettleError, fail_uncommittable_job, settle_job};
use crate::crash;

/// The delete event that ended a job; none if the job is not deleted.
///
/// # Errors
/// [`Unread`] where the tombstone cannot be read.
pub async fn find_deletion_after(
    jobs: &Jobs,
    state: &JobState,
) -> Result<Option<EventOrder>, Unread> {
    let tombstone = jobs.tombstone(state.file_id()).await?;
    let deletion = tombstone.map(|(tombstone, _)| tombstone.event);
    Ok(deletion.filter(|deletion| !state.accepted.fact.event.is_after(deletion)))
}

/// Carries out a delete event. Safe to repeat at any time, also when the file lives again.
///
/// # Errors
/// [`SettleError`]; the tombstone remains, and what is left is done by the next try.
pub async fn delete_file(
    jobs: &Jobs,
    delete: &Delete,
    event: EventOrder,
) -> Result<(), SettleError> {
    let file = &delete.file_id;
    let (tombstone, seq) = write_tombstone(jobs, file, event).await?;
    crash::point("delete.tombstone");

    // This delete event, or a later one, was carried out already.
    if tombstone.done.is_some() {
        return Ok(());
    }

    let known = find_jobs_to_delete(jobs, file, tombstone.event).await?;
    for state in &known {
        delete_job(jobs, state, tombstone.event).await?;
    }

    // The log keeps facts for 90 days. Older outputs are found only by their receipts, so each
    // prefix where they may be is listed.
    let mut places = BTreeSet::new();
    places.extend(OutputPrefix::of_file(&jobs.settings.output_root, file));
    places.extend(delete.output_prefix.clone());

    let mut deleted = known.len();
    for place in &places {
        deleted += delete_forgotten_jobs(jobs, file, place, tombstone.event).await?;
    }
    crash::point("delete.forgotten");

    let done = Tombstone {
        done: Some(deleted),
        ..tombstone
    };
    // If this loses, a later delete event advanced the tombstone, and its handler continues from
    // there.
    jobs.log.replace(topology::JOBS, tomb(&done), seq).await?;
    crash::point("delete.done");
    Ok(())
}

/// Advances the tombstone of a file to this delete event, upwards only, and returns the one in
/// force.
async fn write_tombstone(
    jobs: &Jobs,
    file: &FileId,
    event: EventOrder,
) -> Result<(Tombstone, u64), SettleError> {
    let ours = Tombstone::new(file.clone(), event);
    loop {
        let expected = match jobs.tombstone(file).await? {
            Some((standing, seq)) if !event.is_after(&standing.event) => {
                return Ok((standing, seq));
            }
            Some((_, seq)) => seq,
            None => 0,
        };

        if let CreateOutcome::Created(seq) = jobs
            .log
            .replace(topology::JOBS, tomb(&ours), expected)
            .await?
        {
            return Ok((ours, seq));
        }
    }
}

/// The jobs of a file that were uploaded up to this delete event, the one accepted last first:
/// of those, it is the first that may own the output prefix.
async fn find_jobs_to_delete(
    jobs: &Jobs,
    file: &FileId,
    deletion: EventOrder,
) -> Result<Vec<JobState>, SettleError> {
    let index = jobs
        .log
        .subjects(topology::JOBS, &subject::jobs_of_file(file))
        .await;
    let mut found = Vec::new();
    for (_, job) in index
        .keys()
        .filter_map(|subject| subject::parse_job_of_file(subject))
    {
        let state = match jobs.state(&job).await {
            // It ends as failed in any case, so that nothing of it becomes public.
            Err(unread @ Unread::Broken { .. }) => {
                end_broken_job(jobs, &job, unread).await?;
                continue;
            }
            read => read?,
        };

        // The index entry is written before `accepted`, so it may name a job that another file
        // got first.
        let goes = |state: &JobState| {
            !state.accepted.fact.event.is_after(&deletion) && state.file_id() == file
        };
        found.extend(state.filter(goes));
    }

    found.sort_by_key(|state| std::cmp::Reverse(state.accepted.seq));
    Ok(found)
}

/// Ends one job of a deleted file and removes everything it made. No worker is needed for it.
///
/// # Errors
/// [`SettleError`]; trying again is safe.
pub async fn delete_job(
    jobs: &Jobs,
    state: &JobState,
    deletion: EventOrder,
) -> Result<(), SettleError> {
    let Some(state) = end_job(jobs, state).await? else {
        return Ok(());
    };
    crash::point("delete.ended");

    let prefix = &state.accepted.fact.output_prefix;
    // Only a job that decided to commit may have become the owner of the prefix.
    if state
        .verdict
        .as_ref()
        .is_some_and(|verdict| verdict.fact.outcome == Decision::Commit)
    {
        let ours = Current {
            file_id: state.file_id().clone(),
            job_id: state.job_id.clone(),
            accepted_seq: state.accepted.seq,
            revision: 0,
            deleted: Some(deletion),
        };
        retire_owner(jobs, prefix, ours).await?;
        crash::point("delete.retired");
    }

    // By now the owner says that it is deleted: a late writer of master reads that and removes it.
    let keys = jobs.keys(prefix, &state.job_id);
    delete_folder(jobs, keys.folder()).await?;
    delete_folder(jobs, &storage::scratch(state.job_id.as_str())).await?;
    crash::point("delete.removed");
    publish_pruned(
        jobs,
        &state.job_id,
        state.file_id(),
        state.traceparent.as_deref(),
    )
    .await?;
    crash::point("delete.pruned");
    Ok(())
}

/// The job once it has ended: an open one is canceled, a decided one carried out.
async fn end_job(jobs: &Jobs, state: &JobState) -> Result<Option<JobState>, SettleError> {
    if state.ended {
        return Ok(Some(state.clone()));
    }

    if state.verdict.is_none() {
        let request = Fact::Cancel(Cancel {
            head: Head::new(state.job_id.clone(), state.file_id().clone()),
            by: Some("delete".to_owned()),
            reason: Some("The file was deleted.".to_owned()),
        });
        jobs.announce(&request, state.traceparent.as_deref())
            .await?;
    }

    let Some(state) = jobs.state(&state.job_id).await? else {
        return Ok(None);
    };

    match settle_job(jobs, &state).await {
        // Someone removed what it decided to commit. It can no longer become public, but it must
        // still end.
        Err(SettleError::Missing { what, .. }) if state.verdict.is_some() => {
            let message = format!("{what} was removed before the output became public.");
            let error = JobError::new(Code::VerificationFailed, message, None);
            fail_uncommittable_job(jobs, &state, error).await?;
        }
        settled => settled?,
    }

    Ok(jobs.state(&state.job_id).await?)
}

/// Marks the owner of a prefix as deleted, unless it belongs to another file or to a job of a later
/// upload of the file, and makes master follow the owner. `ours` is the job to delete, with its
/// delete event.
async fn retire_owner(
    jobs: &Jobs,
    prefix: &OutputPrefix,
    ours: Current,
) -> Result<(), SettleError> {
    let owner = loop {
        let (retired, expected) = match jobs.owner(prefix).await? {
            Some((owner, _)) if owner.file_id != ours.file_id => return Ok(()),
            Some((owner, _)) if is_deleted_by(&owner, &ours) => break owner,
            Some((owner, seq)) if owner.deleted.is_some() || owner.job_id == ours.job_id => {
                let deleted = ours.deleted;
                (Current { deleted, ..owner }, seq)
            }
            // A job of a later upload of the file keeps the prefix.
            Some((owner, _)) => break owner,
            None => (ours.clone(), 0),
        };

        let body = wire::encode(&retired);
        let message = OutboundMessage::json(subject::current(jobs.output.name(), prefix), body);
        if let CreateOutcome::Created(_) =
            jobs.log.replace(topology::JOBS, message, expected).await?
        {
            break retired;
        }
    };

    // Of a new life, too: an earlier try may have died right after it had removed that one's
    // master.
    match write_master(jobs, prefix, owner).await {
        Err(SettleError::Missing { job, what }) => {
            tracing::warn!(job.id = %job, what, "the output of another job of the file is damaged; see `fluxhls verify`");
            Ok(())
        }
        written => written.map(drop),
    }
}

/// Removes outputs of a file below `prefix` that the log has forgotten, by what their receipts
/// say; returns how many.
async fn delete_forgotten_jobs(
    jobs: &Jobs,
    file: &FileId,
    prefix: &OutputPrefix,
    deletion: EventOrder,
) -> Result<usize, SettleError> {
    let forgotten = find_forgotten_jobs(jobs, file, prefix).await?;
    for job in &forgotten {
        let ours = Current {
            file_id: file.clone(),
            job_id: job.clone(),
            accepted_seq: 0,
            revision: 0,
            deleted: Some(deletion),
        };
        retire_owner(jobs, prefix, ours).await?;
        delete_folder(jobs, jobs.keys(prefix, job).folder()).await?;
        publish_pruned(jobs, job, file, None).await?;
    }

    Ok(forgotten.len())
}

/// Jobs whose receipt below `prefix` names the file, and that the log does not know any more.
async fn find_forgotten_jobs(
    jobs: &Jobs,
    file: &FileId,
    prefix: &OutputPrefix,
) -> Result<BTreeSet<JobId>, SettleError> {
    let mut forgotten = BTreeSet::new();
    for meta in jobs.output.list(prefix.as_str()).await? {
        let Some(job) = job_of_receipt(prefix, &meta.key) else {
            continue;
        };

        let bytes = jobs.output.get(&meta.key, SMALL_OBJECT).await?;
        let receipt = bytes.and_then(|bytes| Receipt::decode(&bytes).ok());
        let is_theirs =
            receipt.is_some_and(|receipt| receipt.file_id == *file && receipt.job_id == job);

        // A job that is still in the log is deleted by its facts, with `delete_job`.
        let accepted = subject::fact(&job, FactKind::Accepted);
        if is_theirs && jobs.log.last(topology::JOBS, &accepted).await.is_none() {
            forgotten.insert(job);
        }
    }

    Ok(forgotten)
}

/// Removes every object whose key starts with `folder`.
async fn delete_folder(jobs: &Jobs, folder: &str) -> Result<(), StorageError> {
    let keys: Vec<String> = jobs
        .output
        .list(folder)
        .await?
        .into_iter()
        .map(|meta| meta.key)
        .collect();
    jobs.output.delete(&keys).await
}

async fn publish_pruned(
    jobs: &Jobs,
    job: &JobId,
    file: &FileId,
    traceparent: Option<&str>,
) -> Result<(), Refused> {
    let pruned = Fact::Pruned(Pruned {
        head: Head::new(job.clone(), file.clone()),
        deleted: true,
    });
    jobs.announce(&pruned, traceparent).await.map(drop)
}

/// Whether an owner is already marked as deleted, by the delete event of `ours` or a later one.
fn is_deleted_by(owner: &Current, ours: &Current) -> bool {
    match (&owner.deleted, &ours.deleted) {
        (Some(standing), Some(deletion)) => !deletion.is_after(standing),
        (_, None) => true,
        (None, Some(_)) => false,
    }
}

fn tomb(tombstone: &Tombstone) -> OutboundMessage {
    let body = wire::encode(tombstone);
    OutboundMessage::json(subject::deleted(&tombstone.file_id), body)
}

/// The job whose receipt lies under this key, right below `prefix`.
fn job_of_receipt(prefix: &OutputPrefix, key: &str) -> Option<JobId> {
    let (job, file) = key.strip_prefix(prefix.as_str())?.split_once('/')?;
    revision_of("receipt.json", file)?;
    job.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_right_below_the_prefix_names_its_job() {
        let prefix: OutputPrefix = "hls/f/".parse().unwrap();
        let of = |key| job_of_receipt(&prefix, key).map(String::from);
        assert_eq!(of("hls/f/j1/receipt.json").as_deref(), Some("j1"));
        assert_eq!(of("hls/f/j1/receipt-a1.json").as_deref(), Some("j1"));

        for other in [
            "hls/f/j1/x/receipt.json",
            "hls/f/receipt.json",
            "hls/g/j1/receipt.json",
            "hls/f/j1/commit.m3u8",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
