//! The bucket, listed once: objects are looked at folder by folder, and those that go are removed
//! folder by folder.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use storage::{ObjectMeta, SCRATCH_PREFIX, StorageError, revised, revision_of};
use streams::work::Current;
use streams::{JobId, OutputPrefix};

use super::log_index::{Job, LogIndex, ObjectOwner, OutputStatus};
use super::orphans::{OrphanCriteria, REPAIR_GRACE, ReceiptReferences};
use super::pruner::{PruneError, Pruner, Removed};
use super::public::find_reachable;
use crate::job::commit::{SMALL_OBJECT, write_master};
use crate::job::receipt::Receipt;
use crate::job::verdict::SettleError;

/// When the job ended that a private object is of.
enum JobEnd {
    /// The log knows no such job.
    Unknown,
    /// It has not ended.
    Open,
    /// It ended at this time.
    Ended(DateTime<Utc>),
}

/// What a prefix shows to the public.
struct PublishedPrefix {
    prefix: OutputPrefix,
    owner: Option<Current>,
    public: BTreeSet<String>,
}

/// One listing of the bucket.
pub(super) struct BucketScan<'a> {
    pruner: &'a Pruner,
    log_index: &'a LogIndex,
    now: DateTime<Utc>,
    /// Of the prefix read last: its jobs are adjacent in the listing.
    shown: Option<Arc<PublishedPrefix>>,
    pub(super) removed: Removed,
}

impl<'a> BucketScan<'a> {
    pub(super) fn new(pruner: &'a Pruner, log_index: &'a LogIndex, now: DateTime<Utc>) -> Self {
        Self {
            pruner,
            log_index,
            now,
            shown: None,
            removed: Removed::default(),
        }
    }

    /// Looks at everything below the root of all outputs.
    pub(super) async fn scan_outputs(&mut self) -> Result<(), PruneError> {
        let jobs = &self.pruner.jobs;
        let mut pages = pin!(jobs.output.pages(&jobs.settings.output_root));
        let mut folder: Option<(&JobId, Vec<ObjectMeta>)> = None;

        while let Some(page) = pages.try_next().await? {
            for object in page {
                // Keys are listed in order, but a page may end within a folder, so objects are
                // collected until those of another job follow.
                match (self.log_index.owner_of(&object.key), &mut folder) {
                    (ObjectOwner::Job(job), Some((current, objects))) if job == *current => {
                        objects.push(object)
                    }
                    (ObjectOwner::Job(job), _) => {
                        let done = folder.replace((job, vec![object]));
                        self.remove_orphans_of(done).await?;
                    }
                    (ObjectOwner::Master(prefix), _) => self.handle_master(prefix, object).await?,
                    (ObjectOwner::Unknown, _) => self.handle_unknown(object).await?,
                }
            }
        }

        self.remove_orphans_of(folder).await
    }

    /// Looks at private objects, which are for the life of their jobs only.
    pub(super) async fn scan_scratch(&mut self) -> Result<(), PruneError> {
        let mut pages = pin!(self.pruner.jobs.output.pages(SCRATCH_PREFIX));
        while let Some(page) = pages.try_next().await? {
            let mut going = Vec::new();
            for object in page {
                let name = object.key[SCRATCH_PREFIX.len()..]
                    .split('/')
                    .next()
                    .unwrap_or_default();
                // A repair's copy has a number behind the id of the job, and the repair may still
                // be at work.
                let (end, grace) = match (self.end_of(name), name.rsplit_once('-')) {
                    (JobEnd::Unknown, Some((job, _))) => {
                        (self.end_of(job), self.pruner.grace.max(REPAIR_GRACE))
                    }
                    (end, _) => (end, self.pruner.grace),
                };

                let is_old = |at: DateTime<Utc>| self.now - at >= grace;
                match end {
                    // Both have to be old: a repair writes long after its job has ended.
                    JobEnd::Ended(at) if is_old(at) && object.modified.is_some_and(is_old) => {
                        going.push(object)
                    }
                    JobEnd::Ended(_) | JobEnd::Open => {}
                    JobEnd::Unknown => self.count_unknown(&object),
                }
            }

            self.remove(going).await?;
        }
        Ok(())
    }

    /// When the job of that name ended.
    fn end_of(&self, name: &str) -> JobEnd {
        let id = name.parse::<JobId>().ok();
        let Some(job) = id.and_then(|id| self.log_index.jobs.get(&id)) else {
            return JobEnd::Unknown;
        };
        LogIndex::ended(job).map_or(JobEnd::Open, JobEnd::Ended)
    }

    /// Removes the unneeded objects of the folder of a job, or of a part of it.
    async fn remove_orphans_of(
        &mut self,
        folder: Option<(&JobId, Vec<ObjectMeta>)>,
    ) -> Result<(), PruneError> {
        let Some((id, objects)) = folder else {
            return Ok(());
        };
        let Some(job) = self.log_index.jobs.get(id) else {
            return Ok(());
        };
        let status = self
            .log_index
            .status(self.pruner.jobs.output.name(), id, job);
        if status == OutputStatus::Open {
            return Ok(());
        }

        let keys = self.pruner.jobs.keys(&job.prefix, id);
        let shown = self.read_published(&job.prefix).await?;
        let receipt = match status {
            OutputStatus::Public => self.newest_receipt(id, job, shown.owner.as_ref()).await?,
            _ => None,
        };
        // Without its receipt nothing of a public job is removed; `fluxhls verify` can restore one.
        if status == OutputStatus::Public && receipt.is_none() {
            self.removed.unread.push(id.to_string());
        }

        let criteria = OrphanCriteria {
            status,
            public: &shown.public,
            needed: receipt.as_ref().map(ReceiptReferences::by),
            now: self.now,
            grace: self.pruner.grace,
        };

        let going = objects
            .into_iter()
            .filter(|object| criteria.is_orphan(&keys, object))
            .collect();
        self.remove(going).await
    }

