//! The chunk map: runs of whole segments that workers encode independently.

/// Processor seconds a chunk should take: short enough to lose little with a worker, long enough
/// for its start to cost little.
const TARGET_CPU_SECONDS: f64 = 30.0;

/// Seconds a chunk lasts, at least and at most.
const CHUNK_SECONDS_RANGE: (f64, f64) = (8.0, 48.0);

/// Seconds a chunk lasts where longer ones would leave too few to share out.
const USUAL_CHUNK_SECONDS: f64 = 12.0;

/// This many chunks can be shared out well.
const ENOUGH_CHUNKS: f64 = 48.0;

/// Seconds of the first chunk, which everyone waits for who wants to play the video at once.
const FIRST_CHUNK_SECONDS: f64 = 8.0;

/// No other chunk has fewer segments, so the last one is never too short for its encoder to reorder
/// frames as the others do.
const MIN_SEGMENTS: u32 = 2;

/// Largest number of chunks of a video: the list of their tasks fits in a fact, even with many
/// tracks.
const MAX_CHUNKS: u32 = 800;

/// Seconds decoded in vain, as a share of the video. Decoding is about a seventh of the work.
const MAX_OVER_DECODE_SHARE: f64 = 0.1;

/// What a chunk map depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span<'a> {
    /// Frames of the video that come from pictures of the source.
    pub frames: u64,
    /// Segments of the programme, at most as many as those frames fill or begin.
    pub segments: u32,
    /// Frames of a segment.
    pub segment_frames: u32,
    /// Seconds of a segment.
    pub segment_seconds: f64,
    /// The frame of the first picture. No chunk may begin before it, except the first.
    pub first_picture: u64,
    /// Seconds from key frames to times sought at random.
    pub leads: &'a [f64],
    /// Processor seconds that a second of the video takes, in all rungs.
    pub cost: f64,
    /// Tasks that can be worked on at a time.
    pub fleet: u32,
}

/// First segment of each chunk. The first chunk is short, and all others have nearly equal lengths;
/// a source with rare key frames gets longer and so fewer ones, so that at most a tenth of it is
/// decoded twice, down to a single chunk.
#[must_use]
pub fn map_chunks(span: Span<'_>) -> Vec<u32> {
    let per_segment = u64::from(span.segment_frames.max(1));
    let segments = span.frames.div_ceil(per_segment).min(span.segments.into());
    let segments = u32::try_from(segments).unwrap_or(u32::MAX).max(1);

    let most = max_chunks(span).min(MAX_CHUNKS);
    let length = span.in_segments(chunk_seconds(span)).max(MIN_SEGMENTS);
    if segments / length < 2 || most < 2 {
        return vec![0];
    }

    let first = span.in_segments(FIRST_CHUNK_SECONDS).clamp(1, length);
    let rest = segments - first;
    let count = (rest / length).clamp(1, most - 1);
    let starts =
        (0..count).map(|i| first + (u64::from(i) * u64::from(rest) / u64::from(count)) as u32);

    // A later chunk that begins before the first picture would have no picture to begin with.
    std::iter::once(0)
        .chain(starts.filter(|start| u64::from(*start) * per_segment > span.first_picture))
        .collect()
}

/// Seconds a chunk should last. Work sets the most; below it, chunks are as long as leaves enough
/// of them for all workers, and shorter than usual only where the fleet would else have nothing to
/// do.
fn chunk_seconds(span: Span<'_>) -> f64 {
    let (shortest, longest) = CHUNK_SECONDS_RANGE;
    let by_cost = (TARGET_CPU_SECONDS / span.cost.max(0.01)).clamp(shortest, longest);
    let (total, fleet) = (span.total(), f64::from(span.fleet));
    let usual = if total / USUAL_CHUNK_SECONDS < fleet {
        shortest
    } else {
        USUAL_CHUNK_SECONDS
    };
    (total / ENOUGH_CHUNKS.max(4.0 * fleet)).clamp(usual.min(by_cost), by_cost)
}

/// Chunks there may be for how far its key frames are apart.
fn max_chunks(span: Span<'_>) -> u32 {
    let mean_lead = span.leads.iter().sum::<f64>() / span.leads.len().max(1) as f64;
    (1.0 + (span.total() * MAX_OVER_DECODE_SHARE / mean_lead.max(0.001)).floor()) as u32
}

