//! The handler of `finish`.

use bytes::Bytes;
use metrics::histogram;
use streams::plan::{Planned, Rendition};
use streams::task::TaskName;
use streams::work::{ObjectRef, SubtitleOutput};
use streams::{Code, VERSION};

use super::assembly::{Assembled, assemble};
use super::inspection::{inspect, same_bytes};
use super::outputs::{Fault, Made, outputs};
use super::{iframes, playlists, poster, storyboard, subtitles};
use crate::crash;
use crate::failure::Failure;
use crate::job::receipt::{Check, Receipt};
use crate::job::{Assignment, JobState, Jobs, Product, Stage};
use crate::storage::{JobKeys, ObjectKind, StorageError};

/// Checks outputs and prepares them to become public.
#[derive(Debug, Clone)]
pub struct Packager {
    /// The jobs.
    pub jobs: Jobs,
}

impl Stage for Packager {
    async fn work(&self, assignment: Assignment) -> Result<Product, Failure> {
        let started = std::time::Instant::now();
        let result = self.finish(&assignment).await;
        histogram!("fluxhls_stage_duration_seconds", "stage" => "package").record(started.elapsed());
        result
    }
}

impl Packager {
    async fn finish(&self, assignment: &Assignment) -> Result<Product, Failure> {
        let state = &assignment.state;
        self.claim(state).await?;
        match self.check(assignment).await {
            Ok(()) => Ok(Product::Commit),
            Err(Fault::Other(failure)) => Err(failure),
            Err(Fault::Task(task, reason)) => redo(state, vec![(task, reason)]),
        }
    }

    /// The prefix must be free or this file's.
    async fn claim(&self, state: &JobState) -> Result<(), Failure> {
        let prefix = &state.accepted.fact.output_prefix;
        match self.jobs.owner(prefix).await {
            Some((owner, _)) if owner.file_id != *state.file_id() => Err(Failure::new(
                Code::PrefixInUse,
                format!("The output place {prefix} belongs to file {}.", owner.file_id),
            )),
            _ => Ok(()),
        }
    }

    async fn check(&self, assignment: &Assignment) -> Result<(), Fault> {
        let state = &assignment.state;
        let plan = state.plan().ok_or_else(|| Failure::plain(Code::TooManyAttempts))?;
        let keys = self.jobs.keys(&state.accepted.fact.output_prefix, &state.job_id);
        let made = outputs(&self.jobs, state).await?;
        let renditions = assemble(plan, &made).map_err(|misfits| {
            misfits
                .into_iter()
                .next()
                .map_or_else(nothing_made, |misfit| Fault::Task(misfit.task, misfit.reason))
        })?;
        let faults = inspect(&self.jobs, &keys, plan, &renditions, &assignment.pulse).await?;
        if let Some((task, reason)) = faults.into_iter().next() {
            return Err(Fault::Task(task, reason));
        }
        crash::point("package.checked");
        self.write(assignment, plan, &keys, &made, &renditions).await
    }

