//! The fold of facts into changes: pure, and the same whatever the facts are cut into.
//!
//! Two rules ensure this. A job is over when it has ended: later facts, from a worker that had not
//! read the end, change nothing, and nothing has an effect after `pruned`. And a file follows the
//! job that was accepted last: once a newer one is accepted, facts of an older one do not affect
//! it.
//!
//! A live projector handles a deleted file job by job, as each `pruned` arrives, and leaves the row
//! of the file as it is: an API may own it. A rebuild knows all tombstones beforehand: it does not
//! create the row of a file for jobs that were deleted, and it does not write their facts into an
//! existing one.

use std::collections::{BTreeMap, BTreeSet};

use entity::{files, transcoding_jobs};
use streams::fact::{Accepted, Ended, Outcome, Planned};
use streams::{EventOrder, Fact, FileId, JobId};

use super::change::{Changes, FilePatch, JobPatch, Pruned};
use super::entry::Entry;

const PENDING: &str = "pending";
const PROCESSING: &str = "processing";

/// Facts folded so far. Its size grows with the jobs in it, not with their facts.
#[derive(Debug, Default)]
pub(super) struct Fold {
    jobs: BTreeMap<JobId, JobFold>,
    files: BTreeMap<FileId, FileFold>,
    tombstones: BTreeMap<FileId, EventOrder>,
    deleted: BTreeSet<JobId>,
    /// What deleted jobs had to say to their files: a row that is there has seen it, and its guards
    /// show it.
    deleted_files: BTreeMap<FileId, FileFold>,
}

impl Fold {
    /// The changes of a run of facts.
    ///
    /// Jobs in `deleted` are known to have been deleted later: of those only the end of their rows
    /// counts.
    pub(super) fn of<'a>(
        entries: impl IntoIterator<Item = &'a Entry>,
        deleted: &BTreeSet<JobId>,
    ) -> Changes {
        let mut fold = Self::default();
        for entry in entries {
            if matches!(entry.fact, Fact::Pruned(_)) || !deleted.contains(&entry.fact.head().job_id)
            {
                fold.push(entry);
            }
        }
        fold.into_changes()
    }

    /// A fold of the whole log that knows the delete event of each deleted file.
    pub(super) fn over(tombstones: BTreeMap<FileId, EventOrder>) -> Self {
        Self {
            tombstones,
            ..Self::default()
        }
    }

    /// The jobs so far that the tombstones cover.
    pub(super) const fn deleted(&self) -> &BTreeSet<JobId> {
        &self.deleted
    }

    /// Folds the next fact of the log.
    pub(super) fn push(&mut self, entry: &Entry) {
        let head = entry.fact.head();
        if let Fact::Accepted(accepted) = &entry.fact
            && self
                .tombstones
                .get(&head.file_id)
                .is_some_and(|deletion| !accepted.event.is_after(deletion))
        {
            self.deleted.insert(head.job_id.clone());
        }

        let job = self.jobs.entry(head.job_id.clone()).or_default();
        if job.counts(&entry.fact) {
            job.push(entry);
            let is_deleted = self.deleted.contains(&head.job_id);
            let files = if is_deleted {
                &mut self.deleted_files
            } else {
                &mut self.files
            };
            files.entry(head.file_id.clone()).or_default().push(entry);
        }
    }

    /// What all of it changes.
    pub(super) fn into_changes(self) -> Changes {
        let mut changes = Changes::default();

        // If no other job of the file is left, only the guards of its row change.
        for (id, deleted) in self.deleted_files {
            if !self.files.contains_key(&id) {
                changes
                    .file_patches
                    .extend(deleted.patches.into_iter().map(FilePatch::guards_only));
            }
        }

        for file in self.files.into_values() {
            changes.new_files.extend(file.new);
            changes.file_patches.extend(file.patches);
        }

        for (id, job) in self.jobs {
            match (job.pruned, job.accepted) {
                (Some(seq), _) => changes.pruned.push(Pruned { id: id.into(), seq }),
                // No row is made for a deleted job whose `pruned` is still to come.
                (None, _) if self.deleted.contains(&id) => {}
                (None, Some(row)) => changes.jobs.push(job.patch.applied_to(row)),
                (None, None) if job.patch.seq > 0 => changes.job_patches.push(job.patch),
                (None, None) => {}
            }
        }

        changes
    }
}

#[derive(Debug, Default)]
struct JobFold {
    /// The row as `accepted` creates it, if that fact is in the run.
    accepted: Option<transcoding_jobs::Model>,
    patch: JobPatch,
    /// Sequence of `pruned`.
    pruned: Option<i64>,
}

impl JobFold {
    /// Whether a fact still changes anything.
    fn counts(&self, fact: &Fact) -> bool {
        match fact {
            // It only ends, and what an API made for it ends with it.
            Fact::Accepted(accepted) => !accepted.deleted,
            Fact::Pruned(_) => self.pruned.is_none(),
            Fact::Planned(_) | Fact::Playable(_) | Fact::Ended(_) => {
                self.pruned.is_none() && self.patch.completed_at.is_none()
            }
            Fact::Cancel(_) | Fact::Verdict(_) => false,
        }
    }

