//! Where segments end in a job that is not cut evenly.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use streams::Rational;

use super::cuts::MAX_SEGMENT_SECONDS;
use super::index::{MAX_SAMPLES, MAX_SECONDS};
use crate::ladder::timeline::{AAC_FRAME_SECONDS, END_TOLERANCE_FRAMES, Grid};

/// The maximum number of segments: the longest track that can be copied, in segments as short as
/// the profile with the shortest segments allows.
const MAX_SEGMENTS: usize = 2 * MAX_SECONDS as usize;

/// The maximum number of frames: the longest track that can be copied, plus the time for which its
/// last picture is held.
const MAX_FRAMES: u64 = MAX_SAMPLES as u64 * 2;

/// The segments of a job, in frames from zero of the timeline. They cover the programme without
/// gaps or overlaps, and none is empty.
///
/// The JSON form is the list of their lengths, where `[n, times]` is a repeated length:
/// `[240,[96,40],61]` is 42 segments, and the first one has 240 frames.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<Run>", try_from = "Vec<Run>")]
pub struct Boundaries {
    /// The frame after the last frame of each segment; at least one, ascending.
    ends: Vec<u64>,
}

/// An invalid list of segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBoundaries {
    /// The list is empty.
    #[error("there are no segments")]
    None,
    /// A segment has no frames, or is repeated zero times.
    #[error("a segment is empty")]
    Empty,
    /// There are more segments or frames than any job has.
    #[error("there are more than {MAX_SEGMENTS} segments or {MAX_FRAMES} frames")]
    TooMany,
}

/// The length of one segment in frames, or of several equal segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Run {
    One(u64),
    Several(u64, u64),
}

impl Run {
    /// The length, and how many segments have it.
    const fn parts(self) -> (u64, u64) {
        match self {
            Self::One(length) => (length, 1),
            Self::Several(length, times) => (length, times),
        }
    }
}

impl Boundaries {
    /// Creates segments that end before these frames.
    ///
    /// # Errors
    /// [`InvalidBoundaries`] if the frames do not ascend from zero, or if there are none or too
    /// many.
    pub fn new(ends: Vec<u64>) -> Result<Self, InvalidBoundaries> {
        let last = *ends.last().ok_or(InvalidBoundaries::None)?;
        if ends[0] == 0 || !ends.is_sorted_by(|a, b| a < b) {
            return Err(InvalidBoundaries::Empty);
        }
        if ends.len() > MAX_SEGMENTS || last > MAX_FRAMES {
            return Err(InvalidBoundaries::TooMany);
        }
        Ok(Self { ends })
    }

    /// The number of segments, at least one.
    #[must_use]
    pub fn segments(&self) -> u32 {
        // At most MAX_SEGMENTS.
        self.ends.len() as u32
    }

    /// The number of frames in all segments.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The frames of segment `i`; `None` if there is no such segment.
    #[must_use]
    pub fn frames(&self, i: u32) -> Option<Range<u64>> {
        let at = i as usize;
        let end = *self.ends.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(start..end)
    }

    /// The frames of each segment, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Range<u64>> + '_ {
        (0..self.ends.len()).map(|at| {
            let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
            start..self.ends[at]
        })
    }

    /// The segment that contains a frame; `None` if the frame is after the last segment.
    #[must_use]
    pub fn segment_of(&self, frame: u64) -> Option<u32> {
        let at = self.ends.partition_point(|end| *end <= frame);
        (at < self.ends.len()).then_some(at as u32)
    }

    /// The number of frames in the longest segment.
    #[must_use]
    pub fn longest(&self) -> u64 {
        let lengths = self.iter().map(|frames| frames.end - frames.start);
        lengths.max().unwrap_or(0)
    }

    /// Whether a segment lasts longer than [`MAX_SEGMENT_SECONDS`] at `rate` frames per second.
    #[must_use]
    pub fn has_key_frame_gap(&self, rate: Rational) -> bool {
        is_longer(self.longest(), MAX_SEGMENT_SECONDS, rate)
    }

    /// The target duration in seconds, shared by all playlists of a job with these boundaries. When
    /// rounded, no video segment exceeds it (RFC 8216 section 4.3.3.1), nor does any audio segment.
    /// Audio is cut evenly on `grid`.
    #[must_use]
    pub fn target_duration(&self, grid: &Grid) -> u32 {
        let seconds = |frames: f64| (frames / grid.rate.as_f64() + AAC_FRAME_SECONDS).round();
        let last = self.iter().next_back().unwrap_or(0..0);
        // The encoded rungs may end later than planned.
        let last = (last.end - last.start) as f64 + END_TOLERANCE_FRAMES;

        let longest = seconds(self.longest() as f64).max(seconds(last));
        let sound = grid.segments(self.total()).target_duration;
        (longest as u32).max(sound)
    }
}

