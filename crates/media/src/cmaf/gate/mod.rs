//! The gate behind every encode: what came out must be what was planned, frame for frame. An exit
//! code proves nothing, so this does.

mod failure;

use streams::Rational;
use streams::plan::{AudioRendition, Planned, VideoPlan, VideoRendition};

pub use failure::GateFailure;

use super::fragment::FragmentInfo;
use super::init::InitInfo;

/// Frames by which the end of the video may differ from the plan, either way: versions of ffmpeg
/// round the last frame differently.
const LAST_CHUNK_TOLERANCE_FRAMES: u64 = 2;

/// Seconds by which audio may be longer or shorter than the programme: its encoder pads the last
/// frame.
pub const AUDIO_TOLERANCE_SECONDS: f64 = 0.05;

/// Checks the segments of chunk `chunk` of a video rendition, given with their numbers. Returns the
/// number of frames of the chunk, at the rendition's rate; those of the last chunk set the length
/// of the video.
///
/// # Errors
/// The first [`GateFailure`] found.
pub fn video_chunk(
    planned: &Planned,
    rendition: &VideoRendition,
    chunk: u32,
    init: &InitInfo,
    segments: &[(u32, FragmentInfo)],
) -> Result<u64, GateFailure> {
    let video = planned
        .video
        .as_ref()
        .ok_or(GateFailure::Plan("there is no video"))?;
    let grid = Grid::of(video, rendition, chunk, init)?;
    expect_init("size", init.size, Some((rendition.width, rendition.height)))?;

    // Lost segments are reported as such before their frames are missed.
    numbered(segments, grid.first_segment)?;

    let mut frames = 0;
    for (i, (n, segment)) in segments.iter().enumerate() {
        let is_end = i + 1 == segments.len();
        let length = match (is_end, video.is_last(chunk)) {
            (false, _) => Length::Whole,
            (true, false) => Length::AtMost,
            (true, true) => Length::Any,
        };
        grid.segment(*n, segment, grid.first_frame + frames, length)?;
        frames += segment.samples;
    }

    numbered_within(planned, segments)?;

    let tolerance = if video.is_last(chunk) {
        LAST_CHUNK_TOLERANCE_FRAMES
    } else {
        0
    };
    if frames.abs_diff(grid.frames) > tolerance {
        return Err(GateFailure::Frames {
            found: frames,
            wanted: grid.frames,
        });
    }

    Ok(frames)
}

/// Checks the segments of a whole audio rendition, given with their numbers. Returns its samples
/// per channel.
///
/// # Errors
/// The first [`GateFailure`] found.
pub fn track(
    planned: &Planned,
    rendition: &AudioRendition,
    init: &InitInfo,
    segments: &[(u32, FragmentInfo)],
) -> Result<u64, GateFailure> {
    expect_init(
        "sound",
        init.sound,
        Some((rendition.channels, rendition.sample_rate)),
    )?;
    expect_init("timescale", init.timescale, rendition.sample_rate)?;

    numbered(segments, 0)?;
    numbered_within(planned, segments)?;

    let mut samples = 0;
    for (n, segment) in segments {
        starts(*n, segment, samples)?;
        samples += segment.duration;
    }

    let found = samples as f64 / f64::from(rendition.sample_rate);
    if (found - rendition.duration).abs() > AUDIO_TOLERANCE_SECONDS {
        return Err(GateFailure::Length {
            found,
            wanted: rendition.duration,
        });
    }

    Ok(samples)
}

/// How many frames a segment may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    /// As many as are planned.
    Whole,
    /// Not more: it ends a chunk.
    AtMost,
    /// It ends the video, and takes what is left.
    Any,
}

/// Where the frames of a chunk of one rendition must lie.
struct Grid<'a> {
    rendition: &'a VideoRendition,
    first_segment: u32,
    /// First frame, counted at the rendition's rate.
    first_frame: u64,
    /// Frames of the chunk, at the rendition's rate.
    frames: u64,
    /// Ticks of a frame.
    ticks: u64,
}

