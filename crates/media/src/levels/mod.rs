//! Levels of audio: the output compared with its input, block by block. Pure.
//!
//! Both sides are measured in the same way: only frequencies below [`band`], in blocks of half a
//! second that begin at multiples of half a second of the output's timeline. A block of the one is
//! compared with the block of the same number of the other, so that a pause that begins or ends at
//! the edge of a block is on the same side of it in both. What AAC spreads over an edge is a small
//! part of a block: in tests with many kinds of sound, the encoder of ffmpeg made no block more
//! than 2 dB quieter than its input.

use std::ops::Range;

use streams::work::SoundSample;

/// Blocks in a second.
pub const BLOCKS_PER_SECOND: u32 = 2;

/// What counts as silence, in dB relative to full scale.
const SILENCE_DB: f64 = -120.0;

/// Lowest mean level of an audible block or track, in dB.
const AUDIBLE_DB: f64 = -60.0;

/// How much quieter than its input audio is when it counts as lost, in dB.
const GONE_DB: f64 = 20.0;

/// Seconds of lost audio that are a fault: any two seconds contain this much in whole blocks.
const MAX_LOST_SECONDS: f64 = 1.5;

/// Largest number of blocks of a pause that count as lost together with the audio around them: with
/// long pauses, two lost seconds may contain a single click.
const MAX_PAUSE_BLOCKS: u32 = 4;

/// Blocks that cannot be measured where one piece of a track ends and the next one begins, at most.
const MAX_JOINT_BLOCKS: u32 = 2;

/// Samples of an AAC frame. A decoder that begins anywhere but at the first one makes only half of
/// it.
const AAC_FRAME_SAMPLES: u64 = 1024;

/// The band that is measured is no wider than this, in Hz.
const MAX_BAND_HZ: u64 = 12_000;

/// No bit rate makes ffmpeg's encoder keep less than this, in Hz.
const MIN_BAND_HZ: u64 = 3_000;

/// The level of one block of audio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Its number: when it begins, in halves of a second.
    number: u32,
    /// Loudest sample, in dB.
    peak: f32,
    /// Mean level, in dB.
    rms: f32,
}

/// The highest frequency that is measured in audio with this many bits a second, in Hz; half as
/// many samples a second hold it as are in a block. An encoder drops everything above its cut-off
/// on purpose, and the lower the rate, the lower the cut-off. This is the formula of ffmpeg
/// (`AAC_CUTOFF_FROM_BITRATE`), which keeps slightly more than that.
#[must_use]
pub fn band(bitrate: u64, channels: u32) -> u32 {
    let each = (bitrate / u64::from(channels.max(1))).min(1_000_000);
    let cutoff = u64::max(each / 5, (each * 15 / 32).saturating_sub(5_500));
    u32::try_from(cutoff.clamp(MIN_BAND_HZ, MAX_BAND_HZ)).unwrap_or(u32::MAX)
}

/// The numbers of the blocks that lie wholly in a piece of a track, given in samples from zero;
/// `is_last` where the track ends with it.
#[must_use]
pub fn whole_blocks(piece: Range<u64>, is_last: bool, sample_rate: u32) -> Range<u32> {
    let block = u64::from(sample_rate / BLOCKS_PER_SECOND).max(1);
    // The first frame after the start of a piece is only half there, so blocks begin behind it.
    let first = match piece.start {
        0 => 0,
        start => (start + AAC_FRAME_SAMPLES).div_ceil(block),
    };

    let end = if is_last {
        piece.end.div_ceil(block)
    } else {
        piece.end / block
    };

    let number = |block: u64| u32::try_from(block).unwrap_or(u32::MAX);
    number(first)..number(end.max(first))
}

/// Reads what ffmpeg's `ametadata` filter prints of `astats`: a line for each block, its values
/// below it. A block has `samples` samples.
#[must_use]
pub fn read(text: &str, samples: u32) -> Vec<Level> {
    let mut levels: Vec<Level> = Vec::new();
    for line in text.lines() {
        if let Some((_, rest)) = line.split_once("pts:") {
            let time: u64 = rest
                .split_whitespace()
                .next()
                .and_then(|pts| pts.parse().ok())
                .unwrap_or(0);
            // The number is rounded, since a time stamp may be a sample early.
            let number = (time + u64::from(samples / 2)) / u64::from(samples.max(1));

            levels.push(Level {
                number: u32::try_from(number).unwrap_or(u32::MAX),
                peak: SILENCE_DB as f32,
                rms: SILENCE_DB as f32,
            });
        } else if let (Some(level), Some((key, value))) = (levels.last_mut(), line.split_once('='))
        {
            // astats prints `-inf` for digital silence, which no comparison could use.
            let value = value.parse().ok().filter(|db: &f32| db.is_finite());
            let value = value.unwrap_or(SILENCE_DB as f32).max(SILENCE_DB as f32);

            match key {
                "lavfi.astats.Overall.Peak_level" => level.peak = value,
                "lavfi.astats.Overall.RMS_level" => level.rms = value,
                _ => {}
            }
        }
    }

    levels
}

