//! What is decided about the pictures of a source.

use streams::plan::{Picture, Segment, Timeline, VideoPlan};
use streams::{Code, Rational};

use super::Refusal;
use crate::ladder::bitrate::Budget;
use crate::ladder::probe::{Probe, Stream, Video};
use crate::ladder::profile::Profile;
use crate::ladder::size::Size;
use crate::ladder::timeline::Grid;
use crate::ladder::{chunks, picture, rate};

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
    pub(super) picture: Picture,
    pub(super) start: Rational,
    pub(super) end: f64,
}

impl<'a> Pictures<'a> {
    /// The main video, where it has any pictures.
    pub(super) fn of(probe: &'a Probe, profile: &Profile) -> Result<Option<Self>, Refusal> {
        let Some((stream, video)) = probe.main_video() else {
            return Ok(None);
        };
        let size = Size::upright(video);
        refuse(video, size)?;
        let picture = picture::of(video, profile);
        let mut rate = rate::decide(video.average_rate, video.base_rate);
        if picture.field_rate {
            rate.frames = rate.frames.checked_mul(Rational::whole(2)).unwrap_or(rate.frames);
        }
        Ok(stream.end.map(|end| Self {
            stream,
            video,
            size,
            rate,
            picture,
            start: stream.start.unwrap_or(probe.container_start),
            end,
        }))
    }

    /// What its own bit rate leaves to be kept.
    pub(super) fn budget(&self) -> Option<Budget> {
        Budget::of(&self.stream.codec, self.video.bitrate, self.size.area())
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
            picture: self.picture,
        }
    }
}

/// What no profile can change.
fn refuse(video: &Video, size: Size) -> Result<(), Refusal> {
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
    match video.dolby_vision {
        Some(vision) if !vision.has_base() => {
            let message = format!(
                "Dolby Vision profile {} has no standard picture to convert.",
                vision.profile
            );
            Err(Refusal::new(Code::UnsupportedDolbyVision, message))
        }
        _ => Ok(()),
    }
}
