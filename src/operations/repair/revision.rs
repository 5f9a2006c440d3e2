//! One repair: repeats the tasks of damaged objects, checks their output together with what is
//! kept, and writes a new receipt.

use std::collections::{BTreeMap, BTreeSet};

use jetstream::Slot;
use media::ladder::audio;
use storage::{base36, revised};
use streams::Code;
use streams::plan::Planned;
use streams::task::{Duty, TaskName};
use streams::work::{DoneOutput, ObjectRef, TaskOutput};

use super::damage::Damage;
use super::error::RepairError;
use super::find::PublicOutput;
use super::history;
use super::patch::make_patch;
use super::scan::objects;
use crate::job::classify::classify_source_error;
use crate::job::commit::SMALL_OBJECT;
use crate::job::failure::Failure;
use crate::job::receipt::{Receipt, TaskResult};
use crate::job::{Stage as _, TaskContext, TaskOutcome, WorkCounter, WorkerContext};
use crate::pipeline::encode::Encoder;
use crate::pipeline::package::{
    OutputFault, OutputObject, Publication, current_renditions, list_output_objects,
};

/// What one repair works with.
pub(super) struct Repair<'a> {
    pub(super) context: &'a WorkerContext,
    pub(super) found: &'a PublicOutput,
    /// Its number.
    pub(super) revision: u64,
    pub(super) work_counter: WorkCounter,
}

/// Whether tasks can be done again from the source.
enum SourceCheck {
    /// It is unchanged since the job was planned, or is not needed.
    Usable,
    /// It is gone, or was replaced.
    Unusable(Failure),
}

/// Damaged objects by the task that makes them, and everything else that is damaged.
type DamagedByTask = BTreeMap<TaskName, Vec<OutputObject>>;

