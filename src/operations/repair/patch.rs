//! Which objects of a new encode replace damaged ones. Pure.

use std::collections::{BTreeMap, BTreeSet};

use streams::RenditionName;
use streams::task::TaskName;
use streams::work::{RenditionOutput, SubtitleOutput, TaskOutput};

use crate::pipeline::package::{CurrentRendition, OutputObject};

/// Why a new encode cannot replace damaged objects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SegmentMismatch {
    /// The new decoder configuration is another one.
    #[error(
        "{name} gets other codec settings from this ffmpeg ({ffmpeg}) than the rest of it has; repair it where the ffmpeg of its plan \
         is installed, or submit the file again"
    )]
    Init {
        /// The rendition.
        name: RenditionName,
        /// The build that encoded it now.
        ffmpeg: String,
    },
    /// A segment does not lie where the damaged one lay.
    #[error("segment {n} of {name}, made again, is not at its former place")]
    Segment {
        /// The rendition.
        name: RenditionName,
        /// The segment.
        n: u32,
    },
    /// Something was not made this time.
    #[error("{0} was not made this time")]
    Nothing(&'static str),
}

/// The objects of `fresh`, the complete output of `task`, that replace its `damaged` objects;
/// `current` is the current state of the renditions.
///
/// Groups of pictures are closed, so that new segments of video can be mixed with old ones. Audio
/// overlaps from one segment to the next: a new segment can be mixed with old ones only if all
/// others came out as they were, bit for bit; else the track is replaced as a whole.
pub(super) fn make_patch(
    task: TaskName,
    fresh: &TaskOutput,
    damaged: &[OutputObject],
    current: &BTreeMap<RenditionName, CurrentRendition>,
) -> Result<TaskOutput, SegmentMismatch> {
    let mut patch = TaskOutput {
        ffmpeg: fresh.ffmpeg.clone(),
        ..TaskOutput::default()
    };

    let renditions: BTreeSet<&RenditionName> = damaged.iter().filter_map(rendition_of).collect();
    for name in renditions {
        let made = fresh.renditions.iter().find(|made| made.name == *name);
        let (made, current) = made
            .zip(current.get(name))
            .ok_or(SegmentMismatch::Nothing("a rendition"))?;

        // A playlist has one init segment (`EXT-X-MAP`) for old and new segments.
        if made.init_match != current.init_match {
            return Err(SegmentMismatch::Init {
                name: name.clone(),
                ffmpeg: fresh.ffmpeg.clone(),
            });
        }

        patch
            .renditions
            .push(patch_rendition(task, made, damaged, current)?);
        patch.evidence.extend(
            fresh
                .evidence
                .iter()
                .find(|evidence| evidence.name == *name)
                .cloned(),
        );
    }

    if damaged.contains(&OutputObject::Poster) {
        patch.poster = Some(
            fresh
                .poster
                .clone()
                .ok_or(SegmentMismatch::Nothing("the poster"))?,
        );
        patch.poster_score = fresh.poster_score;
    }
    if damaged.contains(&OutputObject::Tiles) {
        patch.tiles = Some(
            fresh
                .tiles
                .clone()
                .ok_or(SegmentMismatch::Nothing("the storyboard"))?,
        );
    }

    let subtitles =
        |made: &&SubtitleOutput| damaged.contains(&OutputObject::Subtitles(made.name.clone()));
    patch.subtitles = fresh.subtitles.iter().filter(subtitles).cloned().collect();
    let wanted = damaged
        .iter()
        .filter(|object| matches!(object, OutputObject::Subtitles(_)))
        .count();
    if patch.subtitles.len() < wanted {
        return Err(SegmentMismatch::Nothing("a subtitle track"));
    }

    Ok(patch)
}

const fn rendition_of(object: &OutputObject) -> Option<&RenditionName> {
    match object {
        OutputObject::Init(name) | OutputObject::Segment(name, _) => Some(name),
        OutputObject::Poster
        | OutputObject::Tiles
        | OutputObject::Subtitles(_)
        | OutputObject::List => None,
    }
}

fn patch_rendition(
    task: TaskName,
    made: &RenditionOutput,
    damaged: &[OutputObject],
    current: &CurrentRendition,
) -> Result<RenditionOutput, SegmentMismatch> {
    let name = &made.name;
    let is_damaged = |n: u32| damaged.contains(&OutputObject::Segment(name.clone(), n));
    let mut segments = Vec::new();

    for object in damaged {
        let OutputObject::Segment(of, n) = object else {
            continue;
        };
        if of != name {
            continue;
        }

        let segment = made.segments.iter().find(|segment| segment.n == *n);
        // Its neighbours stay, so the new segment must begin and end exactly where the old one did.
        let before = current
            .segments
            .get(n)
            .map(|(start, duration, _)| (*start, *duration));
        let segment = segment.filter(|segment| Some((segment.start, segment.duration)) == before);
        let segment = segment.ok_or_else(|| SegmentMismatch::Segment {
            name: name.clone(),
            n: *n,
        })?;
        segments.push(segment.clone());
    }

    let as_they_were = made.segments.iter().all(|segment| {
        let before = current.segments.get(&segment.n);
        is_damaged(segment.n) || before.is_some_and(|(_, _, sha256)| *sha256 == segment.sha256)
    });
    if task == TaskName::TRACKS && !segments.is_empty() && !as_they_were {
        segments.clone_from(&made.segments);
    }

    segments.sort_by_key(|segment| segment.n);
    let init = if damaged.contains(&OutputObject::Init(name.clone())) {
        made.init.clone()
    } else {
        current.init.clone()
    };

    Ok(RenditionOutput {
        init,
        segments,
        ..made.clone()
    })
}

