//! The frame rates that others are laid onto.

use streams::Rational;

/// Frames per second, as fractions, from the lowest up.
const STANDARD_RATES: [(i64, i64); 12] = [
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

/// The rates of broadcast and cinema, and what screen recorders and slide shows come near to, in
/// frames per second, from the lowest up.
pub(super) fn standard_rates() -> impl Iterator<Item = Rational> {
    STANDARD_RATES
        .iter()
        .filter_map(|(num, den)| Rational::new(*num, *den))
}
