//! The checks of counts, times, lengths and rates, as the receipt lists them. Pure.

use streams::plan::{Planned, Rendition, TrackKind};
use streams::task::TaskName;
use streams::work::ObjectRef;

use super::assembly::{AssembledRendition, find_task_of_segment};
use super::derived::DerivedObject;
use super::playlists;
use crate::job::receipt::Check;

/// The warning of a rendition whose length is not that of its source track.
const LENGTH_DIFFERS: &str = "length_differs";

/// Seconds by which a rendition may be longer or shorter than its source track before that is a
/// warning, where its frames or packets are no longer.
const TOLERANCE: f64 = 0.25;

/// Every segment of video begins at its exact place on the grid all renditions share.
///
/// # Errors
/// The tasks whose segments do not, each with one sentence.
pub(super) fn check_grid(
    plan: &Planned,
    renditions: &[AssembledRendition],
) -> Result<(), Vec<(TaskName, String)>> {
    let mut faults = Vec::new();
    for rendition in renditions {
        let Rendition::Video(_) = rendition.rendition else {
            continue;
        };

        let duration = plan.segment.duration;
        for (_, segment) in &rendition.segments {
            let (start, n) = (i128::from(segment.start), i128::from(segment.n));
            // This is start / timescale = n * duration, multiplied out so that nothing is rounded.
            let due = n * i128::from(duration.num()) * i128::from(rendition.timescale);
            if start * i128::from(duration.den()) != due {
                let reason = format!(
                    "{}: segment {} begins at tick {}, not at its place on the grid.",
                    rendition.name(),
                    segment.n,
                    segment.start
                );
                faults.push((
                    find_task_of_segment(plan, &rendition.rendition, segment.n),
                    reason,
                ));
            }
        }
    }

    faults.dedup_by_key(|(task, _)| *task);
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults)
    }
}

/// The checks of every rendition, those over all of them, and warnings.
pub(super) fn check_renditions(
    plan: &Planned,
    renditions: &[AssembledRendition],
) -> (Vec<Check>, Vec<&'static str>) {
    let (mut checks, mut warnings) = (Vec::new(), Vec::new());
    for rendition in renditions {
        checks.push(grid(rendition));
        let (check, differs) = length(plan, rendition);
        checks.push(check);
        warnings.extend(differs.then_some(LENGTH_DIFFERS));
        checks.push(rates(plan, rendition));
    }

    checks.extend(together(renditions));
    warnings.dedup();
    (checks, warnings)
}

fn grid(rendition: &AssembledRendition) -> Check {
    let what = match &rendition.rendition {
        Rendition::Video(_) => "frames",
        Rendition::Audio(_) => "samples",
    };

    let segments = rendition.segments.len();
    let found = format!(
        "{segments} segments follow each other without gaps, and each starts with a key frame; {} {what}.",
        rendition.units
    );
    Check::new(format!("grid_{}", rendition.name()), found)
        .figure("segments", count(segments))
        .figure(what, count(rendition.units))
        .figure("seconds", rendition.seconds())
}

/// The length compared with that of the source track, and whether they differ. The container may be
/// wrong about a track, so a difference is a warning; the length planned from its packets is
/// enforced by an earlier gate.
fn length(plan: &Planned, rendition: &AssembledRendition) -> (Check, bool) {
    let (track, padding) = match (&rendition.rendition, &plan.video) {
        (Rendition::Audio(audio), _) => (Some(audio.track), audio.padding()),
        (Rendition::Video(_), Some(video)) => (
            Some(video.track),
            count(video.held_frames()) / video.frame_rate.as_f64(),
        ),
        (Rendition::Video(_), None) => (None, 0.0),
    };
    let track = plan
        .source
        .tracks
        .iter()
        .find(|source| Some(source.index) == track);

    let name = format!("length_{}", rendition.name());
    let seconds = rendition.seconds();
    let Some(source) = track.and_then(|track| track.end) else {
        let check = Check::new(name, "The source does not give the length of its track.");
        return (check.figure("seconds", seconds), false);
    };

    // What a track has beyond the programme was cut, what it lacks was padded.
    let difference = seconds - (source.min(plan.programme) + padding).min(plan.programme);
    let found = format!(
        "{seconds:.3} s from zero to its end; its source track has {source:.3} s, and {padding:.3} s were padded."
    );
    let steps = match &rendition.rendition {
        Rendition::Video(video) => 2.5 / video.frame_rate.as_f64().max(1.0),
        Rendition::Audio(audio) => audio.tolerance(),
    };

    let check = Check::new(name, found)
        .figure("seconds", seconds)
        .figure("source_seconds", source)
        .figure("padded_seconds", padding)
        .figure("difference_seconds", difference);
    (check, difference.abs() > TOLERANCE.max(steps))
}

