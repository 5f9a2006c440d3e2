//! Makes a checked output public: the prefix's owner advances, then `master.m3u8` follows the
//! owner.
//!
//! Two jobs of one file may commit at the same time. Each advances the owner upwards by
//! compare-and-set, then writes the owner's bytes and reads the owner again until it does not
//! change: the last writer writes the bytes of the newest job. For a deleted file the owner says
//! so, and there is no master: a late writer reads that and removes its own.

use bytes::Bytes;
use jetstream::{CreateOutcome, OutboundMessage};
use storage::{ObjectKind, revised};
use streams::fact::{Ended, Head, JobError, Outcome, Verdict};
use streams::work::Current;
use streams::{Code, EventOrder, OutputPrefix, Unread, subject, topology, wire};

use super::Jobs;
use super::failure::Failure;
use super::receipt::{Receipt, ReceiptError};
use super::state::{Entry, JobState};
use super::verdict::{SettleError, elapsed_seconds};
use crate::crash;

/// Largest playlist or receipt that is read back, in bytes; a thousand chunks of thousands of
/// segments stay far below it.
pub const SMALL_OBJECT: u64 = 64 << 20;

/// Carries out a verdict to commit and returns what to announce.
///
/// # Errors
/// [`SettleError::Missing`] where the receipt or the bytes of the owner are not in the bucket,
/// or what the storage or the log did not do.
pub(super) async fn commit_output(
    jobs: &Jobs,
    state: &JobState,
    verdict: &Entry<Verdict>,
) -> Result<Ended, SettleError> {
    let prefix = &state.accepted.fact.output_prefix;
    let keys = jobs.keys(prefix, &state.job_id);
    let receipt = read_receipt(jobs, state, &keys.receipt()).await?;

    // The receipt is read first: if it is missing, the owner is still unchanged.
    let owner = advance_owner(jobs, state).await?;
    crash::point("commit.current");

    let mut ended = finished(jobs, state, verdict, &receipt);
    if owner.file_id != *state.file_id() {
        let message = prefix_in_use(state, &owner);
        return Ok(lost_prefix(
            ended,
            JobError::new(Code::PrefixInUse, message, None),
        ));
    }

    let owner = write_master(jobs, prefix, owner).await?;
    crash::point("commit.master");
    ended.superseded = owner.job_id != state.job_id;
    Ok(ended)
}

async fn read_receipt(jobs: &Jobs, state: &JobState, key: &str) -> Result<Receipt, SettleError> {
    let missing = || SettleError::Missing {
        job: state.job_id.clone(),
        what: key.to_owned(),
    };

    let bytes = jobs
        .output
        .get(key, SMALL_OBJECT)
        .await?
        .ok_or_else(missing)?;
    match Receipt::decode(&bytes) {
        Ok(receipt) => Ok(receipt),
        Err(ReceiptError::Unread(unread @ Unread::Newer { .. })) => Err(unread.into()),
        // A damaged receipt proves as little as a missing one.
        Err(ReceiptError::Unread(Unread::Broken { .. }) | ReceiptError::Changed) => Err(missing()),
    }
}

/// Makes this job the owner of its prefix unless a newer one, or another file, is; returns who
/// is.
async fn advance_owner(jobs: &Jobs, state: &JobState) -> Result<Current, SettleError> {
    let prefix = &state.accepted.fact.output_prefix;
    let ours = Current {
        file_id: state.file_id().clone(),
        job_id: state.job_id.clone(),
        accepted_seq: state.accepted.seq,
        revision: 0,
        deleted: None,
    };

    loop {
        let expected = match jobs.owner(prefix).await? {
            Some((owner, _)) if !gives_way(&owner, &ours, &state.accepted.fact.event) => {
                return Ok(owner);
            }
            Some((_, seq)) => seq,
            None => 0,
        };

        let body = wire::encode(&ours);
        let message = OutboundMessage::json(subject::current(jobs.output.name(), prefix), body);
        // Where another one wins, the owner is read again: it may be a newer job by now.
        if let CreateOutcome::Created(_) =
            jobs.log.replace(topology::JOBS, message, expected).await?
        {
            return Ok(ours);
        }
    }
}

/// Fails a job whose output prefix belongs to another file.
///
/// # Errors
/// [`Code::PrefixInUse`], or that the owner cannot be read.
pub async fn ensure_prefix_free(jobs: &Jobs, state: &JobState) -> Result<(), Failure> {
    match jobs.owner(&state.accepted.fact.output_prefix).await? {
        Some((owner, _)) if owner.file_id != *state.file_id() => Err(Failure::new(
            Code::PrefixInUse,
            prefix_in_use(state, &owner),
        )),
        _ => Ok(()),
    }
}

fn prefix_in_use(state: &JobState, owner: &Current) -> String {
    let prefix = &state.accepted.fact.output_prefix;
    format!(
        "The output prefix {prefix} belongs to file {}.",
        owner.file_id
    )
}

