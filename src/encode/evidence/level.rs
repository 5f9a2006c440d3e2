//! Levels of sound, second by second, and what is silent that should not be. Pure.

use streams::work::SoundSample;

/// What counts as silence, in dB relative to full scale.
const SILENCE: f64 = -120.0;

/// Sound that anybody hears is louder than this.
const AUDIBLE: f64 = -50.0;

/// Sound so much quieter than what it was made of is gone.
const GONE: f64 = 40.0;

/// The level of about one second of sound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Level {
    /// When it begins, in seconds.
    time: f64,
    /// Loudest sample.
    peak: f64,
    /// Mean level.
    rms: f64,
}

/// Reads what ffmpeg's `ametadata` filter prints of `astats`: a line for each frame, its values below it.
pub(super) fn read(text: &str) -> Vec<Level> {
    let mut levels: Vec<Level> = Vec::new();
    for line in text.lines() {
        if let Some((_, time)) = line.split_once("pts_time:") {
            levels.push(Level {
                time: time.trim().parse().unwrap_or(0.0),
                peak: SILENCE,
                rms: SILENCE,
            });
        } else if let (Some(level), Some((key, value))) = (levels.last_mut(), line.split_once('=')) {
            let value = value.parse().ok().filter(|db: &f64| db.is_finite()).unwrap_or(SILENCE);
            match key {
                "lavfi.astats.Overall.Peak_level" => level.peak = value.max(SILENCE),
                "lavfi.astats.Overall.RMS_level" => level.rms = value.max(SILENCE),
                _ => {}
            }
        }
    }
    levels
}

/// Compares what was made with what it was made of, over the seconds that were looked at; nothing where there are none.
///
/// The seconds of the two need not begin at the same time: one counts as silent only if all it overlaps with can be heard.
pub(super) fn compare(made: &[Level], source: &[Level]) -> Option<SoundSample> {
    let mut silent = 0_u32;
    let mut heard: Vec<Level> = Vec::new();
    for level in made {
        let first = source.partition_point(|other| other.time <= level.time - 1.0);
        let beside = &source[first..];
        let beside = &beside[..beside.partition_point(|other| other.time < level.time + 1.0)];
        let gone = |other: &Level| other.rms > AUDIBLE && level.rms < other.rms - GONE;
        silent += u32::from(!beside.is_empty() && beside.iter().all(gone));
        heard.extend(beside);
    }
    if made.is_empty() || heard.is_empty() {
        return None;
    }
    Some(SoundSample {
        peak: peak(made),
        source_peak: peak(&heard),
        rms: mean(made),
        source_rms: mean(&heard),
        silent_seconds: f64::from(silent),
    })
}

fn peak(levels: &[Level]) -> f64 {
    levels.iter().map(|level| level.peak).fold(SILENCE, f64::max)
}

/// The level of the mean power.
#[expect(clippy::cast_precision_loss, reason = "a count of seconds")]
fn mean(levels: &[Level]) -> f64 {
    let power: f64 = levels.iter().map(|level| 10_f64.powf(level.rms / 10.0)).sum();
    (10.0 * (power / levels.len().max(1) as f64).log10()).max(SILENCE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn levels(rms: &[f64], offset: f64) -> Vec<Level> {
        let level = |(i, rms): (usize, &f64)| Level {
            time: i as f64 + offset,
            peak: rms + 6.0,
            rms: *rms,
        };
        rms.iter().enumerate().map(level).collect()
    }

    #[test]
    fn printed_metadata_is_read_and_minus_infinity_is_silence() {
        let text = "frame:0    pts:1024    pts_time:0.0213333\nlavfi.astats.Overall.Peak_level=-6.5\n\
                    lavfi.astats.Overall.RMS_level=-20.25\nframe:1    pts:49024   pts_time:1.02133\n\
                    lavfi.astats.Overall.Peak_level=-inf\nlavfi.astats.Overall.RMS_level=-inf\n";
        let read = read(text);
        assert_eq!((read[0].time, read[0].peak, read[0].rms), (0.021_333_3, -6.5, -20.25));
        assert_eq!((read[1].peak, read[1].rms), (SILENCE, SILENCE));
    }

    #[test]
    fn a_second_that_went_silent_is_found_also_where_seconds_do_not_align() {
        let source = levels(&[-20.0; 10], 0.0);
        let mut made = levels(&[-20.5; 10], 0.4);
        made[4].rms = SILENCE;
        made[5].rms = SILENCE;
        let found = compare(&made, &source).unwrap();
        assert_eq!(found.silent_seconds, 2.0);
        assert!((found.source_rms + 20.0).abs() < 1e-6 && found.rms < -21.0);
    }

    #[test]
    fn a_pause_of_the_source_is_no_loss() {
        let source = levels(&[-20.0, -20.0, SILENCE, SILENCE, -20.0], 0.0);
        let made = levels(&[-20.0, -20.0, -100.0, -100.0, -20.0], 0.02);
        assert_eq!(compare(&made, &source).unwrap().silent_seconds, 0.0);
        assert_eq!(compare(&[], &source), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "((frame:0 pts_time:[0-9.na-]{0,6}|lavfi[.]astats[.]Overall[.]RMS_level=[-0-9.inf]{0,7}|\\PC{0,8})\n){0,9}") {
            prop_assert!(read(&text).iter().all(|level| level.rms >= SILENCE && level.rms.is_finite()));
        }

        #[test]
        fn sound_is_never_silent_beside_itself(rms in proptest::collection::vec(-120.0..0.0f64, 1..30), offset in 0.0..1.0f64) {
            let own = levels(&rms, offset);
            prop_assert_eq!(compare(&own, &own).unwrap().silent_seconds, 0.0);
        }
    }
}
