//! The source of a plan: one object, pinned to one version, and what is in it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rational::Rational;

/// The source object, pinned to one version, and what is in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// The bucket the object is in.
    pub bucket: String,
    /// The key of the object.
    pub key: String,
    /// The version that all readers pin.
    pub etag: String,
    /// Bytes.
    pub size: u64,
    /// Determined from the container, not from the event.
    pub mime_type: String,
    /// The demuxer's name, e.g. `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// The copy that tasks read instead, if the object has no index of its key frames. The stream
    /// numbers of the plan are those of the copy.
    #[serde(default)]
    pub copy: Option<SourceCopy>,
    /// Whether every reader has to analyze 60 s or 100 MB of the input, instead of the first few
    /// seconds, to find all tracks, because some begin late.
    #[serde(default)]
    pub deep: bool,
    /// Seconds from zero to the end of the longest track that is encoded.
    pub duration: f64,
    /// Every stream of the container.
    pub tracks: Vec<Track>,
}

/// A private copy of a source in a container with an index. It is removed when the job ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceCopy {
    /// The bucket of the copy, which is the output bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// The version that all readers pin.
    pub etag: String,
    /// Bytes.
    pub size: u64,
    /// Whether its audio consists of pieces that may overlap, or have gaps between them, by some
    /// milliseconds: it was decoded to one format, or its timestamps were repaired.
    #[serde(default)]
    pub spliced: bool,
}

/// One stream of the source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// Title of the track in the container.
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

/// The content of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TrackKind {
    /// Video.
    Video,
    /// Audio.
    Audio,
    /// Text or bitmap subtitles.
    Subtitle,
    /// An attached picture.
    Cover,
    /// Anything else.
    Data,
}
