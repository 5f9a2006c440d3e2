//! How the pictures of a track follow each other in time, by the time stamps of their packets.
//!
//! The summary numbers of containers are guesses of their writers, or ffmpeg's from the first
//! packets; the time stamps are what a player shows. They are rounded, though: to milliseconds in
//! Matroska and FLV, to hundredths of a second in GIF.

use serde::{Deserialize, Serialize};
use streams::Rational;

use super::standard_rates::standard_rates;

/// Seconds. Pictures closer to each other count as one: the fields of a picture, or a hidden
/// picture next to a shown one.
const SAME_FRAME_SECONDS: f64 = 0.0016;

/// Seconds by which timestamps in milliseconds, or from imprecise clocks, differ from the exact
/// time.
const JITTER_SECONDS: f64 = 0.001;

/// Units of time stamps, in seconds, from the coarsest down: of GIF, of early MOV files, and of
/// Matroska and FLV.
const TIMESTAMP_UNITS_SECONDS: [f64; 3] = [0.01, 1.0 / 600.0, JITTER_SECONDS];

/// Rounding of printed time stamps, as a share of their unit.
const ROUNDING_SHARE: f64 = 0.05;

/// Half of this share of an interval may be lost before anyone calls the intervals uneven.
const MAX_UNEVENNESS: f64 = 0.005;

/// Pictures that are matched to a grid together, to see how many get their own position: less than
/// a second of most motion.
const BLOCK_FRAMES: usize = 20;

/// Share of the pictures of a block without which motion still is what it was. Of 30 pictures a
/// second, 25 lose a sixth.
const MAX_LOST_SHARE: f64 = 0.125;

/// Share of blocks that have to keep their motion on a grid that is to hold it.
const MIN_HELD_BLOCKS_SHARE: f64 = 0.9;

/// Where the clock of uneven pictures is searched, as a share of all intervals from the shortest
/// up: fewer are coincidence.
const SHORT_INTERVALS_SHARE: f64 = 0.1;

/// A pause of more than this many frames says nothing about their clock.
const MAX_PAUSE_FRAMES: f64 = 8.0;

/// How pictures follow each other, as measured in one or several pieces of a track.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cadence {
    /// Intervals that were measured, at least one.
    pub intervals: usize,
    /// The usual time from a picture to the next one, in seconds: that of the intervals that differ
    /// by no more than the rounding of time stamps.
    pub usual: f64,
    /// The share by which `usual` may be off, because timestamps are rounded: three standard
    /// deviations, as if each were rounded at random. If a clock is close to a whole number of
    /// units, almost all timestamps are rounded the same way; it may be off by one and a half units
    /// over the whole run, and counts as the nearest even clock.
    pub error: f64,
    /// Share of the intervals that are the usual one and keep its beat.
    pub regular: f64,
    /// The shortest time from a picture to the next one that is no exception, in seconds.
    pub clock: f64,
    /// Share of the intervals that are a whole number of `clock`, or long: pictures are left out of
    /// an even grid.
    pub multiples: f64,
    /// The mean of all intervals, in seconds.
    pub mean: f64,
    /// Standard rates, in frames per second, on whose grid nearly every picture has its own
    /// position.
    pub holding: Vec<Rational>,
}

impl Cadence {
    /// Measures presentation times, in seconds and any order, of pieces in which no picture is
    /// missing. Nothing without two pictures.
    #[must_use]
    pub fn of(pieces: impl IntoIterator<Item = Vec<f64>>) -> Option<Self> {
        let pieces: Vec<Vec<f64>> = pieces
            .into_iter()
            .map(distinct_times)
            .filter(|piece| piece.len() > 1)
            .collect();
        let intervals: Vec<f64> = pieces
            .iter()
            .flat_map(|piece| intervals_of(piece))
            .collect();
        let total: f64 = intervals.iter().sum();
        if intervals.is_empty() || !total.is_finite() {
            return None;
        }

        let unit = timestamp_unit(&pieces);
        let mut sorted = intervals.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let usual = mean_around(&sorted, 0.5, unit.max(JITTER_SECONDS))?;
        let clock = mean_around(&sorted, SHORT_INTERVALS_SHARE, unit.max(JITTER_SECONDS))?;

        let tolerance = unit.max(JITTER_SECONDS).max(usual * MAX_UNEVENNESS);
        // The mean of the usual interval is only good to its rounding; the runs that keep its beat
        // give it exactly.
        let runs: Vec<&[f64]> = pieces
            .iter()
            .flat_map(|piece| even_runs(piece, usual, tolerance))
            .collect();
        let regular: usize = runs.iter().map(|run| run.len() - 1).sum();
        let (usual, error) = fit_interval(&runs, unit).unwrap_or((usual, 1.0));

        let count = intervals.len() as f64;
        let multiples = intervals.iter().filter(|interval| {
            let times = (*interval / clock).round();
            times > MAX_PAUSE_FRAMES
                || (times >= 1.0 && (*interval - times * clock).abs() < tolerance * 1.5)
        });
        Some(Self {
            intervals: intervals.len(),
            usual,
            error,
            regular: regular as f64 / count,
            clock,
            multiples: multiples.count() as f64 / count,
            mean: total / count,
            holding: rates_that_hold(&pieces),
        })
    }
}

