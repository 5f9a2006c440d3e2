//! Publishing: what tasks made is checked as a whole, then everything derived from it is written:
//! playlists, commit and receipt.
//!
//! A job publishes once. A repair publishes again under new keys: objects that are intact and still
//! correct stay where they are.

use std::collections::BTreeSet;

use bytes::Bytes;
use storage::{ObjectKind, revised};
use streams::plan::Planned;
use streams::work::ObjectRef;
use streams::{Code, VERSION};

use super::assembly::{AssembledRendition, assemble};
use super::checks::{check_grid, check_objects, check_renditions, check_tracks, check_written};
use super::content::{ContentJudgement, judge_content};
use super::derived::DerivedObject;
use super::extras::{latest_subtitles, list_extras};
use super::inspection::{check_read_back, inspect_bucket};
use super::outputs::OutputFault;
use super::placement::ObjectPlace;
use super::poster::choose_poster;
use super::publication::Publication;
use super::{iframes, playlists, storyboard, subtitles};
use crate::crash;
use crate::job::classify::classify_output_error;
use crate::job::failure::Failure;
use crate::job::receipt::Receipt;

impl Publication<'_> {
    /// Checks the output and writes everything derived. All of it is a pure function of the log, so
    /// a second writer writes the same.
    ///
    /// # Errors
    /// The tasks that must be repeated, or why it was not possible.
    pub async fn publish(&self) -> Result<Receipt, OutputFault> {
        let (receipt, derived) = self.draft().await?;
        let renditions = self.assemble_renditions()?;
        inspect_bucket(self, &self.keys(), &renditions).await?;
        crash::point("package.checked");

        let mut written = Vec::new();
        for DerivedObject { place, bytes, kind } in derived {
            if let ObjectPlace::Write(key) = place {
                self.put(&key, bytes.clone(), kind).await?;
                written.push((key, bytes));
            }
        }

        check_read_back(self.jobs, &written).await?;
        crash::point("package.playlists");

        // The receipt comes last: it says that everything else is in the bucket and reads back.
        let (key, bytes) = (
            revised(&self.keys().receipt(), self.revision),
            receipt.encode(),
        );
        self.put(&key, bytes.clone(), ObjectKind::Receipt).await?;
        check_read_back(self.jobs, &[(key, bytes)]).await?;
        crash::point("package.receipt");

        Ok(receipt)
    }

    /// The receipt as it is written when the bucket holds what it should.
    ///
    /// # Errors
    /// The tasks whose output is not what it should be.
    pub async fn receipt(&self) -> Result<Receipt, OutputFault> {
        self.draft().await.map(|(receipt, _)| receipt)
    }

    fn assemble_renditions(&self) -> Result<Vec<AssembledRendition>, OutputFault> {
        let renditions = assemble(self.plan, self.made).map_err(|mismatches| {
            let tasks = mismatches
                .into_iter()
                .map(|mismatch| (mismatch.task, mismatch.reason));
            OutputFault::Tasks(tasks.collect())
        })?;

        if renditions.is_empty() {
            return Err(Failure::new(
                Code::VerificationFailed,
                "The tasks have no output that fits the plan.",
            )
            .into());
        }
        Ok(renditions)
    }

    /// The receipt, and everything else that is derived, with its place.
    async fn draft(&self) -> Result<(Receipt, Vec<DerivedObject<'_>>), OutputFault> {
        let mut renditions = self.assemble_renditions()?;

        let judgement = judge_content(self.plan, self.made);
        let faults = check_grid(self.plan, &renditions).err().unwrap_or_default();
        let faults: Vec<_> = faults
            .into_iter()
            .chain(judgement.faults.iter().cloned())
            .collect();
        if !faults.is_empty() {
            return Err(OutputFault::Tasks(faults));
        }

        let mut derived = self.write_playlists(&mut renditions);
        let storyboard = self.draw_storyboard(&renditions).await?;
        let index = storyboard.iter().map(|derived| derived.place.key());
        let index = index
            .filter(|key| key.ends_with(".vtt"))
            .map(str::to_owned)
            .last();
        derived.extend(storyboard);

        let receipt = self.make_receipt(&renditions, judgement, &derived, index);
        Ok((receipt, derived))
    }

    /// The playlists and the commit.
    fn write_playlists(&self, renditions: &mut [AssembledRendition]) -> Vec<DerivedObject<'_>> {
        let (keys, plan, job) = (self.keys(), self.plan, self.plan.head.job_id.as_str());
        let mut derived = Vec::new();
        let mut place = |key: &str, text: String| {
            let bytes: Bytes = text.into();
            let place = self.placement().of(key, &bytes);
            let file = file_of(place.key()).to_owned();
            derived.push(DerivedObject::playlist(place, bytes));
            file
        };

        // Every playlist is placed before the one that names it, since a repair may leave it under
        // an older key.
        for rendition in renditions.iter_mut() {
            let key = keys.media_playlist(rendition.name().as_str());
            rendition.playlist = place(&key, playlists::media(plan, rendition));
        }

        let iframes = iframes::playlist(plan, renditions).and_then(|(name, playlist)| {
            let file = place(&keys.iframe_playlist(name.as_str()), playlist.to_string());
            iframes::variant(plan, job, renditions, &file)
        });

        let captions: Vec<_> = latest_subtitles(self.made)
            .into_iter()
            .map(|(_, captions)| captions)
            .collect();
        let lists = subtitles::playlists(plan, &keys, &captions, renditions);
        let files: Vec<String> = lists
            .into_iter()
            .map(|(key, text)| place(&key, text))
            .collect();
        let captions = subtitles::media(plan, job, &captions, &files);

        let rate = |made: &AssembledRendition| playlists::bandwidth(plan, made);
        let commit = playlists::multivariant(
            plan,
            &format!("{job}/"),
            renditions,
            &rate,
            captions,
            iframes,
        );

        // Its key identifies the public bytes, so every revision has one.
        let place = ObjectPlace::Write(revised(&keys.commit(), self.revision));
        derived.push(DerivedObject::playlist(place, commit.into()));
        derived
    }

    /// The sheets and the index. A repair leaves them as they are unless one is damaged, and where
    /// they cannot be drawn again.
    async fn draw_storyboard(
        &self,
        renditions: &[AssembledRendition],
    ) -> Result<Vec<DerivedObject<'_>>, OutputFault> {
        let (keys, placement) = (self.keys(), self.placement());
        let folder = format!("{}storyboard-", keys.folder());

        let kept = || {
            let kept = self
                .intact
                .iter()
                .filter(|object| object.key.starts_with(&folder));
            kept.map(|object| DerivedObject {
                place: ObjectPlace::Existing(object),
                bytes: Bytes::new(),
                kind: ObjectKind::Jpeg,
            })
        };

        let sheets = self.plan.storyboard.map_or(0, |storyboard| {
            storyboard
                .tiles
                .div_ceil(storyboard.tiles_per_sheet().max(1)) as usize
        });
        // The index is one more object.
        if self.revision > 0 && sheets > 0 && kept().count() == sheets + 1 {
            return Ok(kept().collect());
        }

        let drawn =
            storyboard::draw_sheets(self.jobs, self.plan, self.made, self.work_counter).await?;
        let place = |key: String, bytes: &Bytes| placement.of(&key, bytes).key().to_owned();
        let drawn = drawn.and_then(|sheets| {
            storyboard::name_objects(&keys, self.plan, renditions, &sheets, place)
        });
        let Some(drawn) = drawn else {
            return Ok(kept().collect());
        };

        let derived = drawn.into_iter().map(|(key, bytes, kind)| DerivedObject {
            place: placement.at(key, &bytes),
            bytes,
            kind,
        });
        Ok(derived.collect())
    }

    async fn put(&self, key: &str, bytes: Bytes, kind: ObjectKind) -> Result<(), OutputFault> {
        let output = &self.jobs.output;
        let written = match self.revision {
            // A job writes its playlists again when a task was done again.
            0 => output.put(key, bytes, kind).await,
            // The keys of a repair are its own, so what the bucket holds under one of them already
            // stays.
            _ => output.put_new(key, bytes, kind).await,
        };

        match written {
            Ok(stored) => {
                self.work_counter.add(stored.size);
                Ok(())
            }
            Err(error) => Err(classify_output_error(self.jobs, &error).await.into()),
        }
    }

    fn make_receipt(
        &self,
        renditions: &[AssembledRendition],
        judgement: ContentJudgement,
        derived: &[DerivedObject<'_>],
        storyboard: Option<String>,
    ) -> Receipt {
        let keys = self.keys();
        let (measured, lengths) = check_renditions(self.plan, renditions);

        let mut warnings = self.plan.warnings.clone();
        warnings.extend(
            self.made
                .iter()
                .flat_map(|made| made.output.warnings.iter().cloned()),
        );
        warnings.extend(
            judgement
                .warnings
                .into_iter()
                .chain(lengths)
                .map(str::to_owned),
        );
        let poster = choose_poster(self.made).map(|(_, poster)| poster);
        warnings.extend(missing_images(
            self.plan,
            poster.as_ref(),
            storyboard.as_deref(),
        ));

        let media = renditions
            .iter()
            .flat_map(|rendition| rendition.objects(&keys));
        let beside = list_extras(self.made).into_iter().map(|(_, object)| object);
        let made: Vec<ObjectRef> = media.chain(beside).collect();
        let lists = self.made.iter().filter_map(|made| made.list.clone());

        let checks = [check_tracks(self.plan), check_objects(&made)]
            .into_iter()
            .chain(measured)
            .chain(judgement.checks)
            .chain([check_written(derived)]);

        Receipt {
            v: VERSION,
            job_id: self.plan.head.job_id.clone(),
            file_id: self.plan.head.file_id.clone(),
            output_prefix: self.prefix.clone(),
            accepted_seq: self.accepted_seq,
            revision: self.revision,
            duration_seconds: renditions
                .iter()
                .map(AssembledRendition::seconds)
                .fold(0.0, f64::max),
            renditions: renditions
                .iter()
                .map(|rendition| playlists::ended(self.plan, rendition))
                .collect(),
            poster: poster.map(|poster| poster.key),
            storyboard,
            warnings: without_repetitions(warnings),
            checks: checks.collect(),
            objects: made
                .iter()
                .cloned()
                .chain(lists)
                .chain(derived.iter().map(DerivedObject::object))
                .collect(),
            planned: self.plan.clone(),
            made: self.made.to_vec(),
            // `Receipt::encode` computes it.
            seal: String::new(),
        }
    }
}

/// The missing previews of a plan, as stable words.
fn missing_images(
    plan: &Planned,
    poster: Option<&ObjectRef>,
    storyboard: Option<&str>,
) -> impl Iterator<Item = String> {
    let words = [
        ("no_poster", plan.video.is_some() && poster.is_none()),
        (
            "no_storyboard",
            plan.storyboard.is_some() && storyboard.is_none(),
        ),
    ];
    let holding = words.into_iter().filter(|(_, holds)| *holds);
    holding.map(|(word, _)| word.to_owned())
}

/// The part of a key behind its last slash.
fn file_of(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or_default()
}

/// Each word once, at its first place.
fn without_repetitions(words: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    words
        .into_iter()
        .filter(|word| seen.insert(word.clone()))
        .collect()
}
