//! What is copied: the bytes of each segment, where they are in the file, and how they are divided
//! among tasks.

use std::ops::Range;

use super::boundaries::Boundaries;
use super::index::SampleIndex;

/// The maximum number of bytes that one task copies, in whole segments. This is a few minutes of
/// work to repeat if a worker is lost, and fits on any disk. A two-hour film at 6 Mb/s takes eleven
/// tasks.
pub const MAX_COPY_TASK_BYTES: u64 = 512 << 20;

/// Consecutive bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// The offset of the first byte.
    pub offset: u64,
    /// The number of bytes.
    pub length: u64,
}

/// The picture bytes of each segment, without the boxes around them. The n-th sample is the n-th
/// frame ([`SampleIndex::has_closed_groups`]). If the last picture is held, its bytes count once.
#[must_use]
pub fn segment_bytes(index: &SampleIndex, boundaries: &Boundaries) -> Vec<u64> {
    let bytes = |frames| {
        let samples = index.samples_in(sample_range(frames));
        samples.map(|sample| u64::from(sample.bytes)).sum()
    };
    boundaries.iter().map(bytes).collect()
}

/// Where the pictures of a range of frames, such as a segment, are in the file, in decoding order.
/// Ranges at most `max_gap` bytes apart, usually with audio between them, are read as one.
#[must_use]
pub fn file_ranges(index: &SampleIndex, frames: Range<u64>, max_gap: u64) -> Vec<ByteRange> {
    let mut ranges: Vec<ByteRange> = Vec::new();
    for sample in index.samples_in(sample_range(frames)) {
        let (offset, length) = (sample.offset, u64::from(sample.bytes));

        if let Some(last) = ranges.last_mut() {
            // No sample ends after the end of the file.
            let gap = offset.checked_sub(last.offset + last.length);
            if gap.is_some_and(|gap| gap <= max_gap) {
                last.length = offset + length - last.offset;
                continue;
            }
        }
        ranges.push(ByteRange { offset, length });
    }
    ranges
}

/// Divides segments among tasks, given the bytes of each segment. A task is a run of segments with
/// at most [`MAX_COPY_TASK_BYTES`] in total. A single larger segment is a task of its own.
#[must_use]
pub fn copy_ranges(segment_bytes: &[u64]) -> Vec<Range<u32>> {
    let mut tasks: Vec<Range<u32>> = Vec::new();
    let mut in_task = 0_u64;

    for (n, bytes) in (0_u32..).zip(segment_bytes) {
        in_task = in_task.saturating_add(*bytes);
        match tasks.last_mut() {
            Some(task) if in_task <= MAX_COPY_TASK_BYTES => task.end = n + 1,
            _ => {
                tasks.push(n..n + 1);
                in_task = *bytes;
            }
        }
    }
    tasks
}

/// The samples in a range of frames.
fn sample_range(frames: Range<u64>) -> Range<u32> {
    let number = |frame| u32::try_from(frame).unwrap_or(u32::MAX);
    number(frames.start)..number(frames.end)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Clip;
    use super::*;
    use proptest::prelude::*;

    const RANGE: fn((u64, u64)) -> ByteRange = |(offset, length)| ByteRange { offset, length };

    /// Six samples of 100 to 105 bytes in three chunks, with 50 bytes of audio after each chunk.
    fn index() -> SampleIndex {
        let clip = Clip {
            sizes: (100..106).collect(),
            chunk_samples: 2,
            chunk_gap: 50,
            first_offset: 1000,
            ..Clip::new(6)
        };
        clip.index().unwrap()
    }

    #[test]
    fn every_segment_has_its_bytes_and_a_held_picture_has_them_once() {
        let boundaries = Boundaries::new(vec![2, 3, 20]).unwrap();
        assert_eq!(
            segment_bytes(&index(), &boundaries),
            [100 + 101, 102, 103 + 104 + 105]
        );
    }

    #[test]
    fn ranges_join_where_nothing_or_little_lies_between() {
        let ranges = |frames, gap| file_ranges(&index(), frames, gap);
        let apart = [(1000, 201), (1251, 205), (1506, 209)].map(RANGE);

        assert_eq!(ranges(0..6, 0), apart);
        assert_eq!(ranges(0..6, 49), apart);
        assert_eq!(ranges(0..6, 50), [RANGE((1000, 715))]);
        assert_eq!(ranges(1..3, 0), [(1100, 101), (1251, 102)].map(RANGE));
        assert_eq!(ranges(5..900, 0), [RANGE((1610, 105))]);
        assert_eq!(ranges(6..9, 0), []);
    }

    #[test]
    fn tasks_are_whole_segments_of_at_most_half_a_gibibyte() {
        let mib = |sizes: &[u64]| copy_ranges(&sizes.iter().map(|n| n << 20).collect::<Vec<_>>());
        assert_eq!(mib(&[]), []);
        assert_eq!(mib(&[1, 2, 511, 1]), [0..2, 2..4]);
        assert_eq!(mib(&[256, 256, 1]), [0..2, 2..3]);
        assert_eq!(mib(&[1, 600, 1, 1]), [0..1, 1..2, 2..4]);
    }

    proptest! {
        #[test]
        fn every_segment_is_in_one_task(sizes in prop::collection::vec(0_u64..700 << 20, 0..100)) {
            let tasks = copy_ranges(&sizes);
            let mut next = 0;
            for task in &tasks {
                prop_assert_eq!(task.start, next);
                prop_assert!(task.end > task.start);
                let segments = &sizes[task.start as usize..task.end as usize];
                prop_assert!(segments.len() == 1 || segments.iter().sum::<u64>() <= MAX_COPY_TASK_BYTES);
                next = task.end;
            }
            prop_assert_eq!(next as usize, sizes.len());
        }

        #[test]
        fn ranges_hold_every_byte_of_every_sample(
            sizes in prop::collection::vec(1_u32..500, 1..60), chunk_samples in 1_u32..9, chunk_gap in 0_u64..100, max_gap in 0_u64..100,
        ) {
            let samples = u32::try_from(sizes.len()).unwrap();
            let total: u64 = sizes.iter().map(|size| u64::from(*size)).sum();
            let index = Clip { sizes, chunk_samples, chunk_gap, ..Clip::new(samples) }.index().unwrap();

            let ranges = file_ranges(&index, 0..u64::from(samples), max_gap);
            let read: u64 = ranges.iter().map(|range| range.length).sum();
            prop_assert!(read >= total);
            if max_gap < chunk_gap {
                prop_assert_eq!(read, total);
            }
            for sample in index.samples_in(0..samples) {
                let end = sample.offset + u64::from(sample.bytes);
                prop_assert!(ranges.iter().any(|r| r.offset <= sample.offset && end <= r.offset + r.length));
            }
        }
    }
}
