//! A repair, from its number to the new master.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use streams::plan::Planned;
use streams::task::TaskName;
use streams::work::{Attempt, Current, DoneOutput, ObjectRef, TaskOutput, WorkKind};
use streams::{Code, subject, topology};

use super::find::Found;
use super::patch::patch;
use super::recall;
use super::survey::{Damage, objects};
use crate::admission::{Capacity, Ledger};
use crate::encode::Encoder;
use crate::failure::Failure;
use crate::ffmpeg::Tool;
use crate::jetstream::{Created, Outgoing, Refused};
use crate::job::commit::SMALL_OBJECT;
use crate::job::receipt::{Made, Receipt};
use crate::job::verdict::SettleError;
use crate::job::{Assignment, Jobs, Product, Pulse, Stage as _};
use crate::ladder::Limits;
use crate::package::{Fault, Part, Publication, parts, standing};
use crate::storage::{BlockCache, ObjectKind, Storage, StorageError, base36, revised};
use crate::workshop::Workshop;

/// Repairs outputs.
#[derive(Debug, Clone)]
pub struct Mender {
    /// The jobs.
    pub jobs: Jobs,
    /// Where sources are.
    pub storage: Storage,
    /// Blocks of sources.
    pub cache: BlockCache,
    /// ffmpeg.
    pub tool: Tool,
    /// Its version.
    pub ffmpeg: String,
    /// Where work is done.
    pub workshop: Arc<Workshop>,
    /// What sources are accepted.
    pub limits: Limits,
}

/// What a repair came to.
#[derive(Debug)]
pub struct Mended {
    /// The output as it is now.
    pub found: Found,
    /// Damaged objects that new ones took the place of, or that were written again.
    pub mended: Vec<Damage>,
    /// Damaged objects that nothing can be done about without the source, and why it cannot be used.
    pub given_up: Option<(Vec<Damage>, Failure)>,
}

/// Why nothing was repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// Its job has not ended.
    #[error("job {0} has not ended yet; it puts its own output right, or fails")]
    AtWork(streams::JobId),
    /// Somebody else advanced the owner of the prefix meanwhile.
    #[error("another repair, or a newer job of the file, was faster; nothing of this one is public: verify again")]
    Overtaken,
    /// What was made anew is not sound.
    #[error("what was made anew is not sound: {0}; nothing of it is public")]
    Unsound(String),
    /// It could not be made anew.
    #[error("it cannot be made anew: {0}")]
    Failed(Failure),
    /// NATS will never take a message of it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The bucket does not answer.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Master could not be written.
    #[error(transparent)]
    Settle(#[from] SettleError),
}

/// What one repair works with.
pub(super) struct Repair<'a> {
    pub(super) mender: &'a Mender,
    pub(super) found: &'a Found,
    /// Its number.
    pub(super) revision: u64,
    pub(super) pulse: Pulse,
}

/// Damaged parts by the task that makes them, and everything else that is damaged.
type Causes = BTreeMap<TaskName, Vec<Part>>;

