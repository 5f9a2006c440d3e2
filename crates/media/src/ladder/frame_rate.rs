//! The frame rate of the output: constant sources keep theirs exactly, variable ones are laid onto
//! a standard one that holds their motion. The times of packets decide; what containers and ffmpeg
//! say of the whole only sets exact fractions apart from rounded ones.

use streams::Rational;

use super::cadence::Cadence;
use super::probe::Video;
use super::standard_rates::standard_rates;

/// No output is faster.
const MAX_RATE: Rational = Rational::whole(60);

/// Above this rate a source is fast: small rungs take every second frame, and others more bits.
/// Cameras whose 30 frames a second are a little more are not.
pub const HIGH_RATE_ABOVE: Rational = Rational::whole(32);

/// Below this many pixels of the short side, every second frame of a fast source is enough.
const FULL_RATE_FROM: u32 = 720;

/// Frames per second where nothing is known.
const DEFAULT_RATE: Rational = Rational::whole(25);

/// Mean and guessed rate of a constant source differ by less than this share: containers cut the
/// first or last frame's duration.
const CONSTANT_RATE_TOLERANCE: f64 = 0.005;

/// A constant rate this near to a standard one is that one, written by a container that counts
/// milliseconds. 30 and 29.97 differ by 0.1 %.
const STANDARD_RATE_TOLERANCE: f64 = 0.0002;

/// Share by which a camera's clock may be off: 60.02 frames a second are 60, not twice 30.01.
const CAMERA_CLOCK_TOLERANCE: f64 = 0.01;

/// Share of regular intervals from which a source is constant: a recorder may lose a frame now and
/// then.
const MIN_REGULAR_SHARE: f64 = 0.98;

/// How much longer than the usual one the mean interval of a constant source may be, by frames that
/// were lost. Where motion comes in bursts most intervals are regular, too, but not most of the
/// time.
const MAX_MEAN_INTERVAL_FACTOR: f64 = 1.25;

/// Intervals below which regular ones may be chance.
const MIN_INTERVALS: usize = 8;

/// Share of intervals that are whole frames of one clock, from which pictures are missing on it and
/// no other clock is meant.
const ON_ONE_CLOCK: f64 = 0.95;

/// What the output's rate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Frames per second of full-rate rungs, from 1 to 60.
    pub frames: Rational,
    /// Whether the source's frames are evenly spaced.
    pub constant: bool,
}

/// Decides the rate of a source: by its packets, else from its mean rate and the rate ffmpeg
/// guesses from its time stamps.
#[must_use]
pub fn decide(video: &Video) -> Rate {
    let summary = Summary {
        average: video.average_rate,
        base: video.base_rate,
    };

    match &video.cadence {
        Some(cadence) if has_packets_of_fields(video, cadence) => {
            constant(video.average_rate.unwrap_or(DEFAULT_RATE))
        }
        Some(cadence) if summary.is_constant(cadence) => constant(summary.exact(cadence)),
        Some(cadence) => Rate {
            frames: summary.variable(cadence),
            constant: false,
        },
        None => summary.rate_without_packets(),
    }
}

/// Whether the packets read so far show the rate of a source: they are regular, and the mean rate
/// of the whole source agrees. Otherwise more of it has to be read.
#[must_use]
pub fn is_settled(video: &Video) -> bool {
    let Some(cadence) = &video.cadence else {
        return false;
    };
    let whole = |rate: Rational| {
        relative_difference(rate.as_f64(), 1.0 / cadence.usual)
            < CONSTANT_RATE_TOLERANCE.max(cadence.error)
    };
    has_packets_of_fields(video, cadence)
        || (cadence.regular >= MIN_REGULAR_SHARE && video.average_rate.is_some_and(whole))
}