    /// What is public under a prefix, by the bytes of its master, whatever the log has. Nothing of
    /// a deleted file is public.
    async fn read_published(
        &mut self,
        prefix: &OutputPrefix,
    ) -> Result<Arc<PublishedPrefix>, PruneError> {
        if let Some(shown) = self.shown.as_ref().filter(|shown| shown.prefix == *prefix) {
            return Ok(Arc::clone(shown));
        }

        let jobs = &self.pruner.jobs;
        let owner = jobs.owner(prefix).await.map_err(SettleError::from)?;
        let owner = owner.map(|(owner, _)| owner);
        let public = match &owner {
            Some(owner) if owner.deleted.is_some() => BTreeSet::new(),
            _ => find_reachable(&jobs.output, &format!("{prefix}master.m3u8")).await?,
        };

        let shown = Arc::new(PublishedPrefix {
            prefix: prefix.clone(),
            owner,
            public,
        });
        self.shown = Some(Arc::clone(&shown));
        Ok(shown)
    }

    /// The receipt of the public output: the one that the owner names, else the newest one.
    async fn newest_receipt(
        &self,
        id: &JobId,
        job: &Job,
        owner: Option<&Current>,
    ) -> Result<Option<Receipt>, StorageError> {
        let (jobs, keys) = (&self.pruner.jobs, self.pruner.jobs.keys(&job.prefix, id));

        let revision = match owner.filter(|owner| owner.job_id == *id) {
            Some(owner) => Some(owner.revision),
            None => {
                let listed = jobs
                    .output
                    .list(&format!("{}receipt", keys.folder()))
                    .await?;
                listed
                    .iter()
                    .filter_map(|meta| revision_of(&keys.receipt(), &meta.key))
                    .max()
            }
        };

        let Some(revision) = revision else {
            return Ok(None);
        };
        let bytes = jobs
            .output
            .get(&revised(&keys.receipt(), revision), SMALL_OBJECT)
            .await?;
        Ok(bytes.and_then(|bytes| Receipt::decode(&bytes).ok()))
    }

    /// The master of a deleted file is what a late worker wrote; it is removed the way masters are
    /// written, so that a new one is not hit.
    async fn handle_master(
        &mut self,
        prefix: &OutputPrefix,
        object: ObjectMeta,
    ) -> Result<(), PruneError> {
        let jobs = &self.pruner.jobs;
        let owner = jobs.owner(prefix).await.map_err(SettleError::from)?;
        let Some((owner, _)) = owner else {
            return Ok(());
        };

        let is_old = object
            .modified
            .is_some_and(|at| self.now - at >= self.pruner.grace);
        if owner.deleted.is_some() && is_old {
            self.count(&object);
            if !self.pruner.dry_run {
                write_master(jobs, prefix, owner).await?;
            }
        }
        Ok(())
    }

    /// An object of no job: a health probe that its writer did not remove is removed, everything
    /// else is only reported.
    async fn handle_unknown(&mut self, object: ObjectMeta) -> Result<(), PruneError> {
        let probe = format!("{}canary-", self.pruner.jobs.settings.output_root);
        let is_probe = object
            .key
            .strip_prefix(&probe)
            .is_some_and(|rest| !rest.contains('/'));
        let is_old = object
            .modified
            .is_some_and(|at| self.now - at >= self.pruner.grace);

        match (is_probe, is_old) {
            (true, true) => self.remove(vec![object]).await,
            (true, false) => Ok(()),
            (false, _) => {
                self.count_unknown(&object);
                Ok(())
            }
        }
    }

    /// Jobs that were accepted while the bucket was listed are not known yet: new objects are not
    /// reported.
    fn count_unknown(&mut self, object: &ObjectMeta) {
        if object
            .modified
            .is_some_and(|at| self.now - at >= self.pruner.grace)
        {
            let unknown = self
                .removed
                .unknown
                .entry(folder_of(&object.key))
                .or_default();
            unknown.objects += 1;
            unknown.bytes += object.size;
        }
    }

    fn count(&mut self, object: &ObjectMeta) {
        self.removed.objects += 1;
        self.removed.bytes += object.size;
    }

    async fn remove(&mut self, objects: Vec<ObjectMeta>) -> Result<(), PruneError> {
        objects.iter().for_each(|object| self.count(object));
        if self.pruner.dry_run || objects.is_empty() {
            return Ok(());
        }
        let keys: Vec<String> = objects.into_iter().map(|object| object.key).collect();
        Ok(self.pruner.jobs.output.delete(&keys).await?)
    }
}

/// The first folders of a key, at most three: where jobs lie in the usual place.
fn folder_of(key: &str) -> String {
    let end = key
        .match_indices('/')
        .take(3)
        .last()
        .map_or(0, |(at, _)| at + 1);
    key[..end].to_owned()
}
