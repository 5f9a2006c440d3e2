//! The poster: a few frames of a chunk, of which the best one is kept, without another pass over
//! the source.
//!
//! They leave ffmpeg as raw pictures: no codec is between the encode of a chunk and its success,
//! and whoever looks at them sees what the viewer will.

use media::ladder::size::Size;
use media::ladder::storyboard::fitted;
use streams::plan::{Planned, VideoPlan};

use super::filter::Chain;
use super::picture::matrix;
use super::raw_frames;

/// The file the pictures are written to, one after the other, in the folder ffmpeg runs in: red,
/// green and blue of each pixel.
pub const POSTER_FILE: &str = "poster.rgb";

/// The label of the grid's frames for the poster.
pub(super) const POSTER_FRAMES_LABEL: &str = "sp";

/// Longest side of the poster, in pixels.
const MAX_POSTER_SIDE: u32 = 1280;

/// Frames at the beginning of a chunk, of which the best makes the poster; the ones after them are
/// for chunks that begin black.
pub const FIRST_CANDIDATES: u64 = 8;

/// Seconds those frames are spread over.
const CANDIDATES_SPAN_SECONDS: f64 = 12.0;

/// Whether chunk `k` offers pictures for the poster: the first one, and, for videos that begin
/// black, ones that lie further and further away. So the longest video has eleven of them.
#[must_use]
pub const fn has_poster(chunk: u32) -> bool {
    chunk == 0 || chunk.is_power_of_two()
}

/// The size of the poster: that of the top rendition, unless that is larger than posters need to
/// be.
#[must_use]
pub fn poster_size(planned: &Planned) -> Option<Size> {
    let top = planned.videos().next()?;
    let size = Size {
        width: top.width,
        height: top.height,
    };
    Some(fitted(size, MAX_POSTER_SIDE))
}

/// The chain from the label [`POSTER_FRAMES_LABEL`], for a chunk of `frames` frames.
pub(super) fn chain(planned: &Planned, video: &VideoPlan, frames: u64) -> Option<Chain> {
    let chosen = candidate_frames(video.frame_rate.as_f64(), frames);
    let size = poster_size(planned)?;
    let chain = Chain::of_label(POSTER_FRAMES_LABEL)
        .then(raw_frames::select(chosen))
        .then_all(raw_frames::scaled(size, matrix(video.picture)));
    Some(chain.output("poster"))
}

/// The output options of the poster.
pub(super) fn args() -> Vec<String> {
    raw_frames::output("poster", POSTER_FILE)
}

/// The frames to look at: some at the beginning, where posters should come from, and in long chunks
/// ones further and further away. The first one is there even where a video ends two frames earlier
/// than planned.
fn candidate_frames(rate: f64, frames: u64) -> Vec<u64> {
    let spread = ((rate * CANDIDATES_SPAN_SECONDS).round().max(1.0) as u64)
        .min(frames)
        .max(1);
    let near = (0..FIRST_CANDIDATES).map(|i| spread * (2 * i + 1) / (2 * FIRST_CANDIDATES));
    let far = std::iter::successors(Some(spread * 2), |n| n.checked_mul(2))
        .take_while(|n| n + 2 < frames);
    let mut chosen: Vec<u64> = near.chain(far).collect();
    chosen.dedup();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_chunk_offers_eight_frames_and_a_long_one_some_further_away() {
        assert_eq!(
            candidate_frames(25.0, 300),
            [18, 56, 93, 131, 168, 206, 243, 281]
        );
        assert_eq!(candidate_frames(25.0, 1), [0]);
        assert_eq!(candidate_frames(25.0, 3), [0, 1, 2]);
        assert_eq!(candidate_frames(25.0, 25 * 100)[8..], [600, 1200, 2400]);

        let offering: Vec<u32> = (0..800).filter(|k| has_poster(*k)).collect();
        assert_eq!(offering, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
    }

    proptest! {
        #[test]
        fn there_are_always_some_frames_that_surely_exist_and_never_many(rate in 0.1..60.0f64, frames in 1u64..20_000_000) {
            let chosen = candidate_frames(rate, frames);
            prop_assert!(chosen.is_sorted_by(|a, b| a < b) && chosen.len() < 32);
            prop_assert!(chosen[0] == 0 || chosen[0] + 2 < frames);
            prop_assert!(chosen.iter().all(|n| *n < frames));
        }
    }
}