#[cfg(test)]
mod tests {
    use streams::work::{ObjectRef, SegmentOutput};

    use super::*;

    fn object(key: &str) -> ObjectRef {
        ObjectRef {
            key: key.to_owned(),
            size: 1,
            sha256: key.to_owned(),
            etag: None,
        }
    }

    fn name() -> RenditionName {
        "a".parse().unwrap()
    }

    /// A fresh encode of three segments with these hashes.
    fn fresh(hashes: [&str; 3], init_match: &str) -> TaskOutput {
        let segments = hashes.iter().zip(0..).map(|(sha256, n)| SegmentOutput {
            n,
            start: u64::from(n) * 100,
            duration: 100,
            key_frame: None,
            size: 1,
            sha256: (*sha256).to_owned(),
            etag: None,
        });

        TaskOutput {
            renditions: vec![RenditionOutput {
                name: name(),
                init: object("new-init"),
                init_match: init_match.to_owned(),
                codecs: String::new(),
                timescale: 25,
                units: 300,
                segments: segments.collect(),
            }],
            poster: Some(object("new-poster")),
            ..TaskOutput::default()
        }
    }

    fn current_renditions() -> BTreeMap<RenditionName, CurrentRendition> {
        let segments = (0..3_u32).map(|n| (n, (u64::from(n) * 100, 100, format!("old-{n}"))));
        let current = CurrentRendition {
            init: object("old-init"),
            init_match: "m".to_owned(),
            segments: segments.collect(),
        };
        BTreeMap::from([(name(), current)])
    }

    fn patched(task: TaskName, hashes: [&str; 3], damaged: &[OutputObject]) -> RenditionOutput {
        let patch = make_patch(task, &fresh(hashes, "m"), damaged, &current_renditions()).unwrap();
        assert_eq!(patch.poster, None);
        patch.renditions.into_iter().next().unwrap()
    }

    fn numbers(made: &RenditionOutput) -> Vec<u32> {
        made.segments.iter().map(|segment| segment.n).collect()
    }

    #[test]
    fn only_damaged_segments_of_video_are_replaced_whatever_became_of_the_others() {
        let made = patched(
            TaskName::video(0),
            ["x", "y", "z"],
            &[OutputObject::Segment(name(), 1)],
        );
        assert_eq!(
            (numbers(&made), made.init.key.as_str()),
            (vec![1], "old-init")
        );
    }

    #[test]
    fn sound_is_replaced_as_a_whole_unless_all_else_came_out_as_it_was() {
        let damaged = [OutputObject::Segment(name(), 1), OutputObject::Init(name())];
        let same = patched(TaskName::TRACKS, ["old-0", "y", "old-2"], &damaged);
        assert_eq!(
            (numbers(&same), same.init.key.as_str()),
            (vec![1], "new-init")
        );
        let other = patched(TaskName::TRACKS, ["old-0", "y", "z"], &damaged);
        assert_eq!(numbers(&other), [0, 1, 2]);
    }

    #[test]
    fn an_init_segment_alone_brings_no_segments() {
        let made = patched(
            TaskName::TRACKS,
            ["x", "y", "z"],
            &[OutputObject::Init(name())],
        );
        assert_eq!(
            (numbers(&made), made.init.key.as_str()),
            (vec![], "new-init")
        );
    }

    #[test]
    fn what_does_not_fit_is_not_taken() {
        let damaged = [OutputObject::Segment(name(), 1)];
        let of = |fresh: &TaskOutput, damaged: &[OutputObject]| {
            make_patch(TaskName::video(0), fresh, damaged, &current_renditions())
        };
        assert!(matches!(
            of(&fresh(["x"; 3], "other"), &damaged),
            Err(SegmentMismatch::Init { .. })
        ));

        let mut moved = fresh(["x"; 3], "m");
        moved.renditions[0].segments[1].start += 1;
        assert!(matches!(
            of(&moved, &damaged),
            Err(SegmentMismatch::Segment { n: 1, .. })
        ));

        moved.poster = None;
        assert_eq!(
            of(&moved, &[OutputObject::Poster]),
            Err(SegmentMismatch::Nothing("the poster"))
        );
    }
}
