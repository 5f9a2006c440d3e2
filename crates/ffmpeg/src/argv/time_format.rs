//! Exact times as the decimal seconds ffmpeg's options take.

use streams::Rational;

/// Seconds with six decimals, rounded to the nearest microsecond.
pub(super) fn nearest(time: Rational) -> String {
    let (num, den) = wide(time);
    format_seconds((num * 2_000_000 + den).div_euclid(den * 2))
}

/// Seconds with six decimals, never later than `time`: a seek must not land behind the frame it is
/// for.
pub(super) fn not_after(time: Rational) -> String {
    let (num, den) = wide(time);
    format_seconds((num * 1_000_000).div_euclid(den))
}

fn wide(time: Rational) -> (i128, i128) {
    (i128::from(time.num()), i128::from(time.den()))
}

fn format_seconds(micros: i128) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    format!("{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_rounded_to_microseconds_as_asked() {
        let time = Rational::new(1001, 30_000).unwrap();
        assert_eq!(
            (nearest(time).as_str(), not_after(time).as_str()),
            ("0.033367", "0.033366")
        );

        let early = Rational::new(-1, 3).unwrap();
        assert_eq!(
            (nearest(early).as_str(), not_after(early).as_str()),
            ("-0.333333", "-0.333334")
        );
        assert_eq!(nearest(Rational::whole(4)), "4.000000");
    }

    proptest! {
        #[test]
        fn the_text_is_within_a_microsecond_and_on_the_right_side(num in -1_000_000_000i64..1_000_000_000, den in 1i64..200_000) {
            let time = Rational::new(num, den).unwrap();
            let exact = time.as_f64();
            let before: f64 = not_after(time).parse().unwrap();
            let near: f64 = nearest(time).parse().unwrap();
            prop_assert!(before <= exact + 1e-9 && exact - before < 1.1e-6);
            prop_assert!((near - exact).abs() < 0.6e-6);
        }
    }
}