impl Mender {
    /// Makes new objects for the damaged ones alone, checks them, and makes them public.
    ///
    /// # Errors
    /// [`RepairError`]; the output is then as it was.
    pub async fn mend(&self, found: Found, damages: Vec<Damage>) -> Result<Mended, RepairError> {
        let job = &found.receipt.job_id;
        if self.jobs.state(job).await.is_some_and(|state| !state.ended) {
            return Err(RepairError::AtWork(job.clone()));
        }
        let lost_receipt = found.lost_receipt.as_ref().map(|damage| damage.key.as_str());
        let apart = [Some(found.keys().master()), lost_receipt.map(str::to_owned)];
        let inside = |damage: &&Damage| !apart.contains(&Some(damage.key.clone()));
        if !damages.iter().any(|damage| inside(&damage)) {
            return self.rewrite(found, damages).await;
        }
        let repair = Repair {
            mender: self,
            found: &found,
            revision: self.number(&found).await?,
            pulse: Pulse::default(),
        };
        let done = repair.carry_out(&damages).await;
        let claimed = match &done {
            Ok(_) => self.claim(&found, repair.revision).await.map(Some),
            Err(_) => Ok(None),
        };
        // Once it is claimed, what it refers to is public, whatever happens next.
        let public = matches!(claimed, Ok(Some(_)));
        let named = done.as_ref().map(|(receipt, _)| receipt.objects.as_slice());
        repair.tidy(named.ok().filter(|_| public)).await;
        repair.remove_copy().await;
        let (receipt, given_up) = done?;
        if let Some(current) = claimed? {
            self.jobs.write_master(&found.prefix, current).await?;
        }
        let given_up = given_up.map(|failure| {
            let left = |damage: &&Damage| receipt.objects.iter().any(|object| object.key == damage.key);
            (damages.iter().filter(left).cloned().collect::<Vec<_>>(), failure)
        });
        let left: &[Damage] = given_up.as_ref().map_or(&[], |(left, _)| left);
        Ok(Mended {
            mended: damages
                .iter()
                .filter(|damage| !left.contains(damage))
                .cloned()
                .collect(),
            found: Found {
                owner: self.jobs.owner(&found.prefix).await,
                receipt,
                lost_receipt: None,
                ..found
            },
            given_up,
        })
    }

    /// Master alone, and a receipt that nobody caches, are written again as they were.
    async fn rewrite(&self, mut found: Found, damages: Vec<Damage>) -> Result<Mended, RepairError> {
        if let Some(lost) = found.lost_receipt.take() {
            let bytes = found.receipt.encode();
            self.jobs.output.put(&lost.key, bytes, ObjectKind::Receipt).await?;
        }
        let owner = match found.owner.clone() {
            Some((owner, _)) => owner,
            None => self.claim(&found, found.receipt.revision).await?,
        };
        self.jobs.write_master(&found.prefix, owner).await?;
        Ok(Mended {
            found,
            mended: damages,
            given_up: None,
        })
    }

    /// A number no object of the job carries yet: the log may have been lost, and counts anew.
    async fn number(&self, found: &Found) -> Result<u64, RepairError> {
        let listed = self.jobs.output.list(found.keys().folder()).await?;
        let job = &found.receipt.job_id;
        loop {
            let attempt = Attempt::new(job.clone(), TaskName::FINISH, &self.jobs.settings.worker);
            let body = serde_json::to_vec(&attempt).unwrap_or_default();
            let message = Outgoing::json(subject::work(job, WorkKind::Attempt, TaskName::FINISH), body);
            let number = self
                .jobs
                .log
                .append(topology::WORK, message.with_id(attempt.id))
                .await?;
            if !listed.iter().any(|meta| carries(&meta.key, number)) {
                return Ok(number);
            }
        }
    }

    /// Makes a revision the public one, unless anything changed since the output was found.
    async fn claim(&self, found: &Found, revision: u64) -> Result<Current, RepairError> {
        let (accepted_seq, expected) = match &found.owner {
            Some((owner, seq)) => (owner.accepted_seq, *seq),
            // The log has forgotten the owner, and may count anew: whatever job comes next is newer.
            None => (0, 0),
        };
        let current = Current {
            file_id: found.receipt.file_id.clone(),
            job_id: found.receipt.job_id.clone(),
            accepted_seq,
            revision,
            deleted: None,
        };
        let subject = subject::current(self.jobs.output.name(), &found.prefix);
        let body = serde_json::to_vec(&current).unwrap_or_default();
        let message = Outgoing::json(subject, body);
        match self.jobs.log.replace(topology::JOBS, message, expected).await? {
            Created::Ours(_) => Ok(current),
            Created::Theirs(_) => Err(RepairError::Overtaken),
        }
    }
}

/// Whether a key carries this attempt or revision.
fn carries(key: &str, number: u64) -> bool {
    let file = key.rsplit('/').next().unwrap_or_default();
    let stem = file.split('.').next().unwrap_or_default();
    stem.rsplit_once('-').is_some_and(|(_, last)| last == base36(number))
}