    /// Writes playlists, storyboard and receipt and reads them back. All are pure functions of the log, so a second writer writes the same.
    async fn write(
        &self,
        assignment: &Assignment,
        plan: &Planned,
        keys: &JobKeys,
        made: &[Made],
        renditions: &[Assembled],
    ) -> Result<(), Fault> {
        let job = assignment.state.job_id.as_str();
        let mut small = playlists_of(plan, keys, job, made, renditions);
        let sheets = storyboard::sheets(&self.jobs, plan, made, &assignment.pulse).await?;
        let storyboard = sheets.and_then(|sheets| storyboard::objects(keys, plan, renditions, &sheets, |key, _| key));
        let index = storyboard.as_ref().and_then(|objects| objects.last());
        let index = index.map(|(key, ..)| key.clone());
        small.extend(storyboard.into_iter().flatten());
        let mut objects = Vec::new();
        let mut written = Vec::new();
        for (key, bytes, kind) in small {
            let stored = self.put(&key, bytes.clone(), kind).await?;
            assignment.pulse.add(stored.size);
            objects.push(stored);
            written.push((key, bytes));
        }
        crash::point("package.playlists");
        let receipt = receipt(assignment, plan, keys, made, renditions, index, objects);
        let bytes: Bytes = serde_json::to_vec_pretty(&receipt).unwrap_or_default().into();
        self.put(&keys.receipt(), bytes.clone(), ObjectKind::Receipt).await?;
        written.push((keys.receipt(), bytes));
        same_bytes(&self.jobs, &written).await?;
        crash::point("package.receipt");
        Ok(())
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
}

/// A bad task is done again once; a second failure is final.
fn redo(state: &JobState, tasks: Vec<(TaskName, String)>) -> Result<Product, Failure> {
    match tasks.iter().find(|(task, _)| state.work.redo.contains(task)) {
        Some((task, reason)) => Err(Failure::new(
            Code::VerificationFailed,
            format!("Task {task} failed its check twice: {reason}"),
        )
        .for_good()),
        None => Ok(Product::Redo(tasks)),
    }
}

fn nothing_made() -> Fault {
    Failure::new(Code::VerificationFailed, "The tasks made nothing that fits the plan.").into()
}

/// Every playlist of the job but master, with its key.
fn playlists_of(
    plan: &Planned,
    keys: &JobKeys,
    job: &str,
    made: &[Made],
    renditions: &[Assembled],
) -> Vec<(String, Bytes, ObjectKind)> {
    let media = renditions.iter().map(|rendition| {
        let key = keys.media_playlist(rendition.name().as_str());
        (key, playlists::media(plan, rendition))
    });
    let iframes = iframes::playlist(plan, renditions);
    let iframes = iframes.map(|(name, playlist)| (keys.iframe_playlist(name.as_str()), playlist.to_string()));
    let captions: Vec<&SubtitleOutput> = made.iter().flat_map(|made| &made.output.subtitles).collect();
    let lists = subtitles::playlists(plan, keys, &captions, renditions);
    let captions = subtitles::media(plan, keys, job, &captions);
    let commit = (keys.commit(), playlists::multivariant(plan, job, renditions, captions));
    let texts = media.chain(iframes).chain(lists).chain([commit]);
    texts
        .map(|(key, text)| (key, text.into(), ObjectKind::Playlist))
        .collect()
}

/// What of the previews a plan promises is not there, as stable words.
fn missing_images(plan: &Planned, poster: Option<&ObjectRef>, storyboard: Option<&str>) -> Vec<String> {
    let words = [
        ("no_poster", plan.video.is_some() && poster.is_none()),
        ("no_storyboard", plan.storyboard.is_some() && storyboard.is_none()),
    ];
    let holding = words.into_iter().filter(|(_, holds)| *holds);
    holding.map(|(word, _)| word.to_owned()).collect()
}

fn receipt(
    assignment: &Assignment,
    plan: &Planned,
    keys: &JobKeys,
    made: &[Made],
    renditions: &[Assembled],
    storyboard: Option<String>,
    written: Vec<ObjectRef>,
) -> Receipt {
    let poster = poster::poster(made);
    let mut warnings = plan.warnings.clone();
    warnings.extend(made.iter().flat_map(|made| made.output.warnings.iter().cloned()));
    warnings.extend(missing_images(plan, poster.as_ref(), storyboard.as_deref()));
    let media = renditions.iter().flat_map(|rendition| rendition.objects(keys));
    let captions = made.iter().flat_map(|made| &made.output.subtitles);
    let captions = captions.map(|captions| captions.object.clone());
    let lists = made.iter().filter_map(|made| made.list.clone());
    Receipt {
        v: VERSION,
        job_id: assignment.state.job_id.clone(),
        file_id: assignment.state.file_id().clone(),
        duration_seconds: renditions.iter().map(Assembled::seconds).fold(0.0, f64::max),
        renditions: renditions
            .iter()
            .map(|rendition| playlists::ended(plan, rendition))
            .collect(),
        poster: poster.as_ref().map(|poster| poster.key.clone()),
        storyboard,
        warnings,
        objects: media
            .chain(poster)
            .chain(captions)
            .chain(lists)
            .chain(written)
            .collect(),
        checks: renditions.iter().map(checked).collect(),
    }
}

fn checked(rendition: &Assembled) -> Check {
    let what = match &rendition.rendition {
        Rendition::Video(_) => "frames",
        Rendition::Audio(_) => "samples",
    };
    Check {
        name: format!("grid_{}", rendition.name()),
        found: format!(
            "{} segments follow each other without gap; {} {what}, {:.3} s.",
            rendition.segments.len(),
            rendition.units,
            rendition.seconds()
        ),
    }
}
