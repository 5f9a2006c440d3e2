//! Publication: what tasks made is checked as a whole, then everything derived from it is written: playlists, commit and receipt.
//!
//! A job publishes once. A repair publishes again, beside: what is sound and still right stays where it is.

use std::collections::BTreeSet;

use bytes::Bytes;
use streams::plan::Planned;
use streams::work::ObjectRef;
use streams::{Code, OutputPrefix, VERSION};

use super::assembly::{Assembled, assemble};
use super::checks::{checks, objects, on_the_grid, read_back, tracks};
use super::content::{Judgement, judge};
use super::extras::{extras, poster};
use super::inspection::{inspect, same_bytes};
use super::outputs::Fault;
use super::placement::{Place, Placement};
use super::playlists;
use crate::crash;
use crate::failure::Failure;
use crate::job::receipt::{Made, Receipt};
use crate::job::{Jobs, Pulse};
use crate::storage::{Digest, JobKeys, ObjectKind, revised};

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
    /// Objects that are known to be damaged and cannot be made anew now; none for the job itself.
    pub given_up: &'a BTreeSet<String>,
    /// Counts the work.
    pub pulse: &'a Pulse,
}

/// A derived object: where it goes, and what it is.
pub(super) type Derived<'a> = (Place<'a>, Bytes);

impl Publication<'_> {
    /// Checks the output and writes everything derived. All of it is a pure function of the log, so a second writer writes the same.
    ///
    /// # Errors
    /// The tasks that must be done again, or what kept it from being done.
    pub async fn publish(&self) -> Result<Receipt, Fault> {
        let (receipt, derived) = self.draft()?;
        let renditions = self.renditions()?;
        inspect(self, &self.keys(), &renditions).await?;
        crash::point("package.checked");
        let mut written = Vec::new();
        for (place, bytes) in derived {
            if let Place::Write(key) = place {
                self.put(&key, bytes.clone(), ObjectKind::Playlist).await?;
                written.push((key, bytes));
            }
        }
        same_bytes(self.jobs, &written).await?;
        crash::point("package.playlists");
        let (key, bytes) = (revised(&self.keys().receipt(), self.revision), receipt.encode());
        self.put(&key, bytes.clone(), ObjectKind::Receipt).await?;
        same_bytes(self.jobs, &[(key, bytes)]).await?;
        crash::point("package.receipt");
        Ok(receipt)
    }

    /// The receipt as it is written when the bucket holds what it should.
    ///
    /// # Errors
    /// The tasks whose output is not what it should be.
    pub fn receipt(&self) -> Result<Receipt, Fault> {
        self.draft().map(|(receipt, _)| receipt)
    }

    fn renditions(&self) -> Result<Vec<Assembled>, Fault> {
        let renditions = assemble(self.plan, self.made).map_err(|misfits| {
            let tasks = misfits.into_iter().map(|misfit| (misfit.task, misfit.reason));
            Fault::Tasks(tasks.collect())
        })?;
        if renditions.is_empty() {
            return Err(Failure::new(Code::VerificationFailed, "The tasks made nothing that fits the plan.").into());
        }
        Ok(renditions)
    }

    /// The receipt, and everything else that is derived, with its place.
    fn draft(&self) -> Result<(Receipt, Vec<Derived<'_>>), Fault> {
        let mut renditions = self.renditions()?;
        let judgement = judge(self.plan, self.made);
        let faults = on_the_grid(self.plan, &renditions).err().unwrap_or_default();
        let faults: Vec<_> = faults.into_iter().chain(judgement.faults.iter().cloned()).collect();
        if !faults.is_empty() {
            return Err(Fault::Tasks(faults));
        }
        let derived = self.derived(&mut renditions);
        let receipt = self.written(&renditions, judgement, &derived);
        Ok((receipt, derived))
    }

    fn keys(&self) -> JobKeys {
        self.jobs.keys(self.prefix, &self.plan.head.job_id)
    }

    /// The playlists and the commit.
    fn derived(&self, renditions: &mut [Assembled]) -> Vec<Derived<'_>> {
        let (keys, mut derived) = (self.keys(), Vec::new());
        let placement = Placement {
            revision: self.revision,
            sound: self.sound,
        };
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
        derived
    }

    async fn put(&self, key: &str, bytes: Bytes, kind: ObjectKind) -> Result<(), Fault> {
        match self.jobs.output.put(key, bytes, kind).await {
            Ok(stored) => {
                self.pulse.add(stored.size);
                Ok(())
            }
            Err(error) => Err(self.jobs.blame_output(&error).await.into()),
        }
    }

    fn written(&self, renditions: &[Assembled], judgement: Judgement, derived: &[Derived<'_>]) -> Receipt {
        let keys = self.keys();
        let (measured, lengths) = checks(self.plan, renditions);
        let mut warnings = self.plan.warnings.clone();
        warnings.extend(self.made.iter().flat_map(|made| made.output.warnings.iter().cloned()));
        warnings.extend(judgement.warnings.into_iter().chain(lengths).map(str::to_owned));
        let media = renditions.iter().flat_map(|rendition| rendition.objects(&keys));
        let beside = extras(self.made).into_iter().map(|(_, object)| object);
        let made: Vec<ObjectRef> = media.chain(beside).collect();
        let lists = self.made.iter().filter_map(|made| made.list.clone());
        let checks = [tracks(self.plan), objects(&made)]
            .into_iter()
            .chain(measured)
            .chain(judgement.checks)
            .chain([read_back(derived)]);
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
            checks: checks.collect(),
            objects: made
                .iter()
                .cloned()
                .chain(lists)
                .chain(derived.iter().map(described))
                .collect(),
            planned: self.plan.clone(),
            made: self.made.to_vec(),
            seal: String::new(),
        }
    }
}

fn described((place, bytes): &Derived<'_>) -> ObjectRef {
    let Digest { size, sha256 } = Digest::of(bytes);
    ObjectRef {
        key: place.key().to_owned(),
        size,
        sha256,
        etag: None,
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