/// Times in order, without those that are not a separate picture. Of a hidden picture and a shown
/// one the later is shown.
fn distinct_times(mut times: Vec<f64>) -> Vec<f64> {
    times.retain(|time| time.is_finite());
    times.sort_unstable_by(f64::total_cmp);

    let mut shown: Vec<f64> = Vec::with_capacity(times.len());
    let mut first = f64::NEG_INFINITY;

    for time in times {
        // Measured from the first of a group: a chain of near pictures must not grow into one.
        match shown.last_mut() {
            Some(last) if time - first < SAME_FRAME_SECONDS => *last = time,
            _ => {
                first = time;
                shown.push(time);
            }
        }
    }

    shown
}

fn intervals_of(times: &[f64]) -> impl Iterator<Item = f64> {
    times.windows(2).map(|pair| pair[1] - pair[0])
}

/// The unit of time stamps, in seconds, where it is coarse; zero where they are exact to less than
/// a millisecond.
fn timestamp_unit(pieces: &[Vec<f64>]) -> f64 {
    let all_are = |unit: f64| {
        let mut times = pieces.iter().flatten();
        times.all(|time| (time / unit - (time / unit).round()).abs() < ROUNDING_SHARE)
    };
    TIMESTAMP_UNITS_SECONDS
        .into_iter()
        .find(|unit| all_are(*unit))
        .unwrap_or(0.0)
}

/// The mean of the sorted intervals around the one at this share of all.
fn mean_around(sorted: &[f64], share: f64, unit: f64) -> Option<f64> {
    let center = *sorted.get((sorted.len() as f64 * share) as usize)?;
    let reach = (unit * (1.0 + ROUNDING_SHARE)).max(center * MAX_UNEVENNESS);
    let near = sorted
        .iter()
        .filter(|interval| (*interval - center).abs() <= reach);
    let (sum, count) = near.fold((0.0, 0.0), |(sum, count), interval| {
        (sum + interval, count + 1.0)
    });
    Some(sum / count).filter(|mean: &f64| *mean > 0.0)
}

/// The runs of a piece in which each interval is the usual one. Rounded timestamps of an even clock
/// never differ from it by more than their unit; those of two speeds, whose mean looks like one, do
/// after a few pictures.
fn even_runs(times: &[f64], usual: f64, tolerance: f64) -> Vec<&[f64]> {
    let (mut runs, mut from, mut drift) = (Vec::new(), 0, 0.0_f64);
    for (n, interval) in intervals_of(times).enumerate() {
        drift += interval - usual;
        if (interval - usual).abs() >= tolerance * (1.0 + ROUNDING_SHARE)
            || drift.abs() >= tolerance * 2.5
        {
            runs.extend(times.get(from..=n));
            (from, drift) = (n + 1, 0.0);
        }
    }
    runs.extend(times.get(from..));

    runs
}

/// The interval of the straight line that fits all runs best, each at its own place, and the share
/// by which it may be off (three standard deviations, for stamps of this unit). The two ends alone
/// would set 29.97 apart from 30 a second only after several seconds.
fn fit_interval(runs: &[&[f64]], unit: f64) -> Option<(f64, f64)> {
    let (mut square, mut product, mut residue, mut count) = (0.0, 0.0, 0.0, 0.0);

    for run in runs {
        let middle = (run.len() as f64 - 1.0) / 2.0;
        let mean = run.iter().sum::<f64>() / run.len() as f64;

        for (n, time) in run.iter().enumerate() {
            let at = n as f64 - middle;
            square += at * at;
            product += at * (time - mean);
            residue += (time - mean).powi(2);
            count += 1.0;
        }
    }

    let interval = product / square;
    if !(interval.is_finite() && interval > 0.0) {
        return None;
    }

    // What the line leaves, or what rounding alone would.
    let spread = ((residue - product * interval).max(0.0) / count)
        .sqrt()
        .max(unit / 12.0_f64.sqrt());
    let error = 3.0 * spread / square.sqrt() / interval;
    error.is_finite().then(|| (interval, error.min(1.0)))
}

/// The standard rates that hold the motion of these pieces, from the lowest up.
fn rates_that_hold(pieces: &[Vec<f64>]) -> Vec<Rational> {
    let holds = |rate: f64| {
        let blocks = || pieces.iter().flat_map(|piece| piece.chunks(BLOCK_FRAMES));
        let all: usize = blocks().map(<[f64]>::len).sum();
        let kept = blocks()
            .filter(|block| keeps_frames(block, rate))
            .map(<[f64]>::len);
        kept.sum::<usize>() as f64 >= all as f64 * MIN_HELD_BLOCKS_SHARE
    };
    standard_rates()
        .filter(|rate| holds(rate.as_f64()))
        .collect()
}