    fn push(&mut self, entry: &Entry) {
        let patch = &mut self.patch;
        patch.id = entry.fact.head().job_id.to_string();
        patch.seq = entry.seq;

        match &entry.fact {
            Fact::Accepted(accepted) => {
                *self = Self {
                    accepted: Some(job_row(accepted, entry)),
                    ..Self::default()
                };
            }
            Fact::Planned(_) => {
                patch.status = Some(PROCESSING);
                patch.started_at = Some(entry.at);
            }
            Fact::Playable(playable) => {
                patch.manifest_url = Some(Some(playable.manifest_url.clone()))
            }
            Fact::Ended(ended) => {
                patch.status = Some(ended.outcome.as_str());
                patch.completed_at = Some(entry.at);
                patch.progress = Some(final_progress(ended));
                patch.manifest_url =
                    Some(ended.manifest_url.clone().filter(|_| is_completed(ended)));
                patch.error_message = Some(error_message(ended));
            }
            Fact::Pruned(_) => self.pruned = Some(entry.seq),
            Fact::Cancel(_) | Fact::Verdict(_) => {}
        }
    }
}

#[derive(Debug, Default)]
struct FileFold {
    /// The row as the first `accepted` of the run creates it, if there is none.
    new: Option<files::Model>,
    /// The job accepted last within the run, and the sequence of that.
    newest: Option<(JobId, i64)>,
    patches: Vec<FilePatch>,
}

impl FileFold {
    fn push(&mut self, entry: &Entry) {
        match &entry.fact {
            Fact::Accepted(accepted) => {
                self.new.get_or_insert_with(|| file_row(accepted, entry));
                self.newest = Some((accepted.head.job_id.clone(), entry.seq));
                self.patch(entry);
            }
            Fact::Planned(planned) => {
                if let Some(patch) = self.patch(entry) {
                    patch.status = Some(PROCESSING);
                    patch.probed.get_or_insert_with(|| probed(planned));
                }
            }
            Fact::Ended(ended) => {
                if let Some(patch) = self.patch(entry) {
                    patch.status = Some(ended.outcome.as_str());
                    patch.ended = true;
                    if is_completed(ended) {
                        // The URLs of a file are replaced, never cleared.
                        patch.thumbnail_url =
                            ended.thumbnail_url.clone().or(patch.thumbnail_url.take());
                        let manifest_url = ended.manifest_url.clone().filter(|_| !ended.superseded);
                        patch.hls_manifest_url = manifest_url.or(patch.hls_manifest_url.take());
                    }
                }
            }
            Fact::Playable(_) | Fact::Pruned(_) | Fact::Cancel(_) | Fact::Verdict(_) => {}
        }
    }

    /// The patch that a fact goes into: the last one, if it is about the same job, else a new one.
    /// None for a fact of a job that is no longer the newest.
    fn patch(&mut self, entry: &Entry) -> Option<&mut FilePatch> {
        let head = entry.fact.head();
        if self
            .newest
            .as_ref()
            .is_some_and(|(newest, _)| *newest != head.job_id)
        {
            return None;
        }

        let goes_on = self
            .patches
            .last()
            .is_some_and(|last| last.job_id == head.job_id.as_str());
        if !goes_on || matches!(entry.fact, Fact::Accepted(_)) {
            self.patches.push(FilePatch {
                file_id: head.file_id.to_string(),
                job_id: head.job_id.to_string(),
                accepted_seq: None,
                seq: entry.seq,
                at: entry.at,
                status: Some(PENDING),
                ended: false,
                probed: None,
                hls_manifest_url: None,
                thumbnail_url: None,
            });
        }

        let patch = self.patches.last_mut()?;
        patch.accepted_seq = self.newest.as_ref().map(|(_, seq)| *seq);
        patch.seq = entry.seq;
        // Times may contradict sequences if the clock of the server was set back.
        patch.at = patch.at.max(entry.at);
        Some(patch)
    }
}

fn job_row(accepted: &Accepted, entry: &Entry) -> transcoding_jobs::Model {
    transcoding_jobs::Model {
        id: accepted.head.job_id.to_string(),
        file_id: accepted.head.file_id.to_string(),
        status: Some(PENDING.to_owned()),
        input_url: accepted.upload.file_url.clone(),
        output_prefix: Some(accepted.output_prefix.to_string()),
        manifest_url: None,
        progress: Some(0),
        error_message: None,
        created_at: Some(entry.at),
        started_at: None,
        completed_at: None,
        settings: serde_json::to_value(&accepted.upload.settings).ok(),
        accepted_seq: Some(entry.seq),
        fact_seq: Some(entry.seq),
    }
}

fn file_row(accepted: &Accepted, entry: &Entry) -> files::Model {
    let upload = accepted.upload.clone();
    files::Model {
        id: upload.file_id.into(),
        name: upload.name,
        mime_type: upload.mime_type,
        size: column_size(upload.size),
        file_url: upload.file_url,
        thumbnail_url: None,
        uploaded_by: upload.uploaded_by,
        project_id: upload.project_id,
        folder_path: Some(upload.folder_path),
        hls_manifest_url: None,
        transcoding_status: Some(PENDING.to_owned()),
        metadata: Some(upload.metadata),
        created_at: Some(entry.at),
        updated_at: Some(entry.at),
        deleted_at: None,
        accepted_seq: Some(entry.seq),
        fact_seq: Some(entry.seq),
    }
}

fn probed(planned: &Planned) -> (i64, String) {
    (
        column_size(planned.source.size),
        planned.source.mime_type.clone(),
    )
}

/// No object store keeps objects that a BIGINT could not count.
fn column_size(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn is_completed(ended: &Ended) -> bool {
    ended.outcome == Outcome::Completed
}

fn final_progress(ended: &Ended) -> i32 {
    if is_completed(ended) {
        100
    } else {
        i32::from(ended.progress).min(100)
    }
}

/// `<code>: <message>` of a failed job.
fn error_message(ended: &Ended) -> Option<String> {
    let error = ended
        .error
        .as_ref()
        .filter(|_| ended.outcome == Outcome::Failed)?;
    Some(format!("{}: {}", error.code, error.message))
}
