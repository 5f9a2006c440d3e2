//! The frame rate of the output: constant sources keep theirs exactly, variable ones are laid onto a standard one.

use streams::Rational;

/// The rates of broadcast and cinema, and what screen recorders and slide shows come near to.
const STANDARD: [(i64, i64); 12] = [
    (10, 1),
    (12, 1),
    (15, 1),
    (20, 1),
    (24_000, 1001),
    (24, 1),
    (25, 1),
    (30_000, 1001),
    (30, 1),
    (50, 1),
    (60_000, 1001),
    (60, 1),
];

/// No output is faster.
const FASTEST: Rational = Rational::whole(60);

/// Stands in where nothing is known.
const UNKNOWN: Rational = Rational::whole(25);

/// Mean and guessed rate of a constant source differ by less than this share: containers cut the first or last frame's duration.
const CONSTANT: f64 = 0.005;

/// A constant rate this near to a standard one is that one, written by a container that counts milliseconds. 30 and 29.97 differ by 0.1 %.
const SAME: f64 = 0.0002;

/// What the output's rate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Frames per second of full-rate rungs, from 1 to 60.
    pub frames: Rational,
    /// Whether the source's frames are evenly spaced.
    pub constant: bool,
}

/// Decides the rate from the source's mean rate and the rate ffmpeg guesses from its time stamps.
#[must_use]
pub fn decide(average: Option<Rational>, base: Option<Rational>) -> Rate {
    match (average, base) {
        (Some(average), Some(base)) if differ(average, base) < CONSTANT => constant(base),
        // Time stamps of fields: the guess is the rate of fields, twice that of frames.
        (Some(average), Some(base))
            if differ(twice(average), base) < CONSTANT && standard(average, CONSTANT).is_some() =>
        {
            constant(standard(average, CONSTANT).unwrap_or(average))
        }
        (Some(average), Some(base)) => Rate {
            frames: variable(average, base),
            constant: false,
        },
        (Some(rate), None) | (None, Some(rate)) if (0.5..=240.0).contains(&rate.as_f64()) => Rate {
            frames: nearest(rate),
            constant: false,
        },
        _ => Rate {
            frames: UNKNOWN,
            constant: false,
        },
    }
}

/// Exact from 1 to 60; faster ones are divided by the smallest whole number that brings them there.
fn constant(rate: Rational) -> Rate {
    let rate = standard(rate, SAME).unwrap_or(rate);
    let divisor = (rate.as_f64() / 60.0 - 1e-9).ceil().max(1.0) as i64;
    let slower = rate.checked_div(Rational::whole(divisor)).unwrap_or(UNKNOWN);
    Rate {
        frames: slower.max(Rational::whole(1)).min(FASTEST),
        constant: true,
    }
}

/// The nearest standard rate to the mean; but where all time stamps lie on a standard grid of which most frames are there, that grid:
/// a phone that drops frames in the dark stays at its 30, and none of the frames it kept is lost.
fn variable(average: Rational, base: Rational) -> Rational {
    let kept = average.as_f64() / base.as_f64();
    match standard(base, SAME) {
        Some(grid) if (0.5..=1.0).contains(&kept) => grid,
        _ => nearest(average),
    }
}

fn nearest(rate: Rational) -> Rational {
    let distance = |candidate: &Rational| (candidate.as_f64() - rate.as_f64()).abs();
    rates()
        .min_by(|a, b| distance(a).total_cmp(&distance(b)))
        .unwrap_or(UNKNOWN)
}

fn standard(rate: Rational, tolerance: f64) -> Option<Rational> {
    rates().find(|candidate| differ(rate, *candidate) < tolerance)
}

fn rates() -> impl Iterator<Item = Rational> {
    STANDARD.iter().filter_map(|(num, den)| Rational::new(*num, *den))
}

fn twice(rate: Rational) -> Rational {
    rate.checked_mul(Rational::whole(2)).unwrap_or(rate)
}

/// The share by which `a` is off `b`.
fn differ(a: Rational, b: Rational) -> f64 {
    (a.as_f64() / b.as_f64() - 1.0).abs()
}

/// The rate of a rung: below 720 pixels of the short side every second frame is enough where there are more than 30 a second.
#[must_use]
pub fn of_rung(frames: Rational, short_side: u32) -> Rational {
    let half = frames.checked_div(Rational::whole(2));
    half.filter(|_| short_side < 720 && frames > Rational::whole(30))
        .unwrap_or(frames)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decided(average: &str, base: &str) -> (String, bool) {
        let rate = decide(average.parse().ok(), base.parse().ok());
        (rate.frames.to_string(), rate.constant)
    }

    #[test]
    fn constant_rates_are_kept_exactly() {
        for (average, base, wanted) in [
            ("25", "25", "25/1"),
            ("30000/1001", "30000/1001", "30000/1001"),
            ("27021/902", "30000/1001", "30000/1001"),
            ("19001/317", "19001/317", "60000/1001"),
            ("17", "17", "17/1"),
            ("1000/67", "1000/67", "1000/67"),
            ("25/2", "25/2", "25/2"),
            ("120", "120", "60/1"),
            ("90", "90", "45/1"),
            ("240000/1001", "240000/1001", "60000/1001"),
            ("1/2", "1/2", "1/1"),
            ("25", "50", "25/1"),
        ] {
            assert_eq!(decided(average, base), (wanted.to_owned(), true), "{average} {base}");
        }
    }

    #[test]
    fn variable_rates_go_to_a_standard_one() {
        for (average, base, wanted) in [
            ("28", "30", "30/1"),
            ("24123/1000", "90000", "24/1"),
            ("11", "240", "10/1"),
            ("144", "1000", "60/1"),
            ("2", "30", "10/1"),
            ("0/0", "30", "30/1"),
            ("0/0", "90000", "25/1"),
            ("0/0", "0/0", "25/1"),
        ] {
            assert_eq!(decided(average, base), (wanted.to_owned(), false), "{average} {base}");
        }
    }

    #[test]
    fn low_rungs_of_fast_sources_take_every_second_frame() {
        assert_eq!(of_rung(Rational::whole(60), 480), Rational::whole(30));
        assert_eq!(of_rung(Rational::whole(60), 720), Rational::whole(60));
        assert_eq!(of_rung(Rational::whole(30), 360), Rational::whole(30));
    }

    proptest! {
        #[test]
        fn every_rate_is_from_1_to_60(a in 1i64.., b in 1i64.., c in 1i64.., d in 1i64..) {
            let rate = decide(Rational::new(a, b), Rational::new(c, d)).frames;
            prop_assert!(rate >= Rational::whole(1) && rate <= FASTEST, "{rate}");
        }
    }
}