/// Whether nearly every picture of a block has its own position on a grid of `rate` frames a
/// second.
fn keeps_frames(block: &[f64], rate: f64) -> bool {
    let first = block.first().copied().unwrap_or_default();
    let places = block.iter().map(|time| ((time - first) * rate).round());
    let mut places: Vec<f64> = places.collect();
    places.dedup();
    let lost = block.len() - places.len();
    lost <= 1 || lost as f64 <= block.len() as f64 * MAX_LOST_SHARE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::testing::times;
    use proptest::prelude::*;

    fn near(found: f64, wanted: f64, tolerance: f64) -> bool {
        (found - wanted).abs() <= tolerance
    }

    #[test]
    fn rounded_stamps_of_an_even_clock_are_regular_and_their_mean_is_its_rate() {
        for (rate, unit) in [
            (30_000.0 / 1001.0, 1e-3),
            (30.0, 1e-3),
            (24_000.0 / 1001.0, 1e-3),
            (60_000.0 / 1001.0, 1e-3),
            (30.0, 1e-2),
            (30_000.0 / 1001.0, 1.0 / 600.0),
            (45_000.0 / 1499.0, 1.0 / 90_000.0),
            (1.0 / 12.0, 1e-3),
        ] {
            let cadence = Cadence::of([times(rate, 300, unit)]).unwrap();
            assert!(cadence.regular > 0.99, "{rate} {unit}: {cadence:?}");
            assert!(
                near(cadence.usual * rate, 1.0, cadence.error + 1e-9),
                "{rate} {unit}: {cadence:?}"
            );
        }
    }

    #[test]
    fn two_speeds_whose_mean_looks_like_one_are_not_regular() {
        // Fifty pictures of three hundredths, then fifty of four.
        let times = (0..100).scan(0.0, |time, n| {
            *time += if n < 50 { 0.03 } else { 0.04 };
            Some(*time)
        });
        assert!(Cadence::of([times.collect()]).unwrap().regular < 0.9);
    }

    #[test]
    fn order_doubles_and_hidden_pictures_do_not_matter() {
        let mut shuffled: Vec<f64> = times(25.0, 100, 1e-3);
        shuffled.reverse();
        shuffled.extend(times(25.0, 100, 1e-3).iter().map(|time| time + 0.001));
        let cadence = Cadence::of([shuffled]).unwrap();
        assert_eq!((cadence.intervals, cadence.regular), (99, 1.0));
        assert!(near(cadence.usual, 0.04, 1e-9));
    }

    #[test]
    fn the_rates_that_hold_a_burst_are_those_of_the_burst() {
        let burst = (0..60).map(|n| f64::from(n) / 60.0);
        let slow = (0..7).map(|n| 1.0 + f64::from(n));
        let cadence = Cadence::of([burst.chain(slow).collect()]).unwrap();
        assert_eq!(
            cadence.holding.first(),
            Rational::new(60_000, 1001).as_ref()
        );
        let film = Cadence::of([times(24.0, 300, 1e-3)]).unwrap();
        assert_eq!(
            film.holding.first(),
            Some(
                &Rational::whole(24_000)
                    .checked_div(Rational::whole(1001))
                    .unwrap()
            )
        );
    }

    #[test]
    fn one_picture_has_no_cadence() {
        assert_eq!(Cadence::of([vec![0.0]]), None);
        assert_eq!(Cadence::of([vec![0.0, 0.0005], vec![3.0]]), None);
        assert_eq!(Cadence::of([vec![f64::NAN, 1.0, f64::INFINITY]]), None);
    }

    proptest! {
        #[test]
        fn no_times_make_it_panic(pieces in prop::collection::vec(prop::collection::vec(any::<f64>(), 0..90), 0..5)) {
            if let Some(cadence) = Cadence::of(pieces) {
                prop_assert!(cadence.usual > 0.0 && cadence.intervals > 0);
                let shares = [cadence.regular, cadence.multiples, cadence.error];
                prop_assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{cadence:?}");
            }
        }

        #[test]
        fn every_even_rate_is_found_within_its_error(
            rate in 1.0..240.0f64, unit in prop::sample::select(vec![1e-3, 1.0 / 90_000.0]), from in 0.0..1e4f64,
        ) {
            let times = times(rate, 200, unit).iter().map(|time| time + (from / unit).round() * unit).collect();
            let cadence = Cadence::of([times]).unwrap();
            prop_assert!(cadence.regular > 0.98, "{cadence:?}");
            // Half a unit at each picture, all to the worse side.
            let stair = 1.5 * unit / 200.0 * rate;
            prop_assert!((cadence.usual * rate - 1.0).abs() <= cadence.error.max(stair) + 1e-9, "{cadence:?}");
        }
    }
}
