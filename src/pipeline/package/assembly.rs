//! One rendition from what its tasks made, and the proof that the pieces fit. Pure.

use media::cmaf::gate::AUDIO_TOLERANCE_SECONDS;
use storage::JobKeys;
use streams::RenditionName;
use streams::plan::{Planned, Rendition};
use streams::task::{Duty, TaskName};
use streams::work::{ObjectRef, RenditionOutput, SegmentOutput};

use crate::job::receipt::TaskResult;

/// The file of a media playlist, in the folder of its rendition.
const MEDIA_PLAYLIST: &str = "index.m3u8";

/// A whole rendition.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AssembledRendition {
    /// The rendition as planned.
    pub(super) rendition: Rendition,
    /// The init segment all its segments are played with.
    pub(super) init: ObjectRef,
    /// Hash of what every init segment of the rendition must have in common.
    pub(super) init_match: String,
    /// The file of its media playlist, in its folder.
    pub(super) playlist: String,
    /// RFC 6381 codec string.
    pub(super) codecs: String,
    /// Ticks per second.
    pub(super) timescale: u32,
    /// Frames or samples.
    pub(super) units: u64,
    /// All segments, in order, with the attempt in their keys.
    pub(super) segments: Vec<(u64, SegmentOutput)>,
}

/// Why a piece does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentMismatch {
    /// The task that made it.
    pub(super) task: TaskName,
    /// What is wrong, one sentence.
    pub(super) reason: String,
}

impl AssembledRendition {
    /// The name of the rendition.
    pub(super) fn name(&self) -> &RenditionName {
        self.rendition.name()
    }

    /// The file of its init segment, in its folder.
    pub(super) fn init_file(&self) -> &str {
        self.init.key.rsplit('/').next().unwrap_or_default()
    }

    /// Bytes of all its objects.
    pub(super) fn bytes(&self) -> u64 {
        self.init.size
            + self
                .segments
                .iter()
                .map(|(_, segment)| segment.size)
                .sum::<u64>()
    }

    /// Length in seconds.
    #[expect(
        clippy::cast_precision_loss,
        reason = "tick counts stay far below 2^52"
    )]
    pub(super) fn seconds(&self) -> f64 {
        let ticks: u64 = self
            .segments
            .iter()
            .map(|(_, segment)| segment.duration)
            .sum();
        ticks as f64 / f64::from(self.timescale)
    }

    /// Every object of the rendition that tasks made.
    pub(super) fn objects<'a>(&'a self, keys: &'a JobKeys) -> impl Iterator<Item = ObjectRef> + 'a {
        let name = self.name().as_str();
        let segments = self
            .segments
            .iter()
            .map(move |(attempt, segment)| ObjectRef {
                key: keys.segment(name, u64::from(segment.n), *attempt),
                size: segment.size,
                sha256: segment.sha256.clone(),
                etag: segment.etag.clone(),
            });
        std::iter::once(self.init.clone()).chain(segments)
    }
}

/// Joins what all tasks made, in the order of the plan.
///
/// # Errors
/// Every task whose output does not fit the others'.
pub(super) fn assemble(
    plan: &Planned,
    made: &[TaskResult],
) -> Result<Vec<AssembledRendition>, Vec<SegmentMismatch>> {
    let mut whole = Vec::new();
    let mut mismatches = Vec::new();

    for rendition in &plan.renditions {
        let pieces: Vec<(&TaskResult, &RenditionOutput)> = made
            .iter()
            .filter_map(|made| {
                made.output
                    .renditions
                    .iter()
                    .find(|output| output.name == *rendition.name())
                    .map(|output| (made, output))
            })
            .collect();
        match join(plan, rendition, &pieces) {
            Ok(assembled) => whole.push(assembled),
            Err(mismatch) => mismatches.push(mismatch),
        }
    }

    if mismatches.is_empty() {
        return Ok(whole);
    }
    // A task is done again as a whole, so one mismatch of each is enough.
    mismatches.sort_by_key(|mismatch| mismatch.task);
    mismatches.dedup_by_key(|mismatch| mismatch.task);
    Err(mismatches)
}