/// Whether this many frames last longer than `seconds`. The result is exact for multiples of half a
/// second.
pub(super) fn is_longer(frames: u64, seconds: f64, rate: Rational) -> bool {
    frames as f64 * rate.den() as f64 > seconds * rate.num() as f64
}

impl From<Boundaries> for Vec<Run> {
    fn from(boundaries: Boundaries) -> Self {
        let mut runs: Self = Vec::new();
        for frames in boundaries.iter() {
            let length = frames.end - frames.start;
            match runs.last_mut() {
                Some(run) if run.parts().0 == length => {
                    *run = Run::Several(length, run.parts().1 + 1);
                }
                _ => runs.push(Run::One(length)),
            }
        }
        runs
    }
}

impl TryFrom<Vec<Run>> for Boundaries {
    type Error = InvalidBoundaries;

    fn try_from(runs: Vec<Run>) -> Result<Self, InvalidBoundaries> {
        let mut ends = Vec::new();
        let mut end = 0_u64;
        for (length, times) in runs.into_iter().map(Run::parts) {
            if length == 0 || times == 0 {
                return Err(InvalidBoundaries::Empty);
            }
            // A short text can claim any number of segments, so check the number before allocating.
            let is_room = times <= (MAX_SEGMENTS - ends.len()) as u64
                && length.saturating_mul(times) <= MAX_FRAMES - end;
            if !is_room {
                return Err(InvalidBoundaries::TooMany);
            }

            ends.extend((1..=times).map(|n| end + n * length));
            end += length * times;
        }
        Self::new(ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(json: &str) -> Option<Boundaries> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn lengths_and_repetitions_are_the_text() {
        let boundaries = Boundaries::new(vec![240, 336, 432, 528, 589]).unwrap();
        let json = serde_json::to_string(&boundaries).unwrap();
        assert_eq!(json, "[240,[96,3],61]");
        assert_eq!(read(&json), Some(boundaries));
        // A different notation gives the same boundaries.
        assert_eq!(read("[[240,1],96,[96,2],61]"), read(&json));
    }

    #[test]
    fn what_is_no_list_of_segments_is_refused() {
        let refused = [
            "[]",
            "[0]",
            "[5,0]",
            "[[5,0]]",
            "[[0,5]]",
            "[-1]",
            "[1.5]",
            "[[1]]",
            "[[1,2,3]]",
            "{}",
            "[[1,18446744073709551615]]",
            "[[18446744073709551615,18446744073709551615]]",
            "[[1,86400],1]",
            "[5184001]",
        ];
        for json in refused {
            assert_eq!(read(json), None, "{json}");
        }
        assert!(read("[[1,86400]]").is_some() && read("[5184000]").is_some());

        assert_eq!(Boundaries::new(vec![]), Err(InvalidBoundaries::None));
        assert_eq!(Boundaries::new(vec![3, 3]), Err(InvalidBoundaries::Empty));
        assert_eq!(Boundaries::new(vec![0, 3]), Err(InvalidBoundaries::Empty));
    }

    #[test]
    fn a_film_of_uneven_segments_is_a_few_kilobytes() {
        // Two hours of segments, each with a different length from its neighbours.
        let ends = (1..=1800_u64).map(|n| n * 100 + n % 2 * 7).collect();
        let json = serde_json::to_string(&Boundaries::new(ends).unwrap()).unwrap();
        assert!(json.len() < 8192, "{}", json.len());

        let even = Boundaries::new((1..=1800_u64).map(|n| n * 100).collect()).unwrap();
        assert_eq!(serde_json::to_string(&even).unwrap(), "[[100,1800]]");
    }

    #[test]
    fn the_target_holds_for_pictures_that_end_late_and_for_sound() {
        let grid = Grid::new(Rational::whole(25), 4, 4);
        let target = |ends: &[u64]| {
            Boundaries::new(ends.to_vec())
                .unwrap()
                .target_duration(&grid)
        };

        assert_eq!(target(&[100, 200]), 4);
        assert_eq!(target(&[100, 362]), 11);
        assert_eq!(target(&[50, 161, 200]), 4);
        // 4.48 s; 4.4 s plus two frames; and audio with a last segment of 4.48 s.
        assert_eq!(target(&[112, 200]), 5);
        assert_eq!(target(&[90, 200]), 5);
        assert_eq!(target(&[62, 124, 212]), 5);
    }

    #[test]
    fn a_gap_is_judged_exactly() {
        let ntsc = Rational::new(24_000, 1001).unwrap();
        let has_gap = |frames, rate| {
            Boundaries::new(vec![frames])
                .unwrap()
                .has_key_frame_gap(rate)
        };
        assert!(!has_gap(252, Rational::whole(24)) && has_gap(253, Rational::whole(24)));
        assert!(!has_gap(251, ntsc) && has_gap(252, ntsc));
    }

    proptest! {
        #[test]
        fn segments_cover_all_frames_and_survive_the_text(lengths in prop::collection::vec(1_u64..400, 1..200), repeat in 1_usize..5) {
            let lengths: Vec<u64> = lengths.iter().flat_map(|length| std::iter::repeat_n(*length, repeat)).collect();
            let ends: Vec<u64> = lengths.iter().scan(0, |end, length| { *end += length; Some(*end) }).collect();
            let boundaries = Boundaries::new(ends.clone()).unwrap();

            let json = serde_json::to_string(&boundaries).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Boundaries>(&json).unwrap(), &boundaries);

            prop_assert_eq!(boundaries.segments() as usize, lengths.len());
            prop_assert_eq!(boundaries.total(), *ends.last().unwrap());
            let mut next = 0;
            for (i, frames) in boundaries.iter().enumerate() {
                prop_assert_eq!(frames.start, next);
                prop_assert_eq!(boundaries.frames(i as u32), Some(frames.clone()));
                for frame in [frames.start, frames.end - 1] {
                    prop_assert_eq!(boundaries.segment_of(frame), Some(i as u32));
                }
                next = frames.end;
            }
            prop_assert_eq!(next, boundaries.total());
            prop_assert_eq!(boundaries.segment_of(next), None);
            prop_assert_eq!(boundaries.frames(boundaries.segments()), None);
        }

        #[test]
        fn no_segment_is_longer_than_the_target_when_rounded(lengths in prop::collection::vec(1_u64..300, 1..50), rate in prop::sample::select(vec!["24", "25", "30000/1001", "60"]), segment in 1_u32..10) {
            let grid = Grid::new(rate.parse().unwrap(), segment, segment);
            let ends = lengths.iter().scan(0, |end, length| { *end += length; Some(*end) }).collect();
            let boundaries = Boundaries::new(ends).unwrap();
            let target = f64::from(boundaries.target_duration(&grid));
            for frames in boundaries.iter() {
                prop_assert!(grid.seconds(frames.end - frames.start).round() <= target);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\[(\\[?[0-9]{0,20}\\]?,?){0,12}\\]") {
            let _ = read(&text);
        }
    }
}