/// Whether the packets of an interlaced stream are fields: they come twice as often as its frames.
fn has_packets_of_fields(video: &Video, cadence: &Cadence) -> bool {
    let twice = |rate: Rational| {
        relative_difference(2.0 * rate.as_f64(), 1.0 / cadence.usual)
            < CONSTANT_RATE_TOLERANCE.max(cadence.error)
    };
    video.interlaced
        && cadence.regular >= MIN_REGULAR_SHARE
        && video.average_rate.is_some_and(twice)
}

/// The two rates ffprobe reports for the whole stream (`avg_frame_rate` and `r_frame_rate`), in
/// frames per second.
#[derive(Debug, Clone, Copy)]
struct Summary {
    /// The mean rate; containers without an index of frames guess it.
    average: Option<Rational>,
    /// The lowest rate that holds the first time stamps.
    base: Option<Rational>,
}

impl Summary {
    fn rates(self) -> impl Iterator<Item = Rational> {
        [self.base, self.average].into_iter().flatten()
    }

    /// Whether the packets are even, and enough of them were seen, or the whole is said to be as
    /// they are.
    fn is_constant(self, cadence: &Cadence) -> bool {
        let confirmed = |rate: Rational| {
            relative_difference(rate.as_f64(), 1.0 / cadence.usual) < CONSTANT_RATE_TOLERANCE
        };
        let even = cadence.regular >= MIN_REGULAR_SHARE
            && cadence.mean < cadence.usual * MAX_MEAN_INTERVAL_FACTOR;
        even && (cadence.intervals >= MIN_INTERVALS || self.rates().any(confirmed))
    }

    /// The exact rate of even packets: that of the summary which they confirm, else a standard one,
    /// else their own.
    fn exact(self, cadence: &Cadence) -> Rational {
        let found = 1.0 / cadence.usual;
        let near = |rate: &Rational| {
            relative_difference(rate.as_f64(), found) <= cadence.error.max(STANDARD_RATE_TOLERANCE)
        };
        let nearby = || self.rates().filter(near);
        let standards: Vec<Rational> = standard_rates().filter(near).collect();

        // A summary rate that the packets confirm is exact where their mean is only measured.
        nearby()
            .find_map(|rate| standard(rate.as_f64(), STANDARD_RATE_TOLERANCE))
            .or_else(|| (!standards.is_empty()).then(|| nearest_of(&standards, found)))
            .or_else(|| nearby().next())
            .unwrap_or_else(|| from_thousandths(found))
    }

    /// The standard rate on whose grid the motion of uneven packets stays.
    fn variable(self, cadence: &Cadence) -> Rational {
        let candidates: Vec<Rational> = self.candidates(cadence).collect();
        let nearest_rate = |interval: f64| nearest_of(&candidates, 1.0 / interval);
        let holds = |rate: &Rational| cadence.holding.contains(rate);
        let upward = |from| {
            let mut above = candidates.iter().copied().filter(|rate| *rate >= from);
            above.find(holds).unwrap_or(MAX_RATE)
        };

        // Frames are missing on an even clock: that clock. A phone that drops frames in the dark
        // stays at its 30.
        if cadence.multiples >= ON_ONE_CLOCK {
            return upward(nearest_rate(cadence.clock));
        }

        // The mean is a standard rate and covers all motion: a film at 24 whose frames are shown
        // for two and three fields in turn.
        let mean = nearest_rate(cadence.mean);
        if relative_difference(1.0 / cadence.mean, mean.as_f64()) < CONSTANT_RATE_TOLERANCE
            && holds(&mean)
        {
            return mean;
        }

        upward(nearest_rate(cadence.usual))
    }

    /// The standard rates a source may be laid on: those of NTSC where anything says that its clock
    /// is one.
    fn candidates(self, cadence: &Cadence) -> impl Iterator<Item = Rational> {
        let clocks = [cadence.usual, cadence.clock].map(|interval| 1.0 / interval);
        let rates: Vec<f64> = self.rates().map(Rational::as_f64).chain(clocks).collect();
        let ntsc = |rate: Rational| rate.den() == 1001;
        let is_ntsc = rates
            .iter()
            .any(|rate| standard(*rate, STANDARD_RATE_TOLERANCE).is_some_and(ntsc));

        standard_rates().filter(move |rate| match (rate.num(), rate.den()) {
            (_, 1001) => is_ntsc,
            (24 | 30 | 60, _) => !is_ntsc,
            _ => true,
        })
    }