fn join(
    plan: &Planned,
    rendition: &Rendition,
    pieces: &[(&TaskResult, &RenditionOutput)],
) -> Result<AssembledRendition, SegmentMismatch> {
    let task = match rendition {
        Rendition::Video(_) => TaskName::video(0),
        Rendition::Audio(_) => TaskName::TRACKS,
    };

    let Some((_, head)) = pieces.iter().find(|(made, _)| !made.repair) else {
        return Err(SegmentMismatch {
            task,
            reason: format!("There is no output of {}.", rendition.name()),
        });
    };

    let segments = latest_segments(rendition, head, pieces)?;
    // No playlist has EXT-X-DISCONTINUITY, so segments must follow each other without a gap, by
    // number and by time.
    let (mut start, mut due) = (0, 0);
    for (task, _, segment) in &segments {
        if segment.n != due || segment.start != start {
            let (name, n, at) = (rendition.name(), segment.n, segment.start);
            return Err(SegmentMismatch {
                task: *task,
                reason: format!(
                    "{name}: segment {n} begins at tick {at}, but segment {due} is due at tick {start}."
                ),
            });
        }
        start += segment.duration;
        due += 1;
    }

    // A repair makes segments again that a task made before, so its units would count twice.
    let own = pieces.iter().filter(|(made, _)| !made.repair);
    let repaired = pieces.iter().rfind(|(made, _)| made.repair);
    let assembled = AssembledRendition {
        rendition: rendition.clone(),
        init: repaired
            .map_or(&head.init, |(_, piece)| &piece.init)
            .clone(),
        init_match: head.init_match.clone(),
        playlist: MEDIA_PLAYLIST.to_owned(),
        codecs: head.codecs.clone(),
        timescale: head.timescale,
        units: own.map(|(_, piece)| piece.units).sum(),
        segments: segments
            .into_iter()
            .map(|(_, attempt, segment)| (attempt, segment.clone()))
            .collect(),
    };

    // Only the last chunk may have another number of frames than planned, so a wrong length is its
    // fault.
    let last = pieces
        .iter()
        .rfind(|(made, _)| !made.repair)
        .map_or(task, |(made, _)| made.task);
    whole_length(plan, &assembled).map_err(|reason| SegmentMismatch { task: last, reason })?;

    Ok(assembled)
}

/// Every segment as it was made last, with the task and the attempt that made it. All pieces must
/// share one init segment.
fn latest_segments<'a>(
    rendition: &Rendition,
    head: &RenditionOutput,
    pieces: &[(&'a TaskResult, &'a RenditionOutput)],
) -> Result<Vec<(TaskName, u64, &'a SegmentOutput)>, SegmentMismatch> {
    let mut segments: Vec<(TaskName, u64, &SegmentOutput)> = Vec::new();
    for (made, piece) in pieces {
        if piece.init_match != head.init_match || piece.timescale != head.timescale {
            return Err(SegmentMismatch {
                task: made.task,
                reason: format!(
                    "{}: its init segment does not match the first chunk's.",
                    rendition.name()
                ),
            });
        }

        for segment in &piece.segments {
            let entry = (made.task, made.attempt, segment);
            // Only a repair replaces a segment. One that two tasks made stays twice here, and
            // `join` refuses it.
            let before = segments.iter_mut().filter(|_| made.repair);
            match before
                .into_iter()
                .find(|(_, _, before)| before.n == segment.n)
            {
                Some(before) => *before = entry,
                None => segments.push(entry),
            }
        }
    }
    Ok(segments)
}

/// A rendition must be as long as its input.
#[expect(
    clippy::cast_precision_loss,
    reason = "frame counts stay far below 2^52"
)]
fn whole_length(plan: &Planned, assembled: &AssembledRendition) -> Result<(), String> {
    match (&assembled.rendition, &plan.video) {
        (Rendition::Video(rendition), Some(video)) => {
            let planned =
                video.frames as f64 / video.frame_rate.as_f64() * rendition.frame_rate.as_f64();
            // The last chunk may be two frames longer or shorter than planned; the half is for
            // rounding.
            let off = assembled.units as f64 - planned;
            if off.abs() > 2.5 {
                return Err(format!(
                    "{} has {} frames instead of the planned {planned:.0}.",
                    rendition.name, assembled.units
                ));
            }
        }
        (Rendition::Audio(rendition), _) => {
            let seconds = assembled.seconds();
            if (seconds - rendition.duration).abs() > AUDIO_TOLERANCE_SECONDS {
                return Err(format!(
                    "{} lasts {seconds:.3} s, the programme {:.3} s.",
                    rendition.name, rendition.duration
                ));
            }
        }
        (Rendition::Video(rendition), None) => {
            return Err(format!("{} was not planned.", rendition.name));
        }
    }

    Ok(())
}

/// The task that made segment `n` of a rendition, for blaming an object on it.
pub(super) fn find_task_of_segment(plan: &Planned, rendition: &Rendition, n: u32) -> TaskName {
    match (rendition, &plan.video) {
        (Rendition::Video(_), Some(video)) => {
            let chunk = video
                .chunks
                .iter()
                .rposition(|first| *first <= n)
                .unwrap_or(0);
            TaskName {
                duty: Duty::Video(u32::try_from(chunk).unwrap_or(0)),
                redo: false,
            }
        }
        _ => TaskName::TRACKS,
    }
}