impl Span<'_> {
    /// Seconds of the video.
    fn total(&self) -> f64 {
        self.frames as f64 / f64::from(self.segment_frames.max(1)) * self.segment_seconds.max(0.001)
    }

    /// The number of segments that last about this many seconds.
    fn in_segments(&self, seconds: f64) -> u32 {
        (seconds / self.segment_seconds.max(0.001)).round() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 1080p in three rungs.
    const USUAL_COST: f64 = 2.4;

    fn span(seconds: u64, leads: &[f64]) -> Span<'_> {
        Span {
            frames: seconds * 25,
            segments: u32::MAX,
            segment_frames: 100,
            segment_seconds: 4.0,
            first_picture: 0,
            leads,
            cost: USUAL_COST,
            fleet: 1,
        }
    }

    #[test]
    fn the_first_chunk_is_short_and_the_others_last_about_twelve_seconds() {
        assert_eq!(map_chunks(span(3, &[1.0])), [0]);
        assert_eq!(map_chunks(span(19, &[1.0])), [0]);
        assert_eq!(map_chunks(span(31, &[1.0])), [0, 2, 5]);
        assert_eq!(map_chunks(span(60, &[1.0])), [0, 2, 5, 8, 11]);
    }

    #[test]
    fn dear_chunks_are_shorter_and_cheap_ones_longer_where_there_are_plenty() {
        let lasts = |seconds, cost, fleet| {
            chunk_seconds(Span {
                cost,
                fleet,
                ..span(seconds, &[1.0])
            })
        };

        assert_eq!(lasts(3600, 12.0, 1), 8.0);
        assert_eq!(lasts(3600, 0.3, 1), 48.0);
        assert_eq!(lasts(60, 0.3, 1), 12.0);

        // 1800 s are plenty of chunks for a few workers only.
        assert_eq!(lasts(1800, 0.3, 2), 37.5);
        assert_eq!(lasts(1800, 0.3, 64), 12.0);
        assert_eq!(lasts(300, 0.3, 64), 8.0);
    }

    #[test]
    fn rare_key_frames_make_longer_chunks() {
        assert_eq!(map_chunks(span(600, &[5.0, 5.0])).len(), 13);
        assert_eq!(map_chunks(span(600, &[300.0])), [0]);
        assert!(map_chunks(span(40 * 3600, &[1.0])).len() <= 800);
    }

    #[test]
    fn no_later_chunk_begins_before_the_first_picture() {
        let late = Span {
            first_picture: 25 * 30,
            ..span(60, &[1.0])
        };
        assert_eq!(map_chunks(late), [0, 8, 11]);
    }

    proptest! {
        #[test]
        fn chunks_tile_the_video_and_the_last_is_long_enough(
            frames in 1u64..20_000_000, sliver: bool, segment_frames in 1u32..400, segment_seconds in 0.5..10.0f64,
            first_picture in 0u64..10_000, leads in prop::collection::vec(0.0..400.0f64, 0..64),
            cost in 0.0..50.0f64, fleet in 1u32..1000,
        ) {
            // What is left after the last whole segment either joins it or is a segment.
            let all = frames.div_ceil(u64::from(segment_frames)) - u64::from(sliver && frames > u64::from(segment_frames));
            let segments = u32::try_from(all).unwrap();
            let starts = map_chunks(Span { frames, segments, segment_frames, segment_seconds, first_picture, leads: &leads, cost, fleet });

            prop_assert_eq!(starts[0], 0);
            prop_assert!(starts.windows(2).all(|pair| pair[1] > pair[0]));
            prop_assert!(starts.windows(2).skip(1).all(|pair| pair[1] >= pair[0] + MIN_SEGMENTS));
            prop_assert!(starts.len() <= 800);

            let last = u64::from(starts[starts.len() - 1]) * u64::from(segment_frames);
            prop_assert!(last < frames && starts[starts.len() - 1] < segments);
            prop_assert!(starts.len() == 1 || 2 * (frames - last) >= u64::from(segment_frames));

            let mean = leads.iter().sum::<f64>() / leads.len().max(1) as f64;
            let total = frames as f64 / f64::from(segment_frames) * segment_seconds;
            prop_assert!((starts.len() - 1) as f64 * mean <= total * 0.1 + 1e-6);
        }
    }
}
