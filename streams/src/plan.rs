//! The `planned` fact: everything decided about a job, so that any worker encodes the same output.

use serde::{Deserialize, Serialize};

use crate::fact::Head;
use crate::id::RenditionName;
use crate::rational::Rational;
use crate::task::{Class, Lane, TaskName};

/// The job was planned. The first `planned` of a job is authoritative; who loses the race uses the winner's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// What every fact begins with.
    #[serde(flatten)]
    pub head: Head,
    /// What is transcoded.
    pub source: Source,
    /// Where zero of the output lies on the source's clock.
    pub timeline: Timeline,
    /// The grid all renditions share.
    pub segment: Segment,
    /// The video and its chunks; absent for audio-only sources.
    #[serde(default)]
    pub video: Option<VideoPlan>,
    /// The tracks to encode: video from the top rung down, then audio, the default one first.
    pub renditions: Vec<Rendition>,
    /// The tasks that must all be done, in the order they are put on the queue.
    pub tasks: Vec<PlannedTask>,
    /// What was left out or changed, as stable words.
    pub warnings: Vec<String>,
    /// The build whose output all chunks must match.
    pub encoder: EncoderBuild,
}

/// One task of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTask {
    /// The task.
    pub task: TaskName,
    /// Its class.
    pub class: Class,
    /// Its lane.
    pub lane: Lane,
}

/// The source object, pinned to one version, and what is in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The bucket the object is in.
    pub bucket: String,
    /// The key of the object.
    pub key: String,
    /// The version all readers pin.
    pub etag: String,
    /// Bytes.
    pub size: u64,
    /// From the container that was found, not from the event.
    pub mime_type: String,
    /// The demuxer's name, e.g. `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// Seconds from zero to the end of the longest track that is encoded.
    pub duration: f64,
    /// Every stream of the container.
    pub tracks: Vec<Track>,
}

/// One stream of the source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// Absolute stream index.
    pub index: u32,
    /// `video`, `audio`, `subtitle`, `cover` (an attached picture) or `data`.
    pub kind: TrackKind,
    /// The decoder's name for the codec, e.g. `h264`.
    pub codec: String,
    /// RFC 5646 or ISO 639 code where the container names one.
    #[serde(default)]
    pub language: Option<String>,
    /// Title the container gives the track.
    #[serde(default)]
    pub title: Option<String>,
    /// Whether the container marks the track as default.
    #[serde(default)]
    pub default: bool,
    /// Upright picture width in square pixels, video only.
    #[serde(default)]
    pub width: Option<u32>,
    /// Upright picture height in square pixels, video only.
    #[serde(default)]
    pub height: Option<u32>,
    /// Mean frames per second, video only.
    #[serde(default)]
    pub frame_rate: Option<Rational>,
    /// Channels, audio only.
    #[serde(default)]
    pub channels: Option<u32>,
    /// Samples per second, audio only.
    #[serde(default)]
    pub sample_rate: Option<u32>,
    /// Seconds from zero of the timeline to the track's first sample.
    #[serde(default)]
    pub start: Option<f64>,
    /// Seconds from zero of the timeline to the track's end.
    #[serde(default)]
    pub end: Option<f64>,
}

/// What a track carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrackKind {
    /// Moving pictures.
    Video,
    /// Sound.
    Audio,
    /// Text or bitmap subtitles.
    Subtitle,
    /// An attached picture.
    Cover,
    /// Anything else.
    Data,
}

/// Where zero of the output lies on the source's clock.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// The source time, in seconds, that becomes zero of the output.
    pub zero: Rational,
    /// The time the container starts at, in seconds: seeking is relative to it.
    pub container_start: Rational,
}

/// The segment grid all renditions share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Exact length of every video segment but the last, in seconds; nominal for audio.
    pub duration: Rational,
    /// `EXT-X-TARGETDURATION` of every playlist of the job.
    pub target_duration: u32,
}

/// The video of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoPlan {
    /// Absolute stream index in the source.
    pub track: u32,
    /// Output frames per second of the full-rate rungs.
    pub frame_rate: Rational,
    /// Frames of a segment of a full-rate rung.
    pub segment_frames: u32,
    /// Frames of the whole video at full rate. The last chunk may end two frames earlier or later; its count then rules.
    pub frames: u64,
    /// First segment of each chunk; chunk `k` ends where chunk `k + 1` begins, the last one at the end of the video.
    pub chunks: Vec<u32>,
    /// Whether the source can be entered at a time. If not there is one chunk, read from the start.
    pub seekable: bool,
    /// Seconds before its first frame at which a chunk starts to decode, beyond the key frame before it.
    #[serde(default)]
    pub seek_margin: f64,
    /// What is done to the picture before it is scaled.
    #[serde(default)]
    pub picture: Picture,
}

