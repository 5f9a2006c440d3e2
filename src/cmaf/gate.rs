//! The gate behind every encode: what came out must be what was planned, frame for frame. An exit code proves nothing, so this does.

use streams::Rational;
use streams::plan::{AudioRendition, Planned, VideoPlan, VideoRendition};

use super::fragment::FragmentInfo;
use super::init::InitInfo;

/// Frames by which the end of the video may differ from the plan: versions of ffmpeg round the last frame differently.
const LAST_CHUNK: u64 = 2;

/// Seconds by which a track's length may differ from its source's.
const TRACK: f64 = 0.05;

/// What is wrong with an encoded chunk or track.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GateFailure {
    /// The plan has no such chunk or its numbers do not fit together.
    #[error("the plan cannot be followed: {0}")]
    Plan(&'static str),
    /// The init segment is not that of the rendition.
    #[error("the init segment says {what} {found}, planned is {wanted}")]
    Init {
        /// Which value.
        what: &'static str,
        /// As found.
        found: String,
        /// As planned.
        wanted: String,
    },
    /// There is no segment at all.
    #[error("there are no segments")]
    Nothing,
    /// Segments are missing or numbered wrongly.
    #[error("segment {found} stands where segment {wanted} should")]
    Number {
        /// As found.
        found: u32,
        /// As planned.
        wanted: u32,
    },
    /// A segment without samples or media data.
    #[error("segment {0} is empty")]
    Empty(u32),
    /// A segment a player cannot start with.
    #[error("segment {0} does not begin with a key frame")]
    NoSync(u32),
    /// A segment with too few or too many key frames.
    #[error("segment {n} has {found} key frames, planned are {wanted}")]
    Syncs {
        /// The segment.
        n: u32,
        /// As found.
        found: u64,
        /// As planned.
        wanted: u64,
    },
    /// A segment at the wrong time.
    #[error("segment {n} begins at {found} ticks, planned is {wanted}")]
    Start {
        /// The segment.
        n: u32,
        /// As found.
        found: u64,
        /// As planned.
        wanted: u64,
    },
    /// A segment with lost or added frames.
    #[error("segment {n} has {found} frames, planned are {wanted}")]
    SegmentFrames {
        /// The segment.
        n: u32,
        /// As found.
        found: u64,
        /// As planned.
        wanted: u64,
    },
    /// Frames whose durations are not those of the grid.
    #[error("segment {n} lasts {found} ticks, its frames should last {wanted}")]
    Duration {
        /// The segment.
        n: u32,
        /// As found.
        found: u64,
        /// By the grid.
        wanted: u64,
    },
    /// Lost or added frames in all.
    #[error("the chunk has {found} frames, planned are {wanted}")]
    Frames {
        /// As found.
        found: u64,
        /// As planned.
        wanted: u64,
    },
    /// Lost or added sound.
    #[error("the track lasts {found:.3} s, its source lasts {wanted:.3} s")]
    Length {
        /// As found, in seconds.
        found: f64,
        /// As planned, in seconds.
        wanted: f64,
    },
}

/// Checks the segments of chunk `chunk` of a video rendition, given with their numbers. Returns the frames of the chunk; those of the
/// last chunk set the length of the video.
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
    let video = planned.video.as_ref().ok_or(GateFailure::Plan("there is no video"))?;
    let grid = Grid::of(video, rendition, chunk, init)?;
    expect_init("size", init.size, Some((rendition.width, rendition.height)))?;
    numbered(segments, grid.first_segment)?;
    let mut frames = 0;
    for (i, (n, segment)) in segments.iter().enumerate() {
        let is_end = i + 1 == segments.len();
        grid.segment(*n, segment, grid.first_frame + frames, is_end)?;
        frames += segment.samples;
    }
    let tolerance = if video.is_last(chunk) { LAST_CHUNK } else { 0 };
    if frames.abs_diff(grid.frames) > tolerance {
        return Err(GateFailure::Frames {
            found: frames,
            wanted: grid.frames,
        });
    }
    Ok(frames)
}

