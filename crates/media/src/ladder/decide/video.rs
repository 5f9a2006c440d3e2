//! What is decided about the pictures of a source.

use streams::plan::{Picture, Timeline, VideoPlan, VideoRendition};
use streams::{Code, Rational};

use crate::ladder::bitrate::Budget;
use crate::ladder::probe::{Probe, Stream, Video};
use crate::ladder::profile::Profile;
use crate::ladder::refusal::Refusal;
use crate::ladder::size::Size;
use crate::ladder::timeline::Grid;
use crate::ladder::{chunks, frame_rate, picture};

/// Pixels; a picture with a shorter side is no video.
const MIN_SIDE: u32 = 16;

/// Pixels; no encoder takes a longer side.
const MAX_SIDE: u32 = 16_384;

/// The pictures that are encoded.
pub(super) struct Pictures<'a> {
    pub(super) stream: &'a Stream,
    pub(super) video: &'a Video,
    pub(super) size: Size,
    pub(super) rate: frame_rate::Rate,
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
        let size = video.upright_size();
        refuse(video, size)?;

        let picture = picture::of(video, profile);
        let mut rate = frame_rate::decide(video);
        if picture.field_rate {
            rate.frames = rate
                .frames
                .checked_mul(Rational::whole(2))
                .unwrap_or(rate.frames);
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

    /// Whether closed captions can be kept in these rungs. Each picture carries the next few bytes
    /// of them, so one that is left out or repeated garbles the text; and only libx264 writes what
    /// comes with a picture in every version of ffmpeg.
    pub(super) fn keep_captions(&self, rungs: &[VideoRendition]) -> bool {
        let average = self.video.average_rate.map_or(0.0, Rational::as_f64);
        let every_picture =
            self.rate.constant && (self.rate.frames.as_f64() / average - 1.0).abs() < 0.01;
        let keeps = |rung: &VideoRendition| {
            rung.encoder == "libx264" && rung.frame_rate == self.rate.frames
        };
        self.video.captions && every_picture && rungs.iter().all(keeps)
    }

    /// The video of a plan whose programme has this many frames, in one chunk.
    pub(super) fn plan(
        &self,
        probe: &Probe,
        timeline: &Timeline,
        grid: &Grid,
        frames: u64,
    ) -> VideoPlan {
        VideoPlan {
            track: self.stream.index,
            frame_rate: grid.rate,
            segment_frames: grid.segment,
            frames,
            source_end: self.end - timeline.zero.as_f64(),
            chunks: vec![0],
            seekable: probe.seekable,
            seek_margin: probe.seek_margin,
            picture: self.picture,
        }
    }

    /// The chunks of the video, for `cpu_seconds` that all of it takes.
    pub(super) fn chunks(
        &self,
        probe: &Probe,
        timeline: &Timeline,
        grid: &Grid,
        video: &VideoPlan,
        load: Load,
    ) -> Vec<u32> {
        let segment = grid.segments(video.frames);

        // Without seeks every chunk would have to be decoded from the start.
        if !probe.seekable {
            return vec![0];
        }

        chunks::map_chunks(chunks::Span {
            frames: video.source_frames(),
            segments: segment.count,
            segment_frames: video.segment_frames,
            segment_seconds: segment.duration.as_f64(),
            first_picture: grid.frame_at(self.start.as_f64() - timeline.zero.as_f64()),
            leads: &probe.leads,
            cost: load.cpu_seconds * video.frame_rate.as_f64() / video.frames.max(1) as f64,
            fleet: load.fleet,
        })
    }
}

/// What the length of chunks depends on in addition to the video.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Processor seconds for the whole video.
    pub(super) cpu_seconds: f64,
    /// Tasks that can be worked on at a time.
    pub(super) fleet: u32,
}

/// What no profile can change.
fn refuse(video: &Video, size: Size) -> Result<(), Refusal> {
    if size.short_side() < MIN_SIDE {
        let message = format!(
            "The picture of {}x{} px is too small; the shorter side must have {MIN_SIDE} px.",
            size.width, size.height
        );
        return Err(Refusal::new(Code::DimensionsTooSmall, message));
    }

    if size.long_side() > MAX_SIDE {
        let message = format!(
            "The picture of {}x{} px is too large; no side may have more than {MAX_SIDE} px.",
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