    /// What the two numbers say where no packets were seen that follow each other.
    fn rate_without_packets(self) -> Rate {
        let variable = |frames| Rate {
            frames,
            constant: false,
        };

        let all: Vec<Rational> = standard_rates().collect();
        match (self.average, self.base) {
            (Some(average), Some(base))
                if relative_difference(average.as_f64(), base.as_f64())
                    < CONSTANT_RATE_TOLERANCE =>
            {
                constant(base)
            }
            (Some(average), Some(base)) => variable(
                // All timestamps are on a standard grid, and most of its frames exist.
                standard(base.as_f64(), STANDARD_RATE_TOLERANCE)
                    .filter(|grid| (0.5..=1.0).contains(&(average.as_f64() / grid.as_f64())))
                    .unwrap_or_else(|| nearest_of(&all, average.as_f64())),
            ),
            (Some(rate), None) | (None, Some(rate)) if (0.5..=240.0).contains(&rate.as_f64()) => {
                variable(nearest_of(&all, rate.as_f64()))
            }
            _ => variable(DEFAULT_RATE),
        }
    }
}

/// Exact from 1 to 60; faster ones are divided by the smallest whole number that brings them there.
fn constant(rate: Rational) -> Rate {
    let rate = standard(rate.as_f64(), STANDARD_RATE_TOLERANCE).unwrap_or(rate);
    let fastest = MAX_RATE.as_f64() * (1.0 + CAMERA_CLOCK_TOLERANCE);
    // A whole divisor leaves out frames evenly; any other one would make the motion uneven.
    let divisor = (rate.as_f64() / fastest).ceil().max(1.0) as i64;
    let slower = rate
        .checked_div(Rational::whole(divisor))
        .unwrap_or(DEFAULT_RATE);

    Rate {
        frames: slower.max(Rational::whole(1)).min(MAX_RATE),
        constant: true,
    }
}

fn nearest_of(rates: &[Rational], rate: f64) -> Rational {
    let distance = |candidate: &Rational| (candidate.as_f64() - rate).abs();
    let nearest = rates
        .iter()
        .min_by(|a, b| distance(a).total_cmp(&distance(b)));
    nearest.copied().unwrap_or(DEFAULT_RATE)
}

fn standard(rate: f64, tolerance: f64) -> Option<Rational> {
    standard_rates().find(|candidate| relative_difference(rate, candidate.as_f64()) < tolerance)
}

/// A rate as a fraction of thousandths.
fn from_thousandths(rate: f64) -> Rational {
    let thousandths = (rate.clamp(0.001, 1e6) * 1000.0).round();
    Rational::new(thousandths as i64, 1000).unwrap_or(DEFAULT_RATE)
}

/// The share by which `a` is off `b`.
fn relative_difference(a: f64, b: f64) -> f64 {
    (a / b - 1.0).abs()
}

/// Whether a source of this rate is fast.
#[must_use]
pub fn is_fast(frames: Rational) -> bool {
    frames > HIGH_RATE_ABOVE
}