impl Repair<'_> {
    /// Everything but tidying up: the new receipt, and why the source could not be used, where it was needed.
    async fn carry_out(&self, damages: &[Damage]) -> Result<(Receipt, Option<Failure>), RepairError> {
        let receipt = &self.found.receipt;
        let all = parts(&receipt.planned, &self.found.keys(), &receipt.made);
        let damaged = damages
            .iter()
            .filter_map(|damage| Some((damage, all.get(&damage.key)?)));
        let mut causes = Causes::new();
        let mut given_up = BTreeSet::new();
        for (damage, (task, part)) in damaged {
            if *part != Part::List {
                causes.entry(*task).or_default().push(part.clone());
                given_up.insert(damage.key.clone());
            }
        }
        let folder = format!("{}storyboard-", self.found.keys().folder());
        let sheets = || damages.iter().filter(|damage| damage.key.starts_with(&folder));
        if sheets().next().is_some() && self.add_tiles(&all, &mut causes).await? {
            given_up.extend(sheets().map(|damage| damage.key.clone()));
        }
        let source = if causes.is_empty() {
            Ok(())
        } else {
            self.source().await?
        };
        let made = match &source {
            Ok(()) => {
                given_up.clear();
                self.make(&causes).await?
            }
            Err(failure) if given_up.len() == damages.len() => return Err(RepairError::Failed(failure.clone())),
            Err(_) => receipt.made.clone(),
        };
        let made = without_lists(made, damages);
        let receipt = self.publish(&made, damages, &given_up).await?;
        Ok((receipt, source.err()))
    }

    /// Sheets are drawn of tiles: where those are damaged or gone, their chunks have to be done again. Whether any has.
    async fn add_tiles(
        &self,
        all: &BTreeMap<String, (TaskName, Part)>,
        causes: &mut Causes,
    ) -> Result<bool, RepairError> {
        let tiles = self
            .found
            .receipt
            .made
            .iter()
            .filter_map(|made| made.output.tiles.clone());
        let tiles: Vec<ObjectRef> = tiles.filter(|object| all.contains_key(&object.key)).collect();
        let damaged = objects(&self.mender.jobs.output, &tiles).await?;
        for (task, part) in damaged.iter().filter_map(|damage| all.get(&damage.key)) {
            causes.entry(*task).or_default().push(part.clone());
        }
        Ok(!damaged.is_empty())
    }

    /// Whether the source is what it was when the job was planned.
    async fn source(&self) -> Result<Result<(), Failure>, RepairError> {
        let source = &self.found.receipt.planned.source;
        let bucket = self.mender.storage.bucket(&source.bucket);
        let bare = |etag: &str| etag.trim_matches('"').to_owned();
        Ok(match bucket.head(&source.key).await {
            Ok(None) => Err(Failure::plain(Code::SourceNotFound)),
            Ok(Some(meta)) => {
                let same = meta.etag.is_none_or(|etag| bare(&etag) == bare(&source.etag));
                if same && meta.size == source.size {
                    Ok(())
                } else {
                    Err(Failure::plain(Code::SourceChanged))
                }
            }
            Err(error) => return Err(RepairError::Failed(self.mender.jobs.blame_source(&error).await)),
        })
    }

    /// Does the tasks again that made what is damaged, and takes of each what is needed.
    async fn make(&self, causes: &Causes) -> Result<Vec<Made>, RepairError> {
        let receipt = &self.found.receipt;
        let mut made = receipt.made.clone();
        let copy = self.copy().await.map_err(RepairError::Failed)?;
        let plan = copy.as_ref().unwrap_or(&receipt.planned);
        for (task, parts) in causes {
            let fresh = self.encode(plan, *task).await.map_err(RepairError::Failed)?;
            // What was replaced before stands now: an init segment, for one, is shared by all chunks.
            let standing = standing(&receipt.planned, &made);
            let output = patch(*task, &fresh, parts, &standing)
                .map_err(|misfit| RepairError::Failed(Failure::told_by(Code::VerificationFailed, &misfit)))?;
            made.push(Made {
                task: *task,
                attempt: self.revision,
                output,
                list: None,
                repair: true,
            });
        }
        Ok(made)
    }

    /// One task as the service does it, under the number of the repair.
    async fn encode(&self, plan: &Planned, task: TaskName) -> Result<TaskOutput, Failure> {
        let mender = self.mender;
        let encoder = Encoder {
            jobs: mender.jobs.clone(),
            storage: mender.storage.clone(),
            cache: mender.cache.clone(),
            tool: mender.tool.clone(),
            ffmpeg: mender.ffmpeg.clone(),
            workshop: Arc::clone(&mender.workshop),
            ledger: Ledger::new(Capacity::default(), mender.workshop.folder(), 0),
            limits: mender.limits,
        };
        let manifest_url = mender.jobs.public_url(&self.found.keys().master());
        let assignment = Assignment {
            state: recall::state(self.found, plan, manifest_url),
            task,
            attempt: self.revision,
            pulse: self.pulse.clone(),
        };
        let lost = || {
            Failure::new(
                Code::VerificationFailed,
                "The list of what was made does not read back.",
            )
        };
        let Product::Output(done) = encoder.work(assignment).await? else {
            return Err(lost());
        };
        match *done {
            DoneOutput::Inline(output) => Ok(*output),
            DoneOutput::Object(list) => {
                let bytes = mender.jobs.output.get(&list.key, SMALL_OBJECT).await;
                let bytes = bytes.ok().flatten().ok_or_else(lost)?;
                serde_json::from_slice(&bytes).map_err(|_| lost())
            }
        }
    }

    /// Checks everything, writes what is derived, and reads all of it again: only then it may become public.
    async fn publish(
        &self,
        made: &[Made],
        damages: &[Damage],
        given_up: &BTreeSet<String>,
    ) -> Result<Receipt, RepairError> {
        let (mender, old) = (self.mender, &self.found.receipt);
        let is_damaged = |object: &ObjectRef| {
            !given_up.contains(&object.key) && damages.iter().any(|damage| damage.key == object.key)
        };
        let sound: Vec<ObjectRef> = old
            .objects
            .iter()
            .filter(|object| !is_damaged(object))
            .cloned()
            .collect();
        let publication = Publication {
            jobs: &mender.jobs,
            plan: &old.planned,
            prefix: &self.found.prefix,
            accepted_seq: old.accepted_seq,
            made,
            revision: self.revision,
            sound: &sound,
            given_up,
            pulse: &self.pulse,
        };
        let receipt = publication.publish().await.map_err(|fault| match fault {
            Fault::Other(failure) => RepairError::Failed(failure),
            Fault::Tasks(tasks) => RepairError::Unsound(tasks.into_iter().map(|(_, reason)| reason).collect()),
        })?;
        let wanted = receipt.objects.iter().filter(|object| !given_up.contains(&object.key));
        let wanted: Vec<ObjectRef> = wanted.cloned().collect();
        if let Some(damage) = objects(&mender.jobs.output, &wanted).await?.into_iter().next() {
            return Err(RepairError::Unsound(damage.to_string()));
        }
        Ok(receipt)
    }

    /// Removes what this repair wrote and nothing refers to: other parts of tasks that were done again, or everything where it came
    /// to nothing. Nobody else writes keys with its number.
    async fn tidy(&self, named: Option<&[ObjectRef]>) {
        let keys = self.found.keys();
        let own_receipt = revised(&keys.receipt(), self.revision);
        let output = &self.mender.jobs.output;
        let Ok(listed) = output.list(keys.folder()).await else {
            return;
        };
        let is_named = |key: &String| {
            named.is_some_and(|named| *key == own_receipt || named.iter().any(|object| object.key == *key))
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
fn without_lists(made: Vec<Made>, damages: &[Damage]) -> Vec<Made> {
    let is_damaged = |list: &ObjectRef| damages.iter().any(|damage| damage.key == list.key);
    made.into_iter()
        .map(|made| Made {
            list: made.list.filter(|list| !is_damaged(list)),
            ..made
        })
        .collect()
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
