//! What tests of real encoders share (feature `testing`).

use super::{AUDIBLE_DB, Level};

/// How much quieter than its input a block may be, in dB: the encoder of ffmpeg never differed by
/// more than 1.7 dB.
pub const QUIETER_DB: f64 = -2.5;

/// How much quieter than its input the worst audible block is, in dB.
#[must_use]
pub fn worst_block(made: &[Level], source: &[Level]) -> f64 {
    let beside = |level: &Level| {
        source
            .iter()
            .find(|other| other.number == level.number)
            .copied()
    };
    let pairs = made
        .iter()
        .filter_map(|level| Some((level, beside(level)?)));
    let audible = pairs.filter(|(_, source)| f64::from(source.rms) > AUDIBLE_DB);
    audible
        .map(|(made, source)| f64::from(made.rms - source.rms))
        .fold(0.0, f64::min)
}