fn rates(plan: &Planned, rendition: &AssembledRendition) -> Check {
    let rates = playlists::bandwidth(plan, rendition);
    let found = format!(
        "Measured: at most {} bits per second, and {} on average.",
        rates.peak, rates.average
    );
    Check::new(format!("bandwidth_{}", rendition.name()), found)
        .figure("bandwidth", count(rates.peak))
        .figure("average_bandwidth", count(rates.average))
        .figure("bytes", count(rendition.bytes()))
}

/// Video compared with audio.
fn together(renditions: &[AssembledRendition]) -> Option<Check> {
    let longest = |video: bool| {
        let of_kind = renditions
            .iter()
            .filter(|rendition| matches!(rendition.rendition, Rendition::Video(_)) == video);
        of_kind.map(AssembledRendition::seconds).reduce(f64::max)
    };

    let (video, audio) = (longest(true)?, longest(false)?);
    let found = format!("Video lasts {video:.3} s, audio {audio:.3} s; both begin at zero.");
    Some(
        Check::new("audio_video", found)
            .figure("video_seconds", video)
            .figure("audio_seconds", audio)
            .figure("difference_seconds", audio - video),
    )
}

/// What tasks made, as it was compared with the bucket before the receipt was written.
pub(super) fn check_objects(made: &[ObjectRef]) -> Check {
    let number = made.len();
    let found = format!(
        "{number} objects are in the bucket with the sizes and versions that were read back and hashed."
    );
    Check::new("objects", found)
        .figure("objects", count(number))
        .figure(
            "bytes",
            count(made.iter().map(|object| object.size).sum::<u64>()),
        )
}