/// The rate of a rung: below 720 pixels of the short side every second frame of a fast source is
/// enough.
#[must_use]
pub fn of_rung(frames: Rational, short_side: u32) -> Rational {
    let half = frames.checked_div(Rational::whole(2));
    half.filter(|_| short_side < FULL_RATE_FROM && is_fast(frames))
        .unwrap_or(frames)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::testing::{times, video};
    use proptest::prelude::*;

    /// What is decided of pictures at these times, given ffprobe's two numbers.
    fn of(times: Vec<f64>, average: &str, base: &str) -> (String, bool) {
        let rate = decide(&seen(times, average, base));
        (rate.frames.to_string(), rate.constant)
    }

    fn seen(times: Vec<f64>, average: &str, base: &str) -> Video {
        Video {
            average_rate: average.parse().ok(),
            base_rate: base.parse().ok(),
            cadence: Cadence::of([times]).map(Box::new),
            ..video()
        }
    }

    fn rate(num: f64, den: f64) -> f64 {
        num / den
    }

    const MS: f64 = 1e-3;
    const EXACT: f64 = 1.0 / 90_000.0;
    const GIF: f64 = 1e-2;

    #[test]
    fn constant_rates_are_kept_exactly() {
        for (frames, unit, average, base, wanted) in [
            (25.0, EXACT, "25", "25", "25/1"),
            (
                rate(30_000.0, 1001.0),
                EXACT,
                "27021/902",
                "30000/1001",
                "30000/1001",
            ),
            (
                rate(45_000.0, 1499.0),
                EXACT,
                "45000/1499",
                "45000/1499",
                "45000/1499",
            ),
            (
                rate(19_001.0, 317.0),
                EXACT,
                "19001/317",
                "19001/317",
                "60000/1001",
            ),
            (17.0, EXACT, "17", "17", "17/1"),
            (rate(1000.0, 67.0), EXACT, "1000/67", "1000/67", "1000/67"),
            (12.5, EXACT, "25/2", "25/2", "25/2"),
            (120.0, EXACT, "120", "120", "60/1"),
            (90.0, EXACT, "90", "90", "45/1"),
            (
                rate(240_000.0, 1001.0),
                EXACT,
                "240000/1001",
                "240000/1001",
                "60000/1001",
            ),
            (60.02, EXACT, "3001/50", "3001/50", "60/1"),
            (120.05, EXACT, "2401/20", "2401/20", "60/1"),
            (0.5, EXACT, "1/2", "1/2", "1/1"),
            (rate(1.0, 12.0), MS, "1/12", "1/12", "1/1"),
        ] {
            assert_eq!(
                of(times(frames, 400, unit), average, base),
                (wanted.to_owned(), true),
                "{frames}"
            );
        }
    }

    #[test]
    fn packets_outweigh_what_is_said_of_them() {
        for (frames, unit, average, base, wanted) in [
            // FLV, and Matroska without a default duration.
            (rate(30_000.0, 1001.0), MS, "1000", "1000", "30000/1001"),
            (30.0, MS, "1000", "1000", "30/1"),
            (rate(60_000.0, 1001.0), MS, "1000", "1000", "60000/1001"),
            (50.0, MS, "1000", "1000", "50/1"),
            // A default duration that is wrong.
            (rate(24_000.0, 1001.0), MS, "25", "25", "24000/1001"),
            (24.0, MS, "30", "30", "24/1"),
            (18.0, MS, "25", "25", "18/1"),
            // GIF.
            (30.0, GIF, "30", "100", "30/1"),
            (10.0, GIF, "10", "100", "10/1"),
            (100.0, GIF, "100", "100", "50/1"),
            // Not fields: the flag does not say so.
            (50.0, EXACT, "25", "50", "50/1"),
        ] {
            assert_eq!(
                of(times(frames, 400, unit), average, base),
                (wanted.to_owned(), true),
                "{frames} {average}"
            );
        }
    }

    #[test]
    fn a_few_lost_frames_make_no_other_rate() {
        let mut lossy = times(25.0, 400, EXACT);
        lossy.remove(100);
        lossy.remove(300);
        assert_eq!(of(lossy, "25", "25"), ("25/1".to_owned(), true));
    }

    #[test]
    fn packets_of_fields_are_half_a_frame_each_where_the_stream_is_interlaced() {
        let mut video = seen(times(50.0, 200, EXACT), "25", "50");
        video.interlaced = true;
        assert_eq!(decide(&video).frames, Rational::whole(25));
        assert!(is_settled(&video));
        let mut ntsc = seen(
            times(60_000.0 / 1001.0, 200, EXACT),
            "30000/1001",
            "60000/1001",
        );
        ntsc.interlaced = true;
        assert_eq!(decide(&ntsc).frames, Rational::new(30_000, 1001).unwrap());
    }

    /// Times that continue at each of these rates for this many pictures.
    fn speeds(speeds: &[(f64, u32)], unit: f64) -> Vec<f64> {
        let mut times = vec![0.0];
        for (rate, count) in speeds {
            let from = times[times.len() - 1];
            times.extend((1..=*count).map(|n| from + f64::from(n) / rate));
        }
        times
            .iter()
            .map(|time| (time / unit).round() * unit)
            .collect()
    }

    /// The times of an even clock at whose beats there is a picture where `shown` says so.
    fn picked(rate: f64, count: u32, unit: f64, shown: fn(usize) -> bool) -> Vec<f64> {
        let times = times(rate, count, unit).into_iter().enumerate();
        times
            .filter(|(n, _)| shown(*n))
            .map(|(_, time)| time)
            .collect()
    }

    fn is_variable(name: &str, times: Vec<f64>, (average, base): (&str, &str), wanted: &str) {
        assert_eq!(
            of(times, average, base),
            (wanted.to_owned(), false),
            "{name}"
        );
    }

    #[test]
    fn frames_that_are_missing_on_a_clock_leave_it_the_clock() {
        let phone = picked(30.0, 400, MS, |n| n % 15 != 7);
        is_variable("a phone in the dark", phone, ("28", "30"), "30/1");
        let camera = picked(25.0, 400, MS, |n| n % 10 != 7);
        is_variable("a camera of 25 in the dark", camera, ("45/2", "25"), "25/1");

        let screen = picked(60.0, 400, EXACT, |n| n * n % 30 < 5);
        is_variable("a recorded screen", screen, ("20", "60"), "60/1");
        let bursts = picked(60.0, 1680, MS, |n| n % 420 < 60);
        is_variable("bursts", bursts, ("120/11", "120/11"), "60/1");

        let halves = speeds(&[(30.0, 75), (15.0, 75)], EXACT);
        is_variable("30, then 15", halves, ("20", "30"), "30/1");
        let halves = speeds(&[(60.0, 150), (30.0, 150)], EXACT);
        is_variable("60, then 30", halves, ("40", "60"), "60/1");
        let thirds = speeds(&[(60.0, 100), (20.0, 100)], EXACT);
        is_variable("a mean of half the base", thirds, ("30", "60"), "60/1");

        let pause = speeds(&[(60.0, 200), (0.2, 1), (60.0, 200)], MS);
        is_variable("a long pause", pause, ("50", "60"), "60/1");
    }

    #[test]
    fn mixed_rates_go_to_a_standard_one_that_holds_their_motion() {
        let ntsc = speeds(&[(24_000.0 / 1001.0, 150), (30_000.0 / 1001.0, 150)], EXACT);
        is_variable("film and video", ntsc, ("27", "30000/1001"), "30000/1001");
        let turns = [
            (24.0, 48),
            (30.0, 30),
            (24.0, 48),
            (30.0, 30),
            (24.0, 48),
            (30.0, 30),
        ];
        is_variable(
            "film and video in turn",
            speeds(&turns, EXACT),
            ("26", "120"),
            "30/1",
        );
        let some = speeds(&[(24.0, 200), (30.0, 100)], EXACT);
        is_variable("film with a little video", some, ("26", "120"), "30/1");
        let few = speeds(&[(24.0, 400), (30.0, 20)], EXACT);
        is_variable("film with next to no video", few, ("24", "120"), "24/1");

        let telecine = (0..400).map(|n| (f64::from(n) * 2.5).floor() * 1001.0 / 60_000.0);
        let telecine: Vec<f64> = telecine.collect();
        is_variable(
            "two and three fields",
            telecine,
            ("2997/125", "60000/1001"),
            "24000/1001",
        );

        let shaky = times(30.0, 400, MS).into_iter().enumerate();
        let shaky = shaky.map(|(n, time)| time + [0.0, 0.007, -0.004, 0.005, -0.007][n % 5]);
        is_variable("a shaky clock", shaky.collect(), ("30", "90000"), "30/1");

        let slow_motion = speeds(&[(30.0, 60), (240.0, 240), (30.0, 60)], EXACT);
        is_variable("slow motion between", slow_motion, ("72", "240"), "60/1");
        let slides = speeds(&[(0.2, 5), (0.1, 3), (0.3, 4), (0.05, 2)], MS);
        is_variable("slides", slides, ("1/7", "1000"), "10/1");
    }

    #[test]
    fn without_packets_the_two_numbers_decide() {
        for (average, base, wanted) in [
            ("25", "25", ("25/1", true)),
            ("28", "30", ("30/1", false)),
            ("24123/1000", "90000", ("24/1", false)),
            ("11", "240", ("10/1", false)),
            ("144", "1000", ("60/1", false)),
            ("2", "30", ("10/1", false)),
            ("0/0", "30", ("30/1", false)),
            ("0/0", "90000", ("25/1", false)),
            ("0/0", "0/0", ("25/1", false)),
        ] {
            assert_eq!(
                of(vec![0.0], average, base),
                (wanted.0.to_owned(), wanted.1),
                "{average} {base}"
            );
        }
    }

    #[test]
    fn more_is_looked_at_where_the_parts_and_the_whole_disagree() {
        assert!(is_settled(&seen(times(25.0, 100, EXACT), "25", "25")));
        assert!(is_settled(&seen(
            times(30_000.0 / 1001.0, 100, MS),
            "30000/1001",
            "30000/1001"
        )));
        assert!(!is_settled(&seen(times(25.0, 100, EXACT), "20", "25")));
        assert!(!is_settled(&seen(
            speeds(&[(30.0, 60), (60.0, 60)], EXACT),
            "45",
            "60"
        )));
        assert!(!is_settled(&seen(vec![0.0], "25", "25")));
    }

    #[test]
    fn low_rungs_of_fast_sources_take_every_second_frame() {
        assert_eq!(of_rung(Rational::whole(60), 480), Rational::whole(30));
        assert_eq!(of_rung(Rational::whole(60), 720), Rational::whole(60));
        for slow in ["30", "45000/1499", "31", "32"] {
            let slow: Rational = slow.parse().unwrap();
            assert_eq!(of_rung(slow, 360), slow);
        }
        assert_eq!(
            of_rung(Rational::whole(33), 480),
            Rational::new(33, 2).unwrap()
        );
    }

    proptest! {
        #[test]
        fn every_rate_is_from_1_to_60(
            a in 1i64.., b in 1i64.., c in 1i64.., d in 1i64.., steps in prop::collection::vec(0.0..2.0f64, 0..120), interlaced: bool,
        ) {
            let times = steps.iter().scan(0.0, |time, step| { *time += step; Some(*time) }).collect();
            let cadence = Cadence::of([times]).map(Box::new);
            let (average_rate, base_rate) = (Rational::new(a, b), Rational::new(c, d));
            let video = Video { average_rate, base_rate, interlaced, cadence, ..video() };

            let rate = decide(&video).frames;
            prop_assert!(rate >= Rational::whole(1) && rate <= MAX_RATE, "{rate}");
            let _ = is_settled(&video);
        }

        #[test]
        fn an_even_source_of_milliseconds_keeps_its_rate_within_a_thousandth(rate in 1.0..60.0f64) {
            let decided = decide(&seen(times(rate, 600, MS), "1000", "1000"));
            prop_assert!(decided.constant, "{decided:?}");
            prop_assert!(relative_difference(decided.frames.as_f64(), rate) < 1e-3, "{decided:?}");
        }
    }
}
