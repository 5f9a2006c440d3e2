//! Where a job is cut if its top rung is not encoded: at the key frames of its source.
//!
//! If rungs are cut at different times, a player that switches between them shows a frozen picture
//! until the next key frame. So all rungs are cut where the copied one can be cut.

use super::boundaries::{Boundaries, InvalidBoundaries, is_longer};
use crate::ladder::timeline::{Grid, MIN_LAST_SEGMENT_SECONDS};

/// The maximum duration of a segment in seconds. By default, x264 puts up to 250 frames between key
/// frames, which is 10.42 s at 24 frames per second. With longer segments, a player waits too long
/// for the first picture after a seek.
pub const MAX_SEGMENT_SECONDS: f64 = 10.5;

/// The segments of a programme of `frames` frames. Its source has key frames at the frames
/// `key_frames`, ascending.
///
/// A segment ends at the first key frame that is at least one segment length of `grid` after its
/// start. If that key frame is more than one and a half segment lengths after the start, and
/// earlier key frames are at least half a segment length after it, the segment ends at the last of
/// these. If the segment would still be longer than [`MAX_SEGMENT_SECONDS`], it ends at the last
/// key frame before one segment length, provided that this leaves at least half a second. If less
/// than half a second follows the last key frame, that rest joins the segment before it, as on a
/// regular grid.
///
/// If key frames are too far apart, a segment exceeds the maximum; see
/// [`Boundaries::has_key_frame_gap`].
///
/// # Errors
/// [`InvalidBoundaries::TooMany`] if the programme is longer than any that can be copied, and
/// [`InvalidBoundaries::None`] if it has no frames.
pub fn cut(key_frames: &[u32], frames: u64, grid: &Grid) -> Result<Boundaries, InvalidBoundaries> {
    let length = u64::from(grid.segment.max(1));

    // A segment may also end at the end of the programme.
    let keys = key_frames.iter().copied().map(u64::from);
    let keys = keys.filter(|key| *key < frames && !is_sliver(frames - key, grid));
    let candidates: Vec<u64> = keys.chain([frames]).collect();

    let mut ends = Vec::new();
    let mut start = 0;
    while start < frames {
        let behind = candidates.partition_point(|end| *end < start + length);
        let next = candidates.get(behind).copied().unwrap_or(frames);
        let earlier = candidates[..behind].last().filter(|end| **end > start);

        let is_far = 2 * (next - start) > 3 * length;
        let is_too_far = is_longer(next - start, MAX_SEGMENT_SECONDS, grid.rate);
        let end = match earlier {
            Some(end) if is_far && 2 * (end - start) >= length => *end,
            Some(end) if is_too_far && !is_sliver(end - start, grid) => *end,
            _ => next,
        };
        ends.push(end);
        start = end;
    }

    Boundaries::new(ends)
}

