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
    /// then its count is the right one.
    pub frames: u64,
    /// Seconds from zero to the end of the source's last picture. If the programme is longer, the
    /// last chunk repeats that picture.
    pub source_end: f64,
    /// First segment of each chunk; chunk `k` ends where chunk `k + 1` begins, the last one at the
    /// end of the video.
    pub chunks: Vec<u32>,
    /// Whether the source can be read from an arbitrary time. If not, there is one chunk, read from
    /// the start.
    pub seekable: bool,
    /// Seconds before its first frame at which a chunk starts to decode, in addition to the key
    /// frame before it.
    #[serde(default)]
    pub seek_margin: f64,
    /// How the picture is converted before it is scaled.
    #[serde(default)]
    pub picture: Picture,
}

/// The conversion of the source's picture to progressive, 8-bit BT.709 in limited range.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Picture {
    /// Whether the video is deinterlaced.
    #[serde(default)]
    pub deinterlace: bool,
    /// Whether each field becomes a frame, which doubles the rate; otherwise each pair of fields
    /// does.
    #[serde(default)]
    pub field_rate: bool,
    /// Whether the source has transparent areas: it is composited on black.
    #[serde(default)]
    pub flatten: bool,
    /// How the source's colours are interpreted.
    #[serde(default)]
    pub color: SourceColor,
    /// Whether the closed captions in the video (CEA-608, CEA-708) are kept in every rung and
    /// declared in the multivariant playlist; otherwise they are removed.
    #[serde(default)]
    pub captions: bool,
    /// Which field of a frame comes first, if the video shows it.
    #[serde(default)]
    pub field_order: FieldOrder,
    /// Degrees by which the stored picture is rotated clockwise to be upright: 0, 90, 180 or 270.
    #[serde(default)]
    pub turn: u16,
    /// Whether the rotated picture is then mirrored, left to right.
    #[serde(default)]
    pub mirror: bool,
    /// Width of the stored pictures, rounded down to whole blocks of chroma, before rotation. If a
    /// source changes its size or its shape, all pictures are fitted into this one; 0 leaves them
    /// as they are.
    #[serde(default)]
    pub width: u32,
    /// Height of the stored pictures; see `width`.
    #[serde(default)]
    pub height: u32,
    /// Width of a stored pixel divided by its height, if it is trusted: pictures of another shape
    /// are fitted into this one, with bars. Without it all pixels count as square, whatever the
    /// source declares.
    #[serde(default)]
    pub pixel_aspect: Option<Rational>,
}

/// Which field of a frame was captured first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FieldOrder {
    /// As flagged in each frame.
    #[default]
    Flagged,
    /// The top field.
    Top,
    /// The bottom field.
    Bottom,
}

/// The meaning of the samples of a source: three properties of ITU-T H.273 that are independent of
/// each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceColor {
    /// How luma and chroma are derived from red, green and blue; meaningless for RGB sources.
    #[serde(default)]
    pub matrix: Matrix,
    /// How samples represent light.
    #[serde(default)]
    pub transfer: Transfer,
    /// Which primaries red, green and blue are.
    #[serde(default)]
    pub primaries: Primaries,
    /// Whether the source names a value that cannot be converted, so that colours may be wrong.
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
    /// FCC, 1953.
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
    /// ITU-R BT.709, as in the output, and everything that screens show the same way.
    #[default]
    Bt709,
    /// Linear light.
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

    /// Frames at full rate for which the last picture is repeated because the audio ends later;
    /// zero if it does not.
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