/// Writes the bytes of the owner as master, or removes master if the owner is deleted, until the
/// owner does not change during the write; returns the owner. The owner is also read before the
/// write: a process that was frozen since it read one must not bring back older bytes, however
/// briefly.
///
/// # Errors
/// What the storage did not do, or that the owner's bytes are not in the bucket.
pub async fn write_master(
    jobs: &Jobs,
    prefix: &OutputPrefix,
    mut owner: Current,
) -> Result<Current, SettleError> {
    loop {
        let bytes = match owner.deleted {
            Some(_) => None,
            None => Some(read_committed_master(jobs, prefix, &owner).await?),
        };

        if let Some((now, _)) = jobs.owner(prefix).await?
            && now != owner
        {
            owner = now;
            continue;
        }

        let master = jobs.keys(prefix, &owner.job_id).master();
        match bytes {
            Some(bytes) => drop(jobs.output.put(&master, bytes, ObjectKind::Master).await?),
            None => jobs.output.delete(&[master]).await?,
        }

        // The owner may have changed during the write; then its bytes go over these.
        match jobs.owner(prefix).await? {
            Some((now, _)) if now != owner => owner = now,
            _ => return Ok(owner),
        }
    }
}

/// The bytes an owner wants as master.
async fn read_committed_master(
    jobs: &Jobs,
    prefix: &OutputPrefix,
    owner: &Current,
) -> Result<Bytes, SettleError> {
    let key = revised(&jobs.keys(prefix, &owner.job_id).commit(), owner.revision);
    let bytes = jobs.output.get(&key, SMALL_OBJECT).await?;
    bytes.ok_or_else(|| SettleError::Missing {
        job: owner.job_id.clone(),
        what: key,
    })
}

/// Whether a job of an upload event may replace an owner: a newer job of its file may, and after
/// the file was deleted only a job of a later upload, in whatever order the jobs were accepted.
fn gives_way(owner: &Current, ours: &Current, event: &EventOrder) -> bool {
    owner.file_id == ours.file_id
        && match owner.deleted {
            Some(deleted) => event.is_after(&deleted),
            None => owner.accepted_seq < ours.accepted_seq,
        }
}

fn finished(jobs: &Jobs, state: &JobState, verdict: &Entry<Verdict>, receipt: &Receipt) -> Ended {
    Ended {
        head: Head::new(state.job_id.clone(), state.file_id().clone()),
        outcome: Outcome::Completed,
        manifest_url: Some(state.accepted.fact.manifest_url.clone()),
        thumbnail_url: receipt.poster.as_deref().map(|key| jobs.public_url(key)),
        storyboard_url: receipt
            .storyboard
            .as_deref()
            .map(|key| jobs.public_url(key)),
        duration_seconds: Some(receipt.duration_seconds),
        elapsed_seconds: elapsed_seconds(state, verdict),
        progress: 100,
        superseded: false,
        warnings: receipt.warnings.clone(),
        error: None,
        renditions: receipt.renditions.clone(),
    }
}

/// Another file took the prefix between the check and the verdict: nothing became public.
fn lost_prefix(ended: Ended, error: JobError) -> Ended {
    Ended {
        outcome: Outcome::Failed,
        manifest_url: None,
        thumbnail_url: None,
        storyboard_url: None,
        duration_seconds: None,
        progress: 99,
        error: Some(error),
        renditions: Vec::new(),
        ..ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: u64) -> EventOrder {
        EventOrder::new(seq, chrono::DateTime::UNIX_EPOCH)
    }

    fn owner(file: &str, accepted_seq: u64, deleted: Option<u64>) -> Current {
        Current {
            file_id: file.parse().unwrap(),
            job_id: "j".parse().unwrap(),
            accepted_seq,
            revision: 0,
            deleted: deleted.map(event),
        }
    }

    #[test]
    fn an_owner_gives_way_to_a_newer_job_and_once_deleted_to_a_later_upload_alone() {
        let gives = |owner: &Current, accepted_seq, upload_seq| {
            gives_way(
                owner,
                &self::owner("f", accepted_seq, None),
                &event(upload_seq),
            )
        };

        let alive = owner("f", 5, None);
        assert!(gives(&alive, 6, 1) && !gives(&alive, 5, 9) && !gives(&alive, 4, 9));

        let deleted = owner("f", 5, Some(20));
        assert!(
            !gives(&deleted, 6, 19) && !gives(&deleted, 6, 20),
            "a late commit of the old life"
        );
        assert!(
            gives(&deleted, 4, 21),
            "the new life, though accepted earlier"
        );
        assert!(
            !gives(&owner("g", 1, None), 6, 1) && !gives(&owner("g", 1, Some(2)), 6, 9),
            "another file"
        );
    }
}