/// Whether this many frames are shorter than any segment should be.
fn is_sliver(frames: u64, grid: &Grid) -> bool {
    let rate = grid.rate;
    (frames as f64 * rate.den() as f64) < MIN_LAST_SEGMENT_SECONDS * rate.num() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use streams::Rational;

    /// The segment lengths of a programme at 24 frames per second, cut at 4 s.
    fn lengths(key_frames: &[u32], frames: u64) -> Vec<u64> {
        let grid = Grid::new(Rational::whole(24), 4, 4);
        let boundaries = cut(key_frames, frames, &grid).unwrap();
        boundaries.iter().map(|f| f.end - f.start).collect()
    }

    fn every(step: u32, frames: u32) -> Vec<u32> {
        (0..frames).step_by(step as usize).collect()
    }

    #[test]
    fn regular_key_frames_give_regular_segments() {
        // Key frames 2 s, 4 s, 5 s and 6 s apart, and 250 frames apart, as x264 puts them.
        assert_eq!(lengths(&every(48, 480), 480), [96; 5]);
        assert_eq!(lengths(&every(96, 480), 480), [96; 5]);
        assert_eq!(lengths(&every(120, 480), 480), [120; 4]);
        assert_eq!(lengths(&every(144, 480), 480), [144, 144, 144, 48]);
        assert_eq!(lengths(&every(250, 600), 600), [250, 250, 100]);
        // 3 s apart: the second key frame is exactly one and a half segment lengths after the
        // start.
        assert_eq!(lengths(&every(72, 480), 480), [144, 144, 144, 48]);
        assert_eq!(lengths(&every(1, 200), 200), [96, 104]);
    }

    #[test]
    fn a_key_frame_that_is_far_behind_leaves_the_cut_to_those_before() {
        // Half a segment length is enough, and the last such key frame wins.
        assert_eq!(lengths(&[0, 48, 200], 300), [48, 152, 100]);
        assert_eq!(lengths(&[0, 47, 200], 300), [200, 100]);
        assert_eq!(lengths(&[0, 48, 60, 200], 300), [60, 140, 100]);
        // 1.5 segment lengths are not too far.
        assert_eq!(lengths(&[0, 48, 144], 244), [144, 100]);
        assert_eq!(lengths(&[0, 48, 145], 245), [48, 97, 100]);
    }

    #[test]
    fn a_short_segment_is_better_than_one_that_is_too_long() {
        // A scene cut after 1.5 s, then the longest group of x264: 11.9 s in total.
        assert_eq!(lengths(&[0, 36, 286], 386), [36, 250, 100]);
        // Less than half a second is not a segment.
        assert_eq!(lengths(&[0, 11, 261], 361), [261, 100]);
        assert_eq!(lengths(&[0, 12, 262], 362), [12, 250, 100]);
    }

    #[test]
    fn the_end_is_cut_as_on_a_regular_grid() {
        assert_eq!(lengths(&every(96, 203), 203), [96, 107]);
        assert_eq!(lengths(&every(96, 204), 204), [96, 96, 12]);
        // The gap after the last key frame counts: 10.54 s.
        assert_eq!(lengths(&[0, 96], 349), [96, 253]);
        assert_eq!(lengths(&[0], 1), [1]);
        assert_eq!(lengths(&[], 100), [100]);
        assert_eq!(lengths(&[0, 96], 50), [50]);
    }

    #[test]
    fn a_programme_longer_than_any_that_is_copied_is_refused() {
        let grid = Grid::new(Rational::whole(25), 4, 4);
        for frames in [0, u64::MAX / 4] {
            assert!(cut(&[0], frames, &grid).is_err());
        }
    }

    proptest! {
        #[test]
        fn segments_cover_the_programme_and_begin_at_key_frames(
            gaps in prop::collection::vec(1_u32..400, 0..60), rest in 1_u64..500,
            rate in prop::sample::select(vec!["24000/1001", "24", "25", "30", "60"]), segment in 1_u32..=10,
        ) {
            let grid = Grid::new(rate.parse().unwrap(), segment, segment);
            let keys: Vec<u32> = std::iter::once(0).chain(gaps.iter().scan(0, |key, gap| { *key += gap; Some(*key) })).collect();
            let frames = u64::from(*keys.last().unwrap()) + rest;
            let boundaries = cut(&keys, frames, &grid).unwrap();

            prop_assert_eq!(boundaries.total(), frames);
            for part in boundaries.iter() {
                let key = u32::try_from(part.start).unwrap();
                prop_assert!(keys.binary_search(&key).is_ok());
                // No segment is a sliver, not even the last one, unless it is the only segment.
                prop_assert!(boundaries.segments() == 1 || !is_sliver(part.end - part.start, &grid));
            }
        }

        #[test]
        fn groups_of_at_most_ten_seconds_never_leave_a_gap(
            gaps in prop::collection::vec(13_u32..=240, 1..80), rest in 13_u64..=240, segment in 1_u32..=10,
        ) {
            let grid = Grid::new(Rational::whole(24), segment, segment);
            let keys: Vec<u32> = std::iter::once(0).chain(gaps.iter().scan(0, |key, gap| { *key += gap; Some(*key) })).collect();
            let frames = u64::from(*keys.last().unwrap()) + rest;
            let boundaries = cut(&keys, frames, &grid).unwrap();
            prop_assert!(!boundaries.has_key_frame_gap(grid.rate), "{boundaries:?}");
        }

        #[test]
        fn no_key_frames_make_it_panic(keys in prop::collection::vec(any::<u32>(), 0..20), frames in 0_u64..1_000_000) {
            let mut keys = keys;
            keys.sort_unstable();
            let _ = cut(&keys, frames, &Grid::new(Rational::whole(30), 4, 4));
        }
    }
}
