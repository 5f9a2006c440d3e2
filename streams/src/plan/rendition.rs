//! The tracks of an output.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::RenditionName;
use crate::rational::Rational;

/// One track to encode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Rendition {
    /// Moving pictures.
    Video(VideoRendition),
    /// Sound.
    Audio(AudioRendition),
}

impl Rendition {
    /// The moving pictures, if it is that.
    #[must_use]
    pub const fn video(&self) -> Option<&VideoRendition> {
        match self {
            Self::Video(video) => Some(video),
            Self::Audio(_) => None,
        }
    }

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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VideoRendition {
    /// Name and folder, e.g. `1080p`.
    pub name: RenditionName,
    /// Pixels, even.
    pub width: u32,
    /// Pixels, even.
    pub height: u32,
    /// Frames per second of this rung.
    pub frame_rate: Rational,
    /// Frames of a segment of this rung; every segment is one closed GOP, or several of
    /// `gop_frames`.
    pub segment_frames: u32,
    /// Frames of a GOP; divides `segment_frames`.
    pub gop_frames: u32,
    /// The encoder as ffmpeg names it, e.g. `libx264`.
    pub encoder: String,
    /// Encoder preset; empty for encoders that have none.
    pub preset: String,
    /// How finely x264 searches for motion, by its own scale from 1 to 11; absent where it is as
    /// the preset has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subme: Option<u8>,
    /// H.264 or H.265 profile.
    pub profile: String,
    /// ffmpeg's name of the pixel format of the output, e.g. `yuv420p`.
    #[serde(default = "eight_bit")]
    pub pixel_format: String,
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AudioRendition {
    /// Name and folder, e.g. `audio-0`.
    pub name: RenditionName,
    /// Absolute stream index in the source.
    pub track: u32,
    /// Absolute stream index of the right channel, where the source keeps left and right in two
    /// mono tracks; `track` is the left one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right_track: Option<u32>,
    /// Whether the decoded sound changes its channels, rate or sample format on the way. It is then
    /// decoded to one form first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changes: bool,
    /// RFC 5646 tag, where known.
    #[serde(default)]
    pub language: Option<String>,
    /// What a player's menu shows.
    pub label: String,
    /// Whether a player starts with it.
    pub default: bool,
    /// Whether it tells what is to be seen, for those who cannot see it.
    #[serde(default)]
    pub describes_video: bool,
    /// Whether it is someone talking about the programme.
    #[serde(default)]
    pub commentary: bool,
    /// How the channels of the source are read.
    #[serde(default)]
    pub source_channels: SourceChannels,
    /// Channels of the output: 2, or 6 for a 5.1 rendition, which stands beside the stereo one of
    /// the same track.
    pub channels: u32,
    /// Samples per second of the output.
    pub sample_rate: u32,
    /// Target rate, bits per second.
    pub bitrate: u64,
    /// The programme loudness the track is brought to, in LUFS (EBU R 128); nothing leaves it as it
    /// is.
    #[serde(default)]
    pub loudness: Option<f64>,
    /// Seconds it lasts: as long as the programme. See [`AudioRendition::tolerance`].
    pub duration: f64,
    /// Seconds from zero of the timeline to the last sample of the source track. What the programme
    /// has beyond it is silence.
    pub source_end: f64,
    /// Seconds of the longest packet of the source track: containers tell times by packets, and
    /// coders fill the last one up.
    #[serde(default)]
    pub source_packet: f64,
    /// Why it is there, one sentence.
    pub reason: String,
}

/// Which channel of a source track is for which loudspeaker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SourceChannels {
    /// As the source says.
    #[default]
    Named,
    /// The source does not say; this is what decoders take so many channels for, as ffmpeg names
    /// it, e.g. `5.1`.
    Guessed(String),
    /// No one can say. Of so many channels every other one is for the left, beginning with the
    /// first.
    Dealt(u32),
}

impl AudioRendition {
    /// Whether it is the 5.1 rendition of its track, which stands beside the stereo one.
    #[must_use]
    pub const fn is_surround(&self) -> bool {
        self.channels > 2
    }

    /// Seconds of silence behind the end of the source track.
    #[must_use]
    pub fn padding(&self) -> f64 {
        (self.duration - self.source_end).max(0.0)
    }

    /// Seconds by which what is encoded may be longer or shorter than `duration`.
    #[must_use]
    pub fn tolerance(&self) -> f64 {
        0.05 + self.source_packet
    }
}

/// One subtitle track of the output: WebVTT, one file for its whole length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubtitleRendition {
    /// Name, e.g. `0`; its objects are `subs-<name>.m3u8` and `subs-<name>-<attempt>.vtt`.
    pub name: RenditionName,
    /// Absolute stream index in the source.
    pub track: u32,
    /// RFC 5646 tag, where known.
    #[serde(default)]
    pub language: Option<String>,
    /// What a player's menu shows; no two tracks share it.
    pub label: String,
    /// Whether the container marks the track as default.
    pub default: bool,
    /// Whether it holds only what everybody must read: foreign speech and signs.
    #[serde(default)]
    pub forced: bool,
    /// Whether it describes sounds for the hard of hearing.
    #[serde(default)]
    pub hearing_impaired: bool,
    /// Why it is there, one sentence.
    pub reason: String,
}

/// What a plan of an older build means.
fn eight_bit() -> String {
    "yuv420p".to_owned()
}