impl<'a> Grid<'a> {
    fn of(
        video: &VideoPlan,
        rendition: &'a VideoRendition,
        chunk: u32,
        init: &InitInfo,
    ) -> Result<Self, GateFailure> {
        let (first, end) = video
            .chunk_frames(chunk)
            .ok_or(GateFailure::Plan("there is no such chunk"))?;

        let step = whole(video.frame_rate.checked_div(rendition.frame_rate))
            .filter(|step| first.is_multiple_of(*step));
        let step = step.ok_or(GateFailure::Plan(
            "the rendition does not take every n-th frame",
        ))?;

        let ticks = whole(Rational::whole(init.timescale.into()).checked_div(rendition.frame_rate));

        Ok(Self {
            rendition,
            first_segment: video.chunks[chunk as usize],
            first_frame: first / step,
            frames: end.saturating_sub(first).div_ceil(step),
            ticks: ticks.ok_or_else(|| GateFailure::Init {
                what: "timescale",
                found: init.timescale.to_string(),
                wanted: format!("a multiple of {}", rendition.frame_rate),
            })?,
        })
    }

    /// Checks one segment whose first frame must be number `frame`.
    fn segment(
        &self,
        n: u32,
        segment: &FragmentInfo,
        frame: u64,
        length: Length,
    ) -> Result<(), GateFailure> {
        starts(n, segment, frame * self.ticks)?;

        let planned = u64::from(self.rendition.segment_frames);
        let found = segment.samples;
        let fits = match length {
            Length::Whole => found == planned,
            Length::AtMost => found <= planned,
            Length::Any => true,
        };

        if !fits {
            return Err(GateFailure::SegmentFrames {
                n,
                found,
                wanted: planned,
            });
        }

        // A closed group of pictures begins with a key frame, so their number follows from that of
        // the frames.
        let wanted = found.div_ceil(u64::from(self.rendition.gop_frames.max(1)));
        if segment.syncs != wanted {
            return Err(GateFailure::Syncs {
                n,
                found: segment.syncs,
                wanted,
            });
        }

        let (found, wanted) = (segment.duration, found * self.ticks);
        if found == wanted {
            Ok(())
        } else {
            Err(GateFailure::Duration { n, found, wanted })
        }
    }
}

fn whole(value: Option<Rational>) -> Option<u64> {
    value
        .filter(|value| value.den() == 1)
        .and_then(|value| u64::try_from(value.num()).ok())
        .filter(|value| *value > 0)
}

fn expect_init<T: PartialEq + std::fmt::Debug>(
    what: &'static str,
    found: T,
    wanted: T,
) -> Result<(), GateFailure> {
    if found == wanted {
        return Ok(());
    }

    let (found, wanted) = (format!("{found:?}"), format!("{wanted:?}"));
    Err(GateFailure::Init {
        what,
        found,
        wanted,
    })
}

fn numbered(segments: &[(u32, FragmentInfo)], first: u32) -> Result<(), GateFailure> {
    if segments.is_empty() {
        return Err(GateFailure::Nothing);
    }

    match segments
        .iter()
        .map(|(n, _)| *n)
        .zip(first..)
        .find(|(found, wanted)| found != wanted)
    {
        Some((found, wanted)) => Err(GateFailure::Number { found, wanted }),
        None => Ok(()),
    }
}

/// No segment comes behind the last one that is planned.
fn numbered_within(planned: &Planned, segments: &[(u32, FragmentInfo)]) -> Result<(), GateFailure> {
    let wanted = planned.segment.last();
    match segments.last() {
        Some((found, _)) if *found > wanted => Err(GateFailure::Number {
            found: *found,
            wanted,
        }),
        _ => Ok(()),
    }
}

fn starts(n: u32, segment: &FragmentInfo, wanted: u64) -> Result<(), GateFailure> {
    // Sought past the end of its source, ffmpeg leaves an empty segment and exits with 0.
    if segment.samples == 0 || segment.media_bytes == 0 || segment.duration == 0 {
        return Err(GateFailure::Empty(n));
    }

    if segment.start != wanted {
        return Err(GateFailure::Start {
            n,
            found: segment.start,
            wanted,
        });
    }

    if segment.starts_with_sync {
        Ok(())
    } else {
        Err(GateFailure::NoSync(n))
    }
}

#[cfg(test)]
mod tests;