/// Checks the segments of a whole audio rendition, given with their numbers. Returns its samples per channel.
///
/// # Errors
/// The first [`GateFailure`] found.
pub fn track(
    rendition: &AudioRendition,
    init: &InitInfo,
    segments: &[(u32, FragmentInfo)],
) -> Result<u64, GateFailure> {
    expect_init("sound", init.sound, Some((rendition.channels, rendition.sample_rate)))?;
    expect_init("timescale", init.timescale, rendition.sample_rate)?;
    numbered(segments, 0)?;
    let mut samples = 0;
    for (n, segment) in segments {
        starts(*n, segment, samples)?;
        samples += segment.duration;
    }
    let found = samples as f64 / f64::from(rendition.sample_rate);
    if (found - rendition.duration).abs() > TRACK {
        return Err(GateFailure::Length {
            found,
            wanted: rendition.duration,
        });
    }
    Ok(samples)
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
    fn of(video: &VideoPlan, rendition: &'a VideoRendition, chunk: u32, init: &InitInfo) -> Result<Self, GateFailure> {
        let (first, end) = video
            .chunk_frames(chunk)
            .ok_or(GateFailure::Plan("there is no such chunk"))?;
        let step = whole(video.frame_rate.checked_div(rendition.frame_rate)).filter(|step| first.is_multiple_of(*step));
        let step = step.ok_or(GateFailure::Plan("the rendition does not take every n-th frame"))?;
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
    fn segment(&self, n: u32, segment: &FragmentInfo, frame: u64, is_end: bool) -> Result<(), GateFailure> {
        starts(n, segment, frame * self.ticks)?;
        let planned = u64::from(self.rendition.segment_frames);
        let found = segment.samples;
        if found > planned || (found < planned && !is_end) {
            return Err(GateFailure::SegmentFrames {
                n,
                found,
                wanted: planned,
            });
        }
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

fn expect_init<T: PartialEq + std::fmt::Debug>(what: &'static str, found: T, wanted: T) -> Result<(), GateFailure> {
    if found == wanted {
        return Ok(());
    }
    let (found, wanted) = (format!("{found:?}"), format!("{wanted:?}"));
    Err(GateFailure::Init { what, found, wanted })
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

fn starts(n: u32, segment: &FragmentInfo, wanted: u64) -> Result<(), GateFailure> {
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
mod tests {
    use super::*;
    use crate::cmaf::codec::TrackCodec;
    use crate::ffmpeg::testing::planned;
    use proptest::prelude::*;

    fn init(rendition: &VideoRendition) -> InitInfo {
        InitInfo {
            timescale: 60_000,
            codec: TrackCodec {
                text: "avc1.640028".to_owned(),
                configuration: Vec::new(),
            },
            size: Some((rendition.width, rendition.height)),
            sound: None,
            edits: Vec::new(),
            defaults: super::super::init::SampleDefaults::default(),
        }
    }

    fn segment(start: u64, samples: u64, ticks: u64) -> FragmentInfo {
        FragmentInfo {
            start: start * ticks,
            duration: samples * ticks,
            samples,
            starts_with_sync: true,
            syncs: 1,
            sequence: 1,
            media_bytes: 100,
        }
    }

    /// Chunk 1 of the sample plan at full rate: segments 1 and 2.
    fn good() -> Vec<(u32, FragmentInfo)> {
        vec![(1, segment(240, 240, 1001)), (2, segment(480, 240, 1001))]
    }

    fn check(segments: &[(u32, FragmentInfo)]) -> Result<u64, GateFailure> {
        let planned = planned();
        let top = planned.videos().next().unwrap();
        video_chunk(&planned, top, 1, &init(top), segments)
    }

    #[test]
    fn a_chunk_as_planned_passes_at_full_and_at_half_rate() {
        assert_eq!(check(&good()), Ok(480));
        let planned = planned();
        let half = planned.videos().nth(1).unwrap();
        let segments = [(1, segment(120, 120, 2002)), (2, segment(240, 120, 2002))];
        assert_eq!(video_chunk(&planned, half, 1, &init(half), &segments), Ok(240));
    }

    #[test]
    fn every_single_deviation_is_caught() {
        type Damage = fn(&mut Vec<(u32, FragmentInfo)>);
        let damages: [(Damage, &str); 9] = [
            (|s| s[1].1 = segment(480, 239, 1001), "has 479 frames"),
            (|s| s[0].1 = segment(240, 239, 1001), "has 239 frames"),
            (|s| s[1].1.start += 1, "begins at"),
            (|s| s[1].1.samples = 0, "is empty"),
            (|s| s[1].1.media_bytes = 0, "is empty"),
            (|s| s[1].1.starts_with_sync = false, "key frame"),
            (|s| s[0].1.syncs = 2, "has 2 key frames"),
            (|s| s[0].1.duration += 1, "should last"),
            (|s| s[1].0 = 3, "segment 3 stands"),
        ];
        for (damage, wanted) in damages {
            let mut segments = good();
            damage(&mut segments);
            let failure = check(&segments).unwrap_err().to_string();
            assert!(failure.contains(wanted), "{failure} / {wanted}");
        }
        assert_eq!(check(&[]), Err(GateFailure::Nothing));
        assert!(matches!(
            check(&good()[..1]),
            Err(GateFailure::Frames {
                found: 240,
                wanted: 480
            })
        ));
    }

    #[test]
    fn an_init_segment_of_another_size_or_timescale_is_caught() {
        let planned = planned();
        let top = planned.videos().next().unwrap();
        let other_size = InitInfo {
            size: Some((1280, 720)),
            ..init(top)
        };
        let other_scale = InitInfo {
            timescale: 1000,
            ..init(top)
        };
        for init in [other_size, other_scale] {
            assert!(matches!(
                video_chunk(&planned, top, 1, &init, &good()),
                Err(GateFailure::Init { .. })
            ));
        }
    }

    #[test]
    fn only_the_end_of_the_video_may_differ_and_only_by_two_frames() {
        let planned = planned();
        let top = planned.videos().next().unwrap();
        for (frames, passes) in [(177, false), (178, true), (180, true), (182, true), (183, false)] {
            let segments = [(3, segment(720, frames, 1001))];
            assert_eq!(
                video_chunk(&planned, top, 2, &init(top), &segments).is_ok(),
                passes,
                "{frames}"
            );
        }
    }

    #[test]
    fn a_track_must_begin_at_zero_join_and_have_its_length() {
        let planned = planned();
        let rendition = planned.audios().next().unwrap();
        let init = InitInfo {
            timescale: 48_000,
            size: None,
            sound: Some((2, 48_000)),
            ..init(planned.videos().next().unwrap())
        };
        let good = [
            (0, segment(0, 188, 1024)),
            (1, segment(188, 188, 1024)),
            (2, segment(376, 327, 1024)),
        ];
        assert_eq!(track(rendition, &init, &good), Ok(703 * 1024));
        let late = [(0, segment(1, 703, 1024))];
        assert!(matches!(track(rendition, &init, &late), Err(GateFailure::Start { .. })));
        assert!(matches!(
            track(rendition, &init, &good[..2]),
            Err(GateFailure::Length { .. })
        ));
        let mut gap = good.clone();
        gap[2].1.start += 1024;
        assert!(matches!(track(rendition, &init, &gap), Err(GateFailure::Start { .. })));
    }

    proptest! {
        #[test]
        fn no_values_make_it_panic_and_what_passes_tiles_the_chunk(
            values in prop::collection::vec((0u32..5, 0u64..4, 230u64..250, any::<bool>()), 0..5),
            timescale in 0u32..100_000,
        ) {
            let segments: Vec<_> = values
                .iter()
                .map(|(n, i, samples, sync)| (*n, FragmentInfo { starts_with_sync: *sync, ..segment(240 * i, *samples, 1001) }))
                .collect();
            let planned = planned();
            let top = planned.videos().next().unwrap();
            let init = InitInfo { timescale, ..init(top) };
            for chunk in 0..4 {
                if let Ok(frames) = video_chunk(&planned, top, chunk, &init, &segments) {
                    prop_assert_eq!(frames, segments.iter().map(|(_, s)| s.samples).sum::<u64>());
                    prop_assert!(segments.windows(2).all(|w| w[0].1.start + w[0].1.duration == w[1].1.start));
                }
            }
        }
    }
}
