//! Exact fractions: frame rates, time bases and points on a timeline. Text form `num/den`, as
//! ffmpeg prints them.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An exact fraction in lowest terms with a positive denominator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Rational {
    num: i64,
    den: i64,
}

/// Why a text or pair is not a usable fraction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a fraction num/den with a positive denominator that fits 64 bits")]
pub struct InvalidRational(String);

impl Default for Rational {
    fn default() -> Self {
        Self::ZERO
    }
}

impl Rational {
    /// Zero.
    pub const ZERO: Self = Self { num: 0, den: 1 };

    /// `num/den` in lowest terms; none if `den` is zero or the result does not fit.
    #[must_use]
    pub fn new(num: i64, den: i64) -> Option<Self> {
        Self::reduce(i128::from(num), i128::from(den))
    }

    /// A whole number.
    #[must_use]
    pub const fn whole(num: i64) -> Self {
        Self { num, den: 1 }
    }

    fn reduce(num: i128, den: i128) -> Option<Self> {
        if den == 0 {
            return None;
        }
        let divisor = gcd(num.unsigned_abs(), den.unsigned_abs()).max(1);
        let divisor = i128::try_from(divisor).ok()? * den.signum();
        Some(Self {
            num: i64::try_from(num / divisor).ok()?,
            den: i64::try_from(den / divisor).ok()?,
        })
    }

    /// The numerator.
    #[must_use]
    pub const fn num(self) -> i64 {
        self.num
    }

    /// The denominator, always positive.
    #[must_use]
    pub const fn den(self) -> i64 {
        self.den
    }

    /// The nearest floating point value.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a reader wants the nearest value"
    )]
    pub fn as_f64(self) -> f64 {
        self.num as f64 / self.den as f64
    }

    /// The sum, or none if it does not fit 64 bits.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let (a, b) = (self.wide(), other.wide());
        Self::reduce(a.0 * b.1 + b.0 * a.1, a.1 * b.1)
    }

    /// The difference, or none if it does not fit 64 bits.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.checked_add(Self {
            num: other.num.checked_neg()?,
            den: other.den,
        })
    }

    /// The product, or none if it does not fit 64 bits.
    #[must_use]
    pub fn checked_mul(self, other: Self) -> Option<Self> {
        let (a, b) = (self.wide(), other.wide());
        Self::reduce(a.0 * b.0, a.1 * b.1)
    }

    /// The quotient, or none if `other` is zero or it does not fit 64 bits.
    #[must_use]
    pub fn checked_div(self, other: Self) -> Option<Self> {
        let (a, b) = (self.wide(), other.wide());
        Self::reduce(a.0 * b.1, a.1 * b.0)
    }

    fn wide(self) -> (i128, i128) {
        (i128::from(self.num), i128::from(self.den))
    }
}

const fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl Ord for Rational {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.wide(), other.wide());
        (a.0 * b.1).cmp(&(b.0 * a.1))
    }
}

impl PartialOrd for Rational {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Rational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

impl FromStr for Rational {
    type Err = InvalidRational;
    fn from_str(text: &str) -> Result<Self, InvalidRational> {
        let (num, den) = text.split_once('/').unwrap_or((text, "1"));
        match (num.parse(), den.parse()) {
            (Ok(num), Ok(den)) => {
                Self::new(num, den).ok_or_else(|| InvalidRational(text.to_owned()))
            }
            _ => Err(InvalidRational(text.chars().take(40).collect())),
        }
    }
}

impl TryFrom<String> for Rational {
    type Error = InvalidRational;
    fn try_from(text: String) -> Result<Self, InvalidRational> {
        text.parse()
    }
}

impl From<Rational> for String {
    fn from(value: Rational) -> Self {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fractions_are_kept_in_lowest_terms_with_the_sign_on_top() {
        assert_eq!(Rational::new(60, -2), Some(Rational::whole(-30)));
        assert_eq!(
            "30000/1001".parse::<Rational>().unwrap().to_string(),
            "30000/1001"
        );
        assert_eq!("25".parse::<Rational>().unwrap(), Rational::whole(25));
        assert!("0/0".parse::<Rational>().is_err());
        assert!("1/x".parse::<Rational>().is_err());
    }

    proptest! {
        #[test]
        fn adding_and_taking_away_returns_to_the_start(a in -1_000_000i64..1_000_000, b in 1i64..100_000, c in -1_000_000i64..1_000_000, d in 1i64..100_000) {
            let (x, y) = (Rational::new(a, b).unwrap(), Rational::new(c, d).unwrap());
            prop_assert_eq!(x.checked_add(y).unwrap().checked_sub(y).unwrap(), x);
            prop_assert_eq!(x.cmp(&y), (x.as_f64()).total_cmp(&y.as_f64()));
        }

        #[test]
        fn text_and_back_is_the_same_fraction(a: i64, b in 1i64..i64::MAX) {
            if let Some(x) = Rational::new(a, b) {
                prop_assert_eq!(x.to_string().parse::<Rational>().unwrap(), x);
            }
        }
    }
}
