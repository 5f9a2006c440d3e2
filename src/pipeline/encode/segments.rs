//! The segments of a rendition: where ffmpeg writes them, and what is known of them once they are
//! in the bucket.

use std::path::{Path, PathBuf};

use ffmpeg::argv;
use media::cmaf::{FragmentInfo, InitInfo};
use storage::ObjectKind;
use streams::plan::Planned;
use streams::task::{Duty, TaskName};
use streams::work::{ObjectRef, RenditionOutput, SegmentOutput};
use streams::{Rational, RenditionName};

/// The directory into which ffmpeg writes one rendition, and what its segments must be like.
#[derive(Debug, Clone)]
pub(super) struct RenditionDir {
    /// The rendition; the directory has its name.
    pub(super) name: RenditionName,
    /// The kind of its segments.
    pub(super) kind: ObjectKind,
    /// The number of its first segment in this task.
    pub(super) first_segment: u32,
    /// The time in seconds from zero at which the first segment has to begin. None if it cannot be
    /// too late, because the source is read from its beginning.
    pub(super) expected_start: Option<Rational>,
    /// The number of the last segment of the rendition, where this task makes it. What ffmpeg makes
    /// behind it belongs to it.
    pub(super) last_segment: Option<u32>,
    /// Whether an I-frame playlist names its key frames.
    pub(super) has_iframe_playlist: bool,
}

/// Whether ffmpeg still writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FfmpegState {
    /// Further segments may come.
    Running,
    /// All segments exist.
    Ended,
}

impl RenditionDir {
    /// Its path below the directory of the task.
    pub(super) fn path(&self, task_dir: &Path) -> PathBuf {
        task_dir.join(self.name.as_str())
    }

    /// The file of segment `n`.
    pub(super) fn segment_file(&self, task_dir: &Path, n: u32) -> PathBuf {
        self.path(task_dir).join(argv::segment_file(n))
    }

    /// Whether segment `n` of the rendition is complete once its file exists: the last one ends
    /// with ffmpeg.
    pub(super) fn is_final(&self, n: u32, ffmpeg: FfmpegState) -> bool {
        self.last_segment
            .is_none_or(|last| n < last || (n == last && ffmpeg == FfmpegState::Ended))
    }

    /// How many segments `task` makes of the rendition.
    pub(super) fn segment_count(&self, plan: &Planned, task: TaskName) -> u32 {
        let next_chunk = match (task.duty, &plan.video) {
            (Duty::Video(chunk), Some(video)) => chunk
                .checked_add(1)
                .and_then(|next| video.chunks.get(next as usize)),
            _ => None,
        };
        let end = next_chunk.copied().unwrap_or(plan.segment.count);
        end.saturating_sub(self.first_segment)
    }
}

/// A segment that is in the bucket.
#[derive(Debug, Clone)]
pub(super) struct UploadedSegment {
    /// What `done` says of it.
    pub(super) output: SegmentOutput,
    /// What is in it.
    pub(super) fragment: FragmentInfo,
}

/// What `done` and `part` say of a rendition. `units` are its frames or samples.
pub(super) fn rendition_output(
    name: &RenditionName,
    init: InitInfo,
    init_object: ObjectRef,
    units: u64,
    segments: &[UploadedSegment],
) -> RenditionOutput {
    RenditionOutput {
        name: name.clone(),
        init: init_object,
        init_match: init.match_hash(),
        codecs: init.codec.text,
        timescale: init.timescale,
        units,
        segments: segments
            .iter()
            .map(|segment| segment.output.clone())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use streams::testing::planned;

    use super::*;

    #[test]
    fn a_rendition_has_the_segments_of_its_task() {
        let plan = planned();
        let dir = |name: &RenditionName, first_segment| RenditionDir {
            name: name.clone(),
            kind: ObjectKind::Video,
            first_segment,
            expected_start: None,
            last_segment: None,
            has_iframe_playlist: false,
        };

        let (rung, sound) = (
            &plan.videos().next().unwrap().name,
            &plan.audios().next().unwrap().name,
        );
        let chunks = [(0, 0), (1, 1), (2, 3)]
            .map(|(chunk, first)| dir(rung, first).segment_count(&plan, TaskName::video(chunk)));

        assert_eq!(chunks, [1, 2, 1]);
        assert_eq!(dir(sound, 0).segment_count(&plan, TaskName::TRACKS), 4);
    }
}
