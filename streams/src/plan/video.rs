//! The video of a plan: its frames, its chunks, and what is done to its pictures.

use serde::{Deserialize, Serialize};

use crate::rational::Rational;

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
    /// Whether each field becomes a frame of its own, which doubles the rate; if not, each pair of fields does.
    #[serde(default)]
    pub field_rate: bool,
    /// Whether the source is transparent in places: it is laid on black.
    #[serde(default)]
    pub flatten: bool,
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