impl Repair<'_> {
    /// Everything except the cleanup: the new receipt, and why the source could not be used, if it
    /// was needed.
    pub(super) async fn publish_revision(
        &self,
        damages: &[Damage],
    ) -> Result<(Receipt, Option<Failure>), RepairError> {
        let receipt = &self.found.receipt;
        let all = list_output_objects(&receipt.planned, &self.found.keys(), &receipt.made);
        let damaged = damages
            .iter()
            .filter_map(|damage| Some((damage, all.get(&damage.key)?)));

        let mut damaged_by_task = DamagedByTask::new();
        let mut given_up = BTreeSet::new();
        for (damage, (task, object)) in damaged {
            // A list is in the receipt as well, so no task has to be done again for it.
            if *object != OutputObject::List {
                damaged_by_task
                    .entry(*task)
                    .or_default()
                    .push(object.clone());
                given_up.insert(damage.key.clone());
            }
        }

        let folder = format!("{}storyboard-", self.found.keys().folder());
        let sheets = || {
            damages
                .iter()
                .filter(|damage| damage.key.starts_with(&folder))
        };
        if sheets().next().is_some() && self.add_tiles(&all, &mut damaged_by_task).await? {
            given_up.extend(sheets().map(|damage| damage.key.clone()));
        }

        let source = if damaged_by_task.is_empty() {
            SourceCheck::Usable
        } else {
            self.check_source().await?
        };

        let (made, source_failure) = match source {
            SourceCheck::Usable => {
                given_up.clear();
                (self.redo_tasks(&damaged_by_task).await?, None)
            }
            // All damaged objects need the source, so nothing can be repaired without it.
            SourceCheck::Unusable(failure) if given_up.len() == damages.len() => {
                return Err(RepairError::Failed(failure));
            }
            SourceCheck::Unusable(failure) => (receipt.made.clone(), Some(failure)),
        };

        let made = without_lists(made, damages);
        let receipt = self.publish(&made, damages, &given_up).await?;
        Ok((receipt, source_failure))
    }

    /// Sheets are made from tiles: if those are damaged or missing, their chunks have to be
    /// repeated. Returns whether any has.
    async fn add_tiles(
        &self,
        all: &BTreeMap<String, (TaskName, OutputObject)>,
        damaged_by_task: &mut DamagedByTask,
    ) -> Result<bool, RepairError> {
        let tiles = self
            .found
            .receipt
            .made
            .iter()
            .filter_map(|made| made.output.tiles.clone());
        let tiles: Vec<ObjectRef> = tiles
            .filter(|object| all.contains_key(&object.key))
            .collect();
        let damaged = objects(&self.context.jobs.output, &tiles).await?;

        for (task, object) in damaged.iter().filter_map(|damage| all.get(&damage.key)) {
            damaged_by_task
                .entry(*task)
                .or_default()
                .push(object.clone());
        }
        Ok(!damaged.is_empty())
    }

    /// Compares the source with its state when the job was planned.
    async fn check_source(&self) -> Result<SourceCheck, RepairError> {
        let source = &self.found.receipt.planned.source;
        let bucket = self.context.storage.bucket(&source.bucket);
        // An ETag may come with its quotes (RFC 9110, section 8.8.3) or without.
        let bare = |etag: &str| etag.trim_matches('"').to_owned();

        let found = match bucket.head(&source.key).await {
            Ok(found) => found,
            Err(error) => {
                return Err(RepairError::Failed(
                    classify_source_error(&self.context.jobs, &error).await,
                ));
            }
        };
        let Some(meta) = found else {
            let failure = Failure::from_code(Code::SourceNotFound);
            return Ok(SourceCheck::Unusable(failure));
        };

        let is_same = meta.size == source.size
            && meta
                .etag
                .is_none_or(|etag| bare(&etag) == bare(&source.etag));
        Ok(if is_same {
            SourceCheck::Usable
        } else {
            SourceCheck::Unusable(Failure::from_code(Code::SourceChanged))
        })
    }

    /// Does the tasks again that made what is damaged, and takes of each what is needed.
    async fn redo_tasks(
        &self,
        damaged_by_task: &DamagedByTask,
    ) -> Result<Vec<TaskResult>, RepairError> {
        let receipt = &self.found.receipt;
        let mut made = receipt.made.clone();
        // The copy was removed when the job ended, and tasks of this plan read nothing else.
        let copy = self
            .remake_source_copy()
            .await
            .map_err(RepairError::Failed)?;
        let plan = copy.as_ref().unwrap_or(&receipt.planned);

        for (task, damaged) in damaged_by_task {
            let fresh = self
                .run_task_expecting_changes(plan, *task)
                .await
                .map_err(RepairError::Failed)?;
            // What an earlier task replaced counts already: an init segment, for one, is shared by
            // all chunks.
            let current = current_renditions(&receipt.planned, &made);
            let output = make_patch(*task, &fresh, damaged, &current).map_err(|mismatch| {
                RepairError::Failed(Failure::from_error(Code::VerificationFailed, &mismatch))
            })?;

            made.push(TaskResult {
                task: *task,
                attempt: self.revision,
                output,
                list: None,
                repair: true,
            });
        }

        Ok(made)
    }

    /// One task as the service does it: audio that breaks off may change where no one looked, and a
    /// second try expects it. What does not have to be expected comes out as it did before, so that
    /// only what is damaged is replaced.
    async fn run_task_expecting_changes(
        &self,
        plan: &Planned,
        task: TaskName,
    ) -> Result<TaskOutput, Failure> {
        match self.run_task(plan, task).await {
            Err(failure) if task.duty == Duty::Tracks && failure.code == Code::FfmpegCrashed => {
                let mut plan = plan.clone();
                audio::expect_changes(&mut plan);
                self.run_task(&plan, task).await
            }
            encoded => encoded,
        }
    }

    /// One task, under the number of the repair.
    async fn run_task(&self, plan: &Planned, task: TaskName) -> Result<TaskOutput, Failure> {
        let jobs = &self.context.jobs;
        let encoder = Encoder {
            context: self.context.clone(),
        };

        let manifest_url = jobs.public_url(&self.found.keys().master());
        let task_context = TaskContext {
            state: history::state(self.found, plan, manifest_url),
            task,
            attempt: self.revision,
            work_counter: self.work_counter.clone(),
            slot: Slot::default(),
        };

        let lost = || {
            Failure::new(
                Code::VerificationFailed,
                "The list of what was made does not read back.",
            )
        };

        let TaskOutcome::Output(done) = encoder.work(task_context).await? else {
            return Err(lost());
        };

        match *done {
            DoneOutput::Inline(output) => Ok(*output),
            DoneOutput::Object(list) => {
                let bytes = jobs.output.get(&list.key, SMALL_OBJECT).await;
                let bytes = bytes.ok().flatten().ok_or_else(lost)?;
                serde_json::from_slice(&bytes).map_err(|_| lost())
            }
        }
    }

    /// Checks everything, writes what is derived, and reads all of it again: only then it may
    /// become public.
    async fn publish(
        &self,
        made: &[TaskResult],
        damages: &[Damage],
        given_up: &BTreeSet<String>,
    ) -> Result<Receipt, RepairError> {
        let (jobs, old) = (&self.context.jobs, &self.found.receipt);
        let is_damaged = |object: &ObjectRef| {
            !given_up.contains(&object.key) && damages.iter().any(|damage| damage.key == object.key)
        };

        let intact: Vec<ObjectRef> = old
            .objects
            .iter()
            .filter(|object| !is_damaged(object))
            .cloned()
            .collect();

        let publication = Publication {
            jobs,
            plan: &old.planned,
            prefix: &self.found.prefix,
            accepted_seq: old.accepted_seq,
            made,
            revision: self.revision,
            intact: &intact,
            given_up,
            work_counter: &self.work_counter,
        };

        let receipt = publication.publish().await.map_err(|fault| match fault {
            OutputFault::Other(failure) => RepairError::Failed(failure),
            OutputFault::Tasks(tasks) => {
                RepairError::CheckFailed(tasks.into_iter().map(|(_, reason)| reason).collect())
            }
        })?;

        let wanted = receipt
            .objects
            .iter()
            .filter(|object| !given_up.contains(&object.key));
        let wanted: Vec<ObjectRef> = wanted.cloned().collect();
        if let Some(damage) = objects(&jobs.output, &wanted).await?.into_iter().next() {
            return Err(RepairError::CheckFailed(damage.to_string()));
        }

        Ok(receipt)
    }

    /// Removes what this repair wrote and nothing refers to: other parts of tasks that were done
    /// again, or everything where it came to nothing. No one else writes keys with its number.
    pub(super) async fn tidy(&self, named: Option<&[ObjectRef]>) {
        let keys = self.found.keys();
        let own_receipt = revised(&keys.receipt(), self.revision);
        let output = &self.context.jobs.output;
        // What cannot be removed now is removed by prune, a day later at the earliest.
        let Ok(listed) = output.list(keys.folder()).await else {
            return;
        };

        let is_named = |key: &String| {
            named.is_some_and(|named| {
                *key == own_receipt || named.iter().any(|object| object.key == *key)
            })
        };
        let own = listed.into_iter().map(|meta| meta.key);
        let left: Vec<String> = own
            .filter(|key| carries(key, self.revision) && !is_named(key))
            .collect();

        if let Err(error) = output.delete(&left).await {
            tracing::warn!(%error, "what a repair wrote in vain could not be removed");
        }
    }
}

/// The lists of what tasks made are in the receipt as well; where one is damaged, that is enough.
fn without_lists(made: Vec<TaskResult>, damages: &[Damage]) -> Vec<TaskResult> {
    let is_damaged = |list: &ObjectRef| damages.iter().any(|damage| damage.key == list.key);
    made.into_iter()
        .map(|made| TaskResult {
            list: made.list.filter(|list| !is_damaged(list)),
            ..made
        })
        .collect()
}

/// Whether a key carries this attempt or revision: in base 36, at the end of the file's name.
pub(super) fn carries(key: &str, number: u64) -> bool {
    let file = key.rsplit('/').next().unwrap_or_default();
    let stem = file.split('.').next().unwrap_or_default();
    stem.rsplit_once('-')
        .is_some_and(|(_, last)| last == base36(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_told_by_the_end_of_a_name() {
        assert!(carries("hls/f/j/720p/3-10.m4s", 36) && carries("hls/f/j/receipt-10.json", 36));
        assert!(!carries("hls/f/j-10/720p/10-3.m4s", 36) && !carries("hls/f/j/commit.m3u8", 36));
    }
}
