//! The chunk map: runs of whole segments that workers encode independently.

/// Seconds a chunk should last: short enough to share a video out and to lose little with a worker, long enough for its start to cost
/// little.
const LENGTH: f64 = 12.0;

/// No chunk has fewer segments, so the last one is never too short for its encoder to reorder frames as the others do.
const FEWEST_SEGMENTS: u32 = 3;

/// No video has more chunks: the list of their tasks fits a fact, also beside many tracks.
const MOST: u32 = 800;

/// Seconds decoded in vain, as a share of the video. Decoding is about a seventh of the work.
const OVER_DECODE: f64 = 0.1;

/// What a chunk map depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span<'a> {
    /// Frames of the video.
    pub frames: u64,
    /// Frames of a segment.
    pub segment_frames: u32,
    /// Seconds of a segment.
    pub segment_seconds: f64,
    /// The frame of the first picture. No chunk may begin before it, except the first.
    pub first_picture: u64,
    /// Seconds from key frames to times sought at random.
    pub leads: &'a [f64],
}

/// First segment of each chunk. Chunks have nearly equal lengths; a source with rare key frames gets longer and so fewer ones, so that
/// at most a tenth of it is decoded twice, down to a single chunk.
#[must_use]
pub fn map(span: Span<'_>) -> Vec<u32> {
    let per_segment = u64::from(span.segment_frames.max(1));
    let segments = u32::try_from(span.frames.div_ceil(per_segment))
        .unwrap_or(u32::MAX)
        .max(1);
    let count = u64::from(count(span, segments));
    (0..count)
        .map(|i| (i * u64::from(segments) / count) as u32)
        .filter(|start| *start == 0 || u64::from(*start) * per_segment > span.first_picture)
        .collect()
}

fn count(span: Span<'_>, segments: u32) -> u32 {
    let seconds = span.segment_seconds.max(0.001);
    let length = (LENGTH / seconds).round().max(f64::from(FEWEST_SEGMENTS));
    let by_length = (f64::from(segments) / length).floor();
    let total = span.frames as f64 / f64::from(span.segment_frames.max(1)) * seconds;
    let mean_lead = span.leads.iter().sum::<f64>() / span.leads.len().max(1) as f64;
    let by_over_decode = 1.0 + (total * OVER_DECODE / mean_lead.max(0.001)).floor();
    by_length.min(by_over_decode).clamp(1.0, f64::from(MOST)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn span(seconds: u64, leads: &[f64]) -> Span<'_> {
        Span {
            frames: seconds * 25,
            segment_frames: 100,
            segment_seconds: 4.0,
            first_picture: 0,
            leads,
        }
    }

    #[test]
    fn chunks_last_about_twelve_seconds() {
        assert_eq!(map(span(3, &[1.0])), [0]);
        assert_eq!(map(span(31, &[1.0])), [0, 4]);
        assert_eq!(map(span(60, &[1.0])), [0, 3, 6, 9, 12]);
    }

    #[test]
    fn rare_key_frames_make_longer_chunks() {
        assert_eq!(map(span(600, &[5.0, 5.0])).len(), 13);
        assert_eq!(map(span(600, &[300.0])), [0]);
        assert!(map(span(40 * 3600, &[1.0])).len() <= 800);
    }

    #[test]
    fn no_later_chunk_begins_before_the_first_picture() {
        let late = Span {
            first_picture: 25 * 30,
            ..span(60, &[1.0])
        };
        assert_eq!(map(late), [0, 9, 12]);
    }

    proptest! {
        #[test]
        fn chunks_tile_the_video_and_the_last_is_long_enough(
            frames in 1u64..20_000_000, segment_frames in 1u32..400, segment_seconds in 0.5..10.0f64,
            first_picture in 0u64..10_000, leads in prop::collection::vec(0.0..400.0f64, 0..64),
        ) {
            let starts = map(Span { frames, segment_frames, segment_seconds, first_picture, leads: &leads });
            prop_assert_eq!(starts[0], 0);
            prop_assert!(starts.windows(2).all(|pair| pair[1] >= pair[0] + FEWEST_SEGMENTS));
            prop_assert!(starts.len() <= 800);
            let last = u64::from(starts[starts.len() - 1]) * u64::from(segment_frames);
            prop_assert!(last < frames);
            prop_assert!(starts.len() == 1 || 2 * (frames - last) >= u64::from(segment_frames));
            let mean = leads.iter().sum::<f64>() / leads.len().max(1) as f64;
            let total = frames as f64 / f64::from(segment_frames) * segment_seconds;
            prop_assert!((starts.len() - 1) as f64 * mean <= total * 0.1 + 1e-6);
        }
    }
}
