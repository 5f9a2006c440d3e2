//! The `planned` fact: everything decided about a job, so that any worker encodes the same output.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::head::Head;
use crate::rational::Rational;
use crate::task::{Class, Lane, TaskName};

mod images;
mod insight;
mod rendition;
mod source;
mod video;

pub use images::Storyboard;
pub use insight::{Complexity, Cost, LeftOut, RungSample};
pub use rendition::{AudioRendition, Rendition, SourceChannels, SubtitleRendition, VideoRendition};
pub use source::{Source, SourceCopy, Track, TrackKind};
pub use video::{FieldOrder, Matrix, Picture, Primaries, SourceColor, Transfer, VideoPlan};

/// The job was planned. The first `planned` of a job is authoritative; a worker that loses the race
/// uses the winner's plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Planned {
    /// What every fact begins with.
    #[serde(flatten)]
    pub head: Head,
    /// The name of the profile that was used.
    #[serde(default)]
    pub profile: String,
    /// The source.
    pub source: Source,
    /// Where zero of the output lies on the source's clock.
    pub timeline: Timeline,
    /// Seconds from zero to the end of the programme: the end of the video or of the audio,
    /// whichever is later. Every rendition has this length.
    pub programme: f64,
    /// The segment grid of all renditions.
    pub segment: Segment,
    /// The video and its chunks; absent for audio-only sources.
    #[serde(default)]
    pub video: Option<VideoPlan>,
    /// The tracks to encode: video from the top rung down, then audio, the default one first.
    pub renditions: Vec<Rendition>,
    /// The text subtitles that become WebVTT, in the order of the source.
    #[serde(default)]
    pub subtitles: Vec<SubtitleRendition>,
    /// Absolute stream index of the attached picture that becomes the poster of a source without
    /// video.
    #[serde(default)]
    pub cover: Option<u32>,
    /// The preview pictures for seeking; absent if the profile turns them off or there is no video.
    #[serde(default)]
    pub storyboard: Option<Storyboard>,
    /// What the source or the ladder has and the output lacks, and why.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// How hard the video is to encode, if it was sampled.
    #[serde(default)]
    pub complexity: Option<Complexity>,
    /// The expected cost of the job.
    #[serde(default)]
    pub cost: Option<Cost>,
    /// The tasks that must all be done, in the order they are put on the queue.
    pub tasks: Vec<PlannedTask>,
    /// What was left out or changed, as stable words.
    pub warnings: Vec<String>,
    /// The encoder build that all chunks must be made with.
    pub encoder: EncoderBuild,
    /// What a worker must support to carry out the plan, as stable words; a worker that lacks one
    /// leaves the job to a newer worker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
}

/// One task of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedTask {
    /// The task.
    pub task: TaskName,
    /// Its class.
    pub class: Class,
    /// Its lane.
    pub lane: Lane,
}

/// Where zero of the output lies on the source's clock.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timeline {
    /// The source time, in seconds, that becomes zero of the output.
    pub zero: Rational,
    /// The start time of the container, in seconds: seeking is relative to it.
    pub container_start: Rational,
}

/// The segment grid of all renditions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Segment {
    /// Exact length of every video segment but the last, in seconds; nominal for audio.
    pub duration: Rational,
    /// Segments of every rendition. The last one contains the rest: it may be shorter than the
    /// others, or longer by less than half a second, because players stop before a segment of only
    /// a few frames.
    pub count: u32,
    /// `EXT-X-TARGETDURATION` of every playlist of the job.
    pub target_duration: u32,
}

/// The build of the encoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EncoderBuild {
    /// ffmpeg's own version text, e.g. `5.1.9-0+deb12u1`.
    pub ffmpeg: String,
}

impl Segment {
    /// The number of the last segment.
    #[must_use]
    pub const fn last(&self) -> u32 {
        self.count.saturating_sub(1)
    }
}

impl Planned {
    /// Every need that this release can meet. So far no plan has any.
    pub const NEEDS: &'static [&'static str] = &[];

    /// The first need of the plan that this release cannot meet.
    #[must_use]
    pub fn unmet_need(&self) -> Option<&str> {
        let mut needs = self.needs.iter().map(String::as_str);
        needs.find(|need| !Self::NEEDS.contains(need))
    }

    /// The video renditions, top rung first.
    pub fn videos(&self) -> impl Iterator<Item = &VideoRendition> {
        self.renditions
            .iter()
            .filter_map(|rendition| match rendition {
                Rendition::Video(video) => Some(video),
                Rendition::Audio(_) => None,
            })
    }

    /// The audio renditions, the default one first.
    pub fn audios(&self) -> impl Iterator<Item = &AudioRendition> {
        self.renditions
            .iter()
            .filter_map(|rendition| match rendition {
                Rendition::Audio(audio) => Some(audio),
                Rendition::Video(_) => None,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_tile_the_video_without_gap_or_overlap() {
        let video = VideoPlan {
            track: 0,
            frame_rate: Rational::whole(25),
            segment_frames: 100,
            frames: 1234,
            source_end: 49.36,
            chunks: vec![0, 2, 5],
            seekable: true,
            seek_margin: 0.0,
            picture: Picture::default(),
        };

        assert_eq!(video.chunk_frames(0), Some((0, 200)));
        assert_eq!(video.chunk_frames(1), Some((200, 500)));
        assert_eq!(video.chunk_frames(2), Some((500, 1234)));
        assert_eq!(video.chunk_frames(3), None);
        assert!(video.is_last(2) && !video.is_last(1));
    }
}
