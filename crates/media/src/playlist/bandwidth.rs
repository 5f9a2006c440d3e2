//! The rates of a rendition, measured on its segments.

use serde::{Deserialize, Serialize};

use super::media::MediaSegment;

/// Peak and mean rate, in bits per second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bandwidth {
    /// The highest rate over contiguous segments that last 0.5 to 1.5 target durations together
    /// (RFC 8216bis, section 4.4.6.2, "peak segment bit rate").
    pub peak: u64,
    /// The rate over all segments.
    pub average: u64,
}

impl Bandwidth {
    /// Measures segments whose durations are in ticks of `timescale`. Where no run of segments
    /// lasts as long as the definition asks, as in very short files, the peak is the mean. Rates
    /// are rounded up.
    #[must_use]
    pub fn measure(segments: &[MediaSegment], timescale: u32, target_duration: u32) -> Self {
        let all = Run::of(segments);
        let average = all.rate(timescale);

        let target = u64::from(target_duration) * u64::from(timescale);
        // Every run is checked, not only neighbours of one length: a peak may be in any of them.
        let peak = (0..segments.len())
            .flat_map(|first| runs_from(&segments[first..], target))
            .map(|run| run.rate(timescale))
            .max();

        Self {
            peak: peak.unwrap_or(average).max(average),
            average,
        }
    }

    /// The rates of two renditions that are played together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            peak: self.peak.saturating_add(other.peak),
            average: self.average.saturating_add(other.average),
        }
    }

    /// The larger of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            peak: self.peak.max(other.peak),
            average: self.average.max(other.average),
        }
    }
}

/// Bytes and ticks of some segments.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    bytes: u64,
    ticks: u64,
}

impl Run {
    fn of(segments: &[MediaSegment]) -> Self {
        segments.iter().fold(Self::default(), Self::and)
    }

    fn and(self, segment: &MediaSegment) -> Self {
        Self {
            bytes: self.bytes.saturating_add(segment.bytes),
            ticks: self.ticks.saturating_add(segment.duration),
        }
    }

    fn rate(self, timescale: u32) -> u64 {
        let bits = u128::from(self.bytes) * 8 * u128::from(timescale);
        let rate = bits.div_ceil(u128::from(self.ticks).max(1));
        u64::try_from(rate).unwrap_or(u64::MAX)
    }
}

/// The runs that begin with the first segment and last 0.5 to 1.5 times `target` ticks.
fn runs_from(segments: &[MediaSegment], target: u64) -> impl Iterator<Item = Run> {
    let runs = segments.iter().scan(Run::default(), |run, segment| {
        *run = run.and(segment);
        Some(*run)
    });
    runs.take_while(move |run| run.ticks.saturating_mul(2) <= target.saturating_mul(3))
        .filter(move |run| run.ticks.saturating_mul(2) >= target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segments(list: &[(u64, u64)]) -> Vec<MediaSegment> {
        list.iter()
            .map(|(duration, bytes)| MediaSegment {
                uri: String::new(),
                duration: *duration,
                bytes: *bytes,
            })
            .collect()
    }

    #[test]
    fn the_peak_is_over_runs_of_half_to_one_and_a_half_targets() {
        // In seconds, target 4: the one-second burst alone is too short to count, together with a
        // neighbour it counts.
        let measured = Bandwidth::measure(&segments(&[(4, 4000), (4, 4000), (1, 3000)]), 1, 4);
        assert_eq!(
            measured,
            Bandwidth {
                peak: 8 * 7000 / 5,
                average: (8_u64 * 11_000).div_ceil(9)
            }
        );
    }

    #[test]
    fn a_file_too_short_for_any_run_has_its_mean_as_peak() {
        assert_eq!(
            Bandwidth::measure(&segments(&[(1, 1000)]), 1, 4),
            Bandwidth {
                peak: 8000,
                average: 8000
            }
        );
        assert_eq!(Bandwidth::measure(&[], 1, 4), Bandwidth::default());
    }

    proptest! {
        #[test]
        fn no_run_is_above_the_peak_and_the_mean_is_not_either(
            list in prop::collection::vec((1u64..8000, 0u64..10_000_000), 1..30),
            target in 1u32..8,
        ) {
            let segments = segments(&list);
            let measured = Bandwidth::measure(&segments, 1000, target);

            prop_assert!(measured.peak >= measured.average);
            for first in 0..list.len() {
                for end in first + 1..=list.len() {
                    let ticks: u64 = list[first..end].iter().map(|s| s.0).sum();
                    let bytes: u64 = list[first..end].iter().map(|s| s.1).sum();
                    let targets = ticks as f64 / 1000.0 / f64::from(target);
                    if (0.5..=1.5).contains(&targets) {
                        prop_assert!(bytes as f64 * 8000.0 / ticks as f64 <= measured.peak as f64 + 1.0);
                    }
                }
            }
        }
    }
}
