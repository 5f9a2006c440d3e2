//! Publication: what tasks made is checked as a whole, then everything derived from it is written: playlists, commit and receipt.
//!
//! A job publishes once. A repair publishes again, beside: what is sound and still right stays where it is.

use std::collections::BTreeSet;

use bytes::Bytes;
use streams::plan::Planned;
use streams::work::ObjectRef;
use streams::{Code, OutputPrefix, VERSION};

use super::assembly::{Assembled, assemble};
use super::checks::{checks, on_the_grid, tracks};
use super::content::{Judgement, judge};
use super::extras::{extras, poster};
use super::inspection::{inspect, same_bytes};
use super::outputs::Fault;
use super::placement::{Place, Placement};
use super::playlists;
use crate::crash;
use crate::failure::Failure;
use crate::job::receipt::{Check, Made, Receipt};
use crate::job::{Jobs, Pulse};
use crate::storage::{JobKeys, ObjectKind, StorageError, revised};

/// An output that is about to become public.
#[derive(Debug)]
pub struct Publication<'a> {
    /// The jobs.
    pub jobs: &'a Jobs,
    /// What was decided.
    pub plan: &'a Planned,
    /// Where the output is.
    pub prefix: &'a OutputPrefix,
    /// Stream sequence of the job's `accepted`.
    pub accepted_seq: u64,
    /// What all tasks made, in the order of the plan, and repairs after them.
    pub made: &'a [Made],
    /// The repair that publishes; 0 for the job itself.
    pub revision: u64,
    /// The objects that a repair found sound; none for the job itself.
    pub sound: &'a [ObjectRef],
    /// Counts the work.
    pub pulse: &'a Pulse,
}

impl Publication<'_> {
    /// Checks the output and writes everything derived. All of it is a pure function of the log, so a second writer writes the same.
    ///
    /// # Errors
    /// The tasks that must be done again, or what kept it from being done.
    pub async fn publish(&self) -> Result<Receipt, Fault> {
        let keys = self.keys();
        let mut renditions = assemble(self.plan, self.made).map_err(|misfits| {
            let tasks = misfits.into_iter().map(|misfit| (misfit.task, misfit.reason));
            Fault::Tasks(tasks.collect())
        })?;
        if renditions.is_empty() {
            return Err(Failure::new(Code::VerificationFailed, "The tasks made nothing that fits the plan.").into());
        }
        let judgement = judge(self.plan, self.made);
        let faults = on_the_grid(self.plan, &renditions).err().unwrap_or_default();
        let faults: Vec<_> = faults.into_iter().chain(judgement.faults.iter().cloned()).collect();
        if !faults.is_empty() {
            return Err(Fault::Tasks(faults));
        }
        let found = inspect(self.jobs, &keys, self.plan, &renditions, &extras(self.made), self.pulse).await?;
        crash::point("package.checked");
        let derived = self.derive(&keys, &mut renditions).await?;
        let receipt = self.receipt(&keys, &renditions, judgement, found, derived);
        let key = revised(&keys.receipt(), self.revision);
        let bytes = receipt.encode();
        self.put(&key, bytes.clone(), ObjectKind::Receipt).await?;
        same_bytes(self.jobs, &[(key, bytes)]).await?;
        crash::point("package.receipt");
        Ok(receipt)
    }

    fn keys(&self) -> JobKeys {
        self.jobs.keys(self.prefix, &self.plan.head.job_id)
    }

    /// Writes the playlists and the commit, reads them back, and says where everything derived is.
    async fn derive(&self, keys: &JobKeys, renditions: &mut [Assembled]) -> Result<Vec<ObjectRef>, Fault> {
        let placement = Placement {
            revision: self.revision,
            sound: self.sound,
        };
        let mut derived: Vec<(Place<'_>, Bytes)> = Vec::new();
        for rendition in renditions.iter_mut() {
            let bytes: Bytes = playlists::media(self.plan, rendition).into();
            let place = placement.of(&keys.media_playlist(rendition.name().as_str()), &bytes);
            file_of(place.key()).clone_into(&mut rendition.playlist);
            derived.push((place, bytes));
        }
        let job = self.plan.head.job_id.as_str();
        let commit = playlists::multivariant(self.plan, job, renditions);
        // Its key tells which bytes are public, so that every revision has one.
        let place = Place::Write(revised(&keys.commit(), self.revision));
        derived.push((place, commit.into()));
        self.write(derived).await
    }

    async fn write(&self, derived: Vec<(Place<'_>, Bytes)>) -> Result<Vec<ObjectRef>, Fault> {
        let (mut objects, mut written) = (Vec::new(), Vec::new());
        for (place, bytes) in derived {
            match place {
                Place::Stands(object) => objects.push(object.clone()),
                Place::Write(key) => {
                    let stored = self.put(&key, bytes.clone(), ObjectKind::Playlist).await?;
                    self.pulse.add(stored.size);
                    objects.push(stored);
                    written.push((key, bytes));
                }
            }
        }
        same_bytes(self.jobs, &written).await?;
        crash::point("package.playlists");
        Ok(objects)
    }

    async fn put(&self, key: &str, bytes: Bytes, kind: ObjectKind) -> Result<ObjectRef, Fault> {
        let stored: Result<_, StorageError> = self.jobs.output.put(key, bytes, kind).await;
        match stored {
            Ok(stored) => Ok(ObjectRef {
                key: key.to_owned(),
                size: stored.size,
                sha256: stored.sha256,
                etag: None,
            }),
            Err(error) => Err(self.jobs.blame_output(&error).await.into()),
        }
    }

    fn receipt(
        &self,
        keys: &JobKeys,
        renditions: &[Assembled],
        judgement: Judgement,
        found: Check,
        derived: Vec<ObjectRef>,
    ) -> Receipt {
        let (measured, lengths) = checks(self.plan, renditions);
        let mut warnings = self.plan.warnings.clone();
        warnings.extend(self.made.iter().flat_map(|made| made.output.warnings.iter().cloned()));
        warnings.extend(judgement.warnings.into_iter().chain(lengths).map(str::to_owned));
        let media = renditions.iter().flat_map(|rendition| rendition.objects(keys));
        let beside = extras(self.made).into_iter().map(|(_, object)| object);
        let lists = self.made.iter().filter_map(|made| made.list.clone());
        let playlists = Check::new(
            "playlists",
            "Every playlist reads back byte for byte as it was written.",
        );
        Receipt {
            v: VERSION,
            job_id: self.plan.head.job_id.clone(),
            file_id: self.plan.head.file_id.clone(),
            output_prefix: self.prefix.clone(),
            accepted_seq: self.accepted_seq,
            revision: self.revision,
            duration_seconds: renditions.iter().map(Assembled::seconds).fold(0.0, f64::max),
            renditions: renditions
                .iter()
                .map(|rendition| playlists::ended(self.plan, rendition))
                .collect(),
            poster: poster(self.made).map(|(_, poster)| poster.key.clone()),
            warnings: once(warnings),
            checks: [tracks(self.plan), found]
                .into_iter()
                .chain(measured)
                .chain(judgement.checks)
                .chain([playlists.figure("playlists", f64::from(u32::try_from(derived.len()).unwrap_or(u32::MAX)))])
                .collect(),
            objects: media.chain(beside).chain(lists).chain(derived).collect(),
            planned: self.plan.clone(),
            made: self.made.to_vec(),
            seal: String::new(),
        }
    }
}

/// The part of a key behind its last slash.
fn file_of(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or_default()
}

/// Each word once, where it stands first.
fn once(words: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    words.into_iter().filter(|word| seen.insert(word.clone())).collect()
}