/// What is derived, as it was read back before the receipt was written.
pub(super) fn check_written(derived: &[DerivedObject<'_>]) -> Check {
    let found = "Every playlist, and every sheet of the storyboard, reads back byte for byte as it was written.";
    Check::new("derived", found).figure("objects", count(derived.len()))
}

/// What the source has and the output lacks, counted by kind: nothing is left out silently.
pub(super) fn check_tracks(plan: &Planned) -> Check {
    let of = |kind: TrackKind| {
        count(
            plan.source
                .tracks
                .iter()
                .filter(|track| track.kind == kind)
                .count(),
        )
    };
    let audios = plan.audios().count();
    let found = format!(
        "The source has {} tracks; the output has {} video, {audios} audio and {} subtitle renditions.",
        plan.source.tracks.len(),
        plan.videos().count(),
        plan.subtitles.len()
    );

    Check::new("tracks", found)
        .figure("source_video", of(TrackKind::Video))
        .figure("source_audio", of(TrackKind::Audio))
        .figure("source_subtitles", of(TrackKind::Subtitle))
        .figure("audio", count(audios))
        .figure("subtitles", count(plan.subtitles.len()))
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn count(number: impl TryInto<u64>) -> f64 {
    number.try_into().unwrap_or(u64::MAX) as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use streams::work::SegmentOutput;

    use super::*;
    use streams::testing::planned;

    /// The top rung of the test plan, 15.015 s long: 900 frames of 1001 ticks.
    fn top(plan: &Planned) -> AssembledRendition {
        let segments = [240, 240, 240, 180].iter().zip(0_u32..).map(|(frames, n)| {
            let segment = SegmentOutput {
                n,
                start: u64::from(n) * 240 * 1001,
                duration: frames * 1001,
                key_frame: None,
                size: 1000,
                sha256: String::new(),
                etag: None,
            };
            (1, segment)
        });

        AssembledRendition {
            rendition: plan.renditions[0].clone(),
            init: ObjectRef {
                key: "1080p/init-1.mp4".to_owned(),
                size: 10,
                sha256: String::new(),
                etag: None,
            },
            init_match: String::new(),
            playlist: String::new(),
            codecs: String::new(),
            timescale: 60_000,
            units: 900,
            segments: segments.collect(),
        }
    }

    #[test]
    fn the_map_of_the_code_tells_every_check_and_no_other() {
        let plan = planned();
        let video = top(&plan);
        let sound = AssembledRendition {
            rendition: plan.renditions[2].clone(),
            ..video.clone()
        };

        let evidence = serde_json::json!({ "renditions": [], "evidence": [{ "name": "1080p", "pictures": [
            { "frame": 0, "ssim": 1.0, "luma": 90.0, "source_luma": 90.0 }] }] });
        let made = crate::job::receipt::TaskResult {
            task: TaskName::video(0),
            attempt: 1,
            output: serde_json::from_value(evidence).unwrap(),
            list: None,
            repair: false,
        };

        let mut all = check_renditions(&plan, &[video, sound]).0;
        all.extend([check_tracks(&plan), check_objects(&[]), check_written(&[])]);
        all.extend(crate::pipeline::package::content::judge_content(&plan, &[made]).checks);

        let family = |name: &str| match name.split_once('_') {
            Some((family, rest)) if rest != "video" => format!("{family}_<rendition>"),
            _ => name.to_owned(),
        };
        let found: BTreeSet<String> = all.iter().map(|check| family(&check.name)).collect();

        let page = include_str!("../../../docs/receipt.md");
        let table = page
            .split("## What the receipt proves")
            .nth(1)
            .and_then(|rest| rest.split("\n## ").next());
        let rows = table
            .unwrap()
            .lines()
            .filter_map(|line| line.strip_prefix("| `"));
        let documented: BTreeSet<String> = rows
            .map(|row| row.split('`').next().unwrap().to_owned())
            .collect();
        assert_eq!(found, documented);
    }

    #[test]
    fn a_segment_off_the_grid_is_the_fault_of_its_chunk() {
        let plan = planned();
        let mut rendition = top(&plan);
        assert_eq!(check_grid(&plan, std::slice::from_ref(&rendition)), Ok(()));
        rendition.segments[3].1.start += 1;
        let faults = check_grid(&plan, &[rendition]).unwrap_err();
        assert_eq!((faults.len(), faults[0].0), (1, TaskName::video(2)));
    }

    #[test]
    fn lengths_are_held_against_the_source_track_and_a_difference_is_reported() {
        let mut plan = planned();
        let rendition = top(&plan);
        let (found, warnings) = check_renditions(&plan, std::slice::from_ref(&rendition));
        assert_eq!(
            found
                .iter()
                .map(|check| check.name.as_str())
                .collect::<Vec<_>>(),
            ["grid_1080p", "length_1080p", "bandwidth_1080p"]
        );
        assert!((found[0].figures["seconds"] - 15.015).abs() < 1e-9 && warnings.is_empty());

        let track =
            serde_json::json!({ "index": 1, "kind": "video", "codec": "h264", "end": 18.0 });
        plan.source
            .tracks
            .push(serde_json::from_value(track).unwrap());
        plan.programme = 18.0;
        let (found, warnings) = check_renditions(&plan, &[rendition]);
        assert!((found[1].figures["difference_seconds"] + 2.985).abs() < 1e-6);
        assert_eq!(warnings, [LENGTH_DIFFERS]);
    }
}