/// The levels of the blocks with these numbers.
#[must_use]
pub fn within(levels: Vec<Level>, blocks: &Range<u32>) -> Vec<Level> {
    let mut levels = levels;
    levels.retain(|level| blocks.contains(&level.number));
    levels
}

/// Compares the output with its input, over the blocks that were measured in both; none if there
/// are none. Both are in order of time.
#[must_use]
pub fn compare(made: &[Level], source: &[Level]) -> Option<SoundSample> {
    let partner = |level: &Level| {
        let place = source.binary_search_by_key(&level.number, |other| other.number);
        place.ok().map(|place| source[place])
    };

    let pairs: Vec<(Level, Level)> = made
        .iter()
        .filter_map(|level| Some((*level, partner(level)?)))
        .collect();
    if pairs.is_empty() {
        return None;
    }

    let (made, source) = (
        || pairs.iter().map(|pair| pair.0),
        || pairs.iter().map(|pair| pair.1),
    );
    Some(SoundSample {
        peak: peak(made()),
        source_peak: peak(source()),
        rms: mean(made()),
        source_rms: mean(source()),
        silent_seconds: f64::from(silent_blocks(&pairs)) / f64::from(BLOCKS_PER_SECOND),
    })
}

/// Whether the output is silent, completely or for some seconds, where its input is not.
#[must_use]
pub fn is_lost(heard: &SoundSample) -> bool {
    is_gone(heard.rms, heard.source_rms) || heard.silent_seconds >= MAX_LOST_SECONDS
}

fn is_gone(made: f64, source: f64) -> bool {
    source > AUDIBLE_DB && made < source - GONE_DB
}

/// Blocks of the stretches that are silent although their input is audible.
fn silent_blocks(pairs: &[(Level, Level)]) -> u32 {
    let mut silent = 0;
    let (mut lost, mut quiet) = (0, 0);
    let mut due = pairs.first().map_or(0, |(made, _)| made.number);
    for (made, source) in pairs {
        let unmeasured = made.number.saturating_sub(due);
        due = made.number.saturating_add(1);

        let is_gone = is_gone(made.rms.into(), source.rms.into());
        let is_heard = !is_gone && f64::from(source.rms) > AUDIBLE_DB;

        // Where two pieces of a track join, blocks cannot be measured; a longer gap lies between
        // pieces that were not decoded, and ends a stretch.
        if unmeasured <= MAX_JOINT_BLOCKS {
            quiet += unmeasured;
        }
        if unmeasured > MAX_JOINT_BLOCKS || is_heard {
            silent += silent_stretch(lost, quiet);
            (lost, quiet) = (0, 0);
        }

        lost += u32::from(is_gone);
        quiet += u32::from(!is_gone && !is_heard);
    }
    silent + silent_stretch(lost, quiet)
}

/// Blocks of a silent stretch that count: none if it was a pause.
fn silent_stretch(lost: u32, quiet: u32) -> u32 {
    if lost == 0 {
        0
    } else {
        lost + quiet.min(MAX_PAUSE_BLOCKS)
    }
}

fn peak(levels: impl Iterator<Item = Level>) -> f64 {
    levels
        .map(|level| f64::from(level.peak))
        .fold(SILENCE_DB, f64::max)
}

/// The level of the mean power.
#[expect(clippy::cast_precision_loss, reason = "a count of blocks")]
fn mean(levels: impl ExactSizeIterator<Item = Level>) -> f64 {
    let count = levels.len().max(1) as f64;
    let power: f64 = levels
        .map(|level| 10_f64.powf(f64::from(level.rms) / 10.0))
        .sum();
    (10.0 * (power / count).log10()).max(SILENCE_DB)
}

#[cfg(test)]
mod corpus;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod tests;
