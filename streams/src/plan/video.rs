//! The video of a plan: its frames, its chunks, and what is done to its pictures.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rational::Rational;

/// The video of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Picture {
    /// Whether fields are made into frames.
    #[serde(default)]
    pub deinterlace: bool,
    /// Whether each field becomes a frame of its own, which doubles the rate; if not, each pair of fields does.
    #[serde(default)]
    pub field_rate: bool,
    /// Whether the source is transparent in places: it is laid on black.
    #[serde(default)]
    pub flatten: bool,
    /// What the source's colours are.
    #[serde(default)]
    pub color: SourceColor,
    /// The primaries of a source of standard dynamic range, where they are not those of the output.
    #[serde(default)]
    pub primaries: Primaries,
    /// Which field of a frame comes first, where the pictures told.
    #[serde(default)]
    pub field_order: FieldOrder,
    /// Degrees the stored picture is turned clockwise to stand upright: 0, 90, 180 or 270.
    #[serde(default)]
    pub turn: u16,
    /// Whether the turned picture is then mirrored, left to right.
    #[serde(default)]
    pub mirror: bool,
    /// Width of the stored pictures, before they are turned. Where a source changes its size or its shape on the way, all pictures
    /// are fitted into this one; 0 leaves them alone.
    #[serde(default)]
    pub width: u32,
    /// Height of the stored pictures; see `width`.
    #[serde(default)]
    pub height: u32,
    /// Width of a stored pixel over its height, where it is believed: pictures of another shape are fitted into this one, with bars
    /// beside them. Without it all pixels count as square, whatever the source says of them.
    #[serde(default)]
    pub pixel_aspect: Option<Rational>,
}

/// Which field of a frame was taken first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FieldOrder {
    /// What each frame says of itself.
    #[default]
    Flagged,
    /// The top field.
    Top,
    /// The bottom field.
    Bottom,
}

/// Which red, green and blue the samples of a source stand for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Primaries {
    /// ITU-R BT.709, as in the output.
    #[default]
    Bt709,
    /// ITU-R BT.470 system B and G: standard definition of 625 lines.
    Bt470bg,
    /// SMPTE 170M: standard definition of 525 lines.
    Smpte170m,
    /// ITU-R BT.2020.
    Bt2020,
}

/// How the source's samples stand for colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
