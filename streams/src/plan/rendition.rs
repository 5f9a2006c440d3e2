//! The tracks of an output.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::RenditionName;
use crate::rational::Rational;

/// One track to encode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Rendition {
    /// Video.
    Video(VideoRendition),
    /// Audio.
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
    /// Encoder preset; empty for encoders without presets.
    pub preset: String,
    /// Precision of the motion search of x264, on its own scale from 1 to 11; absent if the preset
    /// decides.
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
    /// Why this rung exists, one sentence.
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
    /// Whether the channels, rate or sample format of the decoded audio change within the track. It
    /// is then decoded to one format first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changes: bool,
    /// RFC 5646 tag, where known.
    #[serde(default)]
    pub language: Option<String>,
    /// The name in a player's menu.
    pub label: String,
    /// Whether players select it by default.
    pub default: bool,
    /// Whether it is an audio description for people who cannot see the video.
    #[serde(default)]
    pub describes_video: bool,
    /// Whether it is a commentary on the programme.
    #[serde(default)]
    pub commentary: bool,
    /// How the channels of the source are interpreted.
    #[serde(default)]
    pub source_channels: SourceChannels,
    /// Channels of the output: 2, or 6 for a 5.1 rendition, which is added to the stereo rendition
    /// of the same track.
    pub channels: u32,
    /// Samples per second of the output.
    pub sample_rate: u32,
    /// Target rate, bits per second.
    pub bitrate: u64,
    /// The programme loudness to which the track is normalized, in LUFS (EBU R 128); if absent, it
    /// is not changed.
    #[serde(default)]
    pub loudness: Option<f64>,
    /// Length in seconds, which is that of the programme. See [`AudioRendition::tolerance`].
    pub duration: f64,
    /// Seconds from zero of the timeline to the last sample of the source track. The rest of the
    /// programme is silent.
    pub source_end: f64,
    /// Seconds of the longest packet of the source track: containers give times for packets only,
    /// and encoders pad the last one.
    #[serde(default)]
    pub source_packet: f64,
    /// Why it exists, one sentence.
    pub reason: String,
}

/// The loudspeaker of each channel of a source track.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SourceChannels {
    /// As the source declares it.
    #[default]
    Named,
    /// The source does not declare it; this is the usual layout for this number of channels, as
    /// ffmpeg names it, e.g. `5.1`.
    Guessed(String),
    /// Unknown. Channels are taken alternately for left and right, beginning with left.
    Dealt(u32),
}

impl AudioRendition {
    /// Whether it is the 5.1 rendition of its track, which is added to the stereo rendition.
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
    /// The name in a player's menu; no two tracks share it.
    pub label: String,
    /// Whether the container marks the track as default.
    pub default: bool,
    /// Whether it contains only what every viewer needs: foreign speech and signs.
    #[serde(default)]
    pub forced: bool,
    /// Whether it describes sounds for the hard of hearing.
    #[serde(default)]
    pub hearing_impaired: bool,
    /// Why it exists, one sentence.
    pub reason: String,
}

/// What a plan of an older build means.
fn eight_bit() -> String {
    "yuv420p".to_owned()
}
