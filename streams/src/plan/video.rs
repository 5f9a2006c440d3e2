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
    /// Frames of the whole video at full rate. The last chunk may end two frames earlier or later;
    /// its count then rules.
    pub frames: u64,
    /// Seconds from zero to the end of the source's last picture. Where the programme goes on, the
    /// last chunk holds that picture.
    pub source_end: f64,
    /// First segment of each chunk; chunk `k` ends where chunk `k + 1` begins, the last one at the
    /// end of the video.
    pub chunks: Vec<u32>,
    /// Whether the source can be entered at a time. If not there is one chunk, read from the start.
    pub seekable: bool,
    /// Seconds before its first frame at which a chunk starts to decode, beyond the key frame
    /// before it.
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
    /// Whether each field becomes a frame of its own, which doubles the rate; if not, each pair of
    /// fields does.
    #[serde(default)]
    pub field_rate: bool,
    /// Whether the source is transparent in places: it is laid on black.
    #[serde(default)]
    pub flatten: bool,
    /// What the source's colours are taken for.
    #[serde(default)]
    pub color: SourceColor,
    /// Whether the closed captions within the pictures (CEA-608, CEA-708) are kept, in every rung,
    /// and declared by the multivariant playlist; if not, they are removed.
    #[serde(default)]
    pub captions: bool,
    /// Which field of a frame comes first, where the pictures show it.
    #[serde(default)]
    pub field_order: FieldOrder,
    /// Degrees the stored picture is turned clockwise to stand upright: 0, 90, 180 or 270.
    #[serde(default)]
    pub turn: u16,
    /// Whether the turned picture is then mirrored, left to right.
    #[serde(default)]
    pub mirror: bool,
    /// Width of the stored pictures down to whole blocks of chroma, before they are turned. Where a
    /// source changes its size or its shape on the way, all pictures are fitted into this one; 0
    /// leaves them alone.
    #[serde(default)]
    pub width: u32,
    /// Height of the stored pictures; see `width`.
    #[serde(default)]
    pub height: u32,
    /// Width of a stored pixel over its height, where it is believed: pictures of another shape are
    /// fitted into this one, with bars beside them. Without it all pixels count as square, whatever
    /// the source says of them.
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

/// What the samples of a source stand for: three facts of ITU-T H.273 that do not follow from each
/// other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceColor {
    /// How red, green and blue make luma and chroma; without meaning for sources in red, green and
    /// blue.
    #[serde(default)]
    pub matrix: Matrix,
    /// How samples stand for light.
    #[serde(default)]
    pub transfer: Transfer,
    /// Which red, green and blue they are.
    #[serde(default)]
    pub primaries: Primaries,
    /// Whether the source names something else, which cannot be converted, so that colours may be
    /// off.
    #[serde(default)]
    pub approximated: bool,
}

/// Matrix coefficients of a source (ITU-T H.273 section 8.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Matrix {
    /// ITU-R BT.709, as in the output.
    #[default]
    Bt709,
    /// ITU-R BT.601: standard definition of 525 and of 625 lines.
    Bt601,
    /// The FCC's of 1953.
    Fcc,
    /// SMPTE 240M: early high definition.
    Smpte240m,
    /// `YCgCo`.
    Ycgco,
    /// ITU-R BT.2020 with non-constant luminance.
    Bt2020nc,
    /// ITU-R BT.2020 with constant luminance.
    Bt2020c,
    /// `ICtCp`, of ITU-R BT.2100.
    Ictcp,
}

/// Transfer characteristics of a source (ITU-T H.273 section 8.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transfer {
    /// ITU-R BT.709, as in the output, and whatever screens show the same way.
    #[default]
    Bt709,
    /// Samples are light.
    Linear,
    /// Logarithmic, over a range of 100 to 1.
    Log100,
    /// Logarithmic, over a range of 316 to 1.
    Log316,
    /// High dynamic range, SMPTE ST 2084.
    Pq,
    /// High dynamic range, ARIB STD-B67.
    Hlg,
}

/// Colour primaries of a source (ITU-T H.273 section 8.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Primaries {
    /// ITU-R BT.709, as in the output.
    #[default]
    Bt709,
    /// ITU-R BT.470 system M: NTSC of 1953.
    Bt470m,
    /// ITU-R BT.470 system B and G: standard definition of 625 lines.
    Bt470bg,
    /// SMPTE 170M and 240M: standard definition of 525 lines.
    Smpte170m,
    /// Film with illuminant C.
    Film,
    /// ITU-R BT.2020.
    Bt2020,
    /// SMPTE ST 428-1: CIE 1931 XYZ.
    Smpte428,
    /// SMPTE RP 431-2: DCI-P3.
    Smpte431,
    /// SMPTE EG 432-1: Display P3.
    Smpte432,
    /// EBU Tech 3213, also called JEDEC P22.
    Ebu3213,
}

impl SourceColor {
    /// Whether a change of the matrix makes them the output's, which costs nothing where pictures
    /// are scaled anyway.
    #[must_use]
    pub const fn is_scaled(self) -> bool {
        matches!(self.transfer, Transfer::Bt709)
            && matches!(self.primaries, Primaries::Bt709)
            && !matches!(self.matrix, Matrix::Ycgco | Matrix::Bt2020c | Matrix::Ictcp)
    }
}

impl Transfer {
    /// Whether its light goes beyond what the output can show, so that it is tone mapped.
    #[must_use]
    pub const fn is_high_dynamic_range(self) -> bool {
        matches!(self, Self::Pq | Self::Hlg)
    }
}

impl VideoPlan {
    /// Frames of chunk `k` at full rate as `(first, end)`; the end of the last chunk is the planned
    /// total.
    #[must_use]
    pub fn chunk_frames(&self, k: u32) -> Option<(u64, u64)> {
        let k = usize::try_from(k).ok()?;
        let frame = |segment: u32| u64::from(segment) * u64::from(self.segment_frames);
        let first = frame(*self.chunks.get(k)?);
        Some((
            first,
            self.chunks
                .get(k + 1)
                .map_or(self.frames, |next| frame(*next)),
        ))
    }

    /// Frames at full rate by which the last picture is held, since the sound ends later; zero
    /// where that makes no difference.
    #[must_use]
    pub fn held_frames(&self) -> u64 {
        self.frames.saturating_sub(self.source_frames())
    }

    /// Frames at full rate that come from pictures of the source, at least one.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "casts of floats saturate, and the time is positive"
    )]
    pub fn source_frames(&self) -> u64 {
        let frames = (self.source_end * self.frame_rate.as_f64()).round() as u64;
        frames.clamp(1, self.frames.max(1))
    }

    /// Whether chunk `k` is the last one.
    #[must_use]
    pub fn is_last(&self, k: u32) -> bool {
        usize::try_from(k).is_ok_and(|k| k + 1 == self.chunks.len())
    }
}
