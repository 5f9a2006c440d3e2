//! What is decided about the pictures of a source.

use streams::plan::{Picture, Segment, SourceColor, Timeline, VideoPlan};
use streams::{Code, Rational};

use super::Refusal;
use crate::ladder::probe::{Probe, Stream, Video};
use crate::ladder::size::Size;
use crate::ladder::timeline::Grid;
use crate::ladder::{chunks, rate};

/// Pixels; a picture with a shorter side is no video.
const SMALLEST: u32 = 16;

/// Pixels; no encoder takes a longer side.
const LARGEST: u32 = 16_384;

/// The pictures that are encoded.
pub(super) struct Pictures<'a> {
    pub(super) stream: &'a Stream,
    pub(super) video: &'a Video,
    pub(super) size: Size,
    pub(super) rate: rate::Rate,
    pub(super) start: Rational,
    pub(super) end: f64,
}

impl<'a> Pictures<'a> {
    /// The main video, where it has any pictures.
    pub(super) fn of(probe: &'a Probe) -> Result<Option<Self>, Refusal> {
        let Some((stream, video)) = probe.main_video() else {
            return Ok(None);
        };
        let size = Size::upright(video);
        if size.short_side() < SMALLEST {
            let message = format!(
                "The picture of {}x{} px is too small; the shorter side must have {SMALLEST} px.",
                size.width, size.height
            );
            return Err(Refusal::new(Code::DimensionsTooSmall, message));
        }
        if size.long_side() > LARGEST {
            let message = format!(
                "The picture of {}x{} px is too large; no side may have more than {LARGEST} px.",
                size.width, size.height
            );
            return Err(Refusal::new(Code::ExceedsPolicy, message));
        }
        if video.dolby_vision == Some(5) {
            return Err(Refusal::new(
                Code::UnsupportedDolbyVision,
                "Dolby Vision profile 5 has no standard picture to convert.",
            ));
        }
        Ok(stream.end.map(|end| Self {
            stream,
            video,
            size,
            rate: rate::decide(video.average_rate, video.base_rate),
            start: stream.start.unwrap_or(probe.container_start),
            end,
        }))
    }

    /// The video of the plan.
    pub(super) fn plan(&self, probe: &Probe, timeline: &Timeline, grid: &Grid, segment: Segment) -> VideoPlan {
        let zero = timeline.zero.as_f64();
        let frames = grid.frame_at(self.end - zero).max(1);
        let span = chunks::Span {
            frames,
            segment_frames: grid.segment,
            segment_seconds: segment.duration.as_f64(),
            first_picture: grid.frame_at(self.start.as_f64() - zero),
            leads: &probe.leads,
        };
        VideoPlan {
            track: self.stream.index,
            frame_rate: grid.rate,
            segment_frames: grid.segment,
            frames,
            chunks: if probe.seekable { chunks::map(span) } else { vec![0] },
            seekable: probe.seekable,
            seek_margin: 0.0,
            picture: Picture {
                deinterlace: self.video.interlaced,
                field_rate: false,
                flatten: false,
                color: color(self.video),
            },
        }
    }
}

/// What the source's samples mean. Where it does not say, size decides, as in players.
fn color(video: &Video) -> SourceColor {
    match (video.transfer.as_deref(), video.matrix.as_deref()) {
        (Some("smpte2084"), _) => SourceColor::Pq,
        (Some("arib-std-b67"), _) => SourceColor::Hlg,
        (_, Some("bt2020nc" | "bt2020c")) => SourceColor::Bt2020,
        (_, Some("bt470bg" | "smpte170m" | "bt470m" | "fcc")) => SourceColor::Bt601,
        (_, Some("bt709" | "smpte240m")) => SourceColor::Bt709,
        _ if video.width <= 1024 && video.height <= 576 => SourceColor::Bt601,
        _ => SourceColor::Bt709,
    }
}