/// What the source's picture needs to become progressive, 8-bit BT.709 in limited range.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Whether fields are made into frames.
    #[serde(default)]
    pub deinterlace: bool,
    /// What the source's colours are.
    #[serde(default)]
    pub color: SourceColor,
}

/// How the source's samples stand for colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceColor {
    /// Standard definition video.
    Bt601,
    /// High definition video: what the output is too.
    #[default]
    Bt709,
    /// Wide gamut with a standard transfer.
    Bt2020,
    /// High dynamic range, SMPTE ST 2084.
    Pq,
    /// High dynamic range, ARIB STD-B67.
    Hlg,
}

impl VideoPlan {
    /// Frames of chunk `k` at full rate as `(first, end)`; the end of the last chunk is the planned total.
    #[must_use]
    pub fn chunk_frames(&self, k: u32) -> Option<(u64, u64)> {
        let k = usize::try_from(k).ok()?;
        let frame = |segment: u32| u64::from(segment) * u64::from(self.segment_frames);
        let first = frame(*self.chunks.get(k)?);
        Some((first, self.chunks.get(k + 1).map_or(self.frames, |next| frame(*next))))
    }

    /// Whether chunk `k` is the last one.
    #[must_use]
    pub fn is_last(&self, k: u32) -> bool {
        usize::try_from(k).is_ok_and(|k| k + 1 == self.chunks.len())
    }
}

/// One track to encode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Rendition {
    /// Moving pictures.
    Video(VideoRendition),
    /// Sound.
    Audio(AudioRendition),
}

impl Rendition {
    /// The name and folder of the rendition.
    #[must_use]
    pub const fn name(&self) -> &RenditionName {
        match self {
            Self::Video(video) => &video.name,
            Self::Audio(audio) => &audio.name,
        }
    }
}

/// One rung of the ladder, applied to this source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoRendition {
    /// Name and folder, e.g. `1080p`.
    pub name: RenditionName,
    /// Pixels, even.
    pub width: u32,
    /// Pixels, even.
    pub height: u32,
    /// Frames per second of this rung.
    pub frame_rate: Rational,
    /// Frames of a segment of this rung; every segment is one closed GOP, or several of `gop_frames`.
    pub segment_frames: u32,
    /// Frames of a GOP; divides `segment_frames`.
    pub gop_frames: u32,
    /// The encoder as ffmpeg names it, e.g. `libx264`.
    pub encoder: String,
    /// Encoder preset.
    pub preset: String,
    /// H.264 or H.265 profile.
    pub profile: String,
    /// Constant rate factor.
    pub crf: f64,
    /// Cap of the rate, bits per second.
    pub maxrate: u64,
    /// Size of the rate buffer, bits.
    pub bufsize: u64,
    /// Why this rung is there, one sentence.
    pub reason: String,
}

/// One audio track of the output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioRendition {
    /// Name and folder, e.g. `audio-0`.
    pub name: RenditionName,
    /// Absolute stream index in the source.
    pub track: u32,
    /// RFC 5646 tag, where known.
    #[serde(default)]
    pub language: Option<String>,
    /// What a player's menu shows.
    pub label: String,
    /// Whether a player starts with it.
    pub default: bool,
    /// Channels of the output.
    pub channels: u32,
    /// Samples per second of the output.
    pub sample_rate: u32,
    /// Target rate, bits per second.
    pub bitrate: u64,
    /// Seconds from zero of the timeline to the last sample of the source track: the encoded length must agree within 50 ms.
    pub duration: f64,
    /// Why it is there, one sentence.
    pub reason: String,
}

/// The build of the encoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncoderBuild {
    /// ffmpeg's own version text, e.g. `5.1.9-0+deb12u1`.
    pub ffmpeg: String,
}

impl Planned {
    /// The video renditions, top rung first.
    pub fn videos(&self) -> impl Iterator<Item = &VideoRendition> {
        self.renditions.iter().filter_map(|rendition| match rendition {
            Rendition::Video(video) => Some(video),
            Rendition::Audio(_) => None,
        })
    }

    /// The audio renditions, the default one first.
    pub fn audios(&self) -> impl Iterator<Item = &AudioRendition> {
        self.renditions.iter().filter_map(|rendition| match rendition {
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
