//! What ffmpeg hears in a track, and how far one sound lies behind another.

use crate::harness::process::{command, output_of};

/// Samples per second of everything here.
pub(crate) const RATE: u32 = 48_000;
/// The farthest shift that is looked for, in samples: 25 ms.
const REACH: usize = 1_200;
/// How many samples are compared.
const WINDOW: usize = 16_384;

/// The sound of a track.
#[derive(Debug)]
pub(crate) struct Sound {
    /// When its first sample is to be heard, in seconds.
    pub(crate) start: f64,
    samples: Vec<f32>,
}

/// Decodes the first audio track at a path or URL, mixed down to one channel.
pub(crate) async fn sound(input: &str) -> Sound {
    let probe = [
        "-v",
        "error",
        "-select_streams",
        "a:0",
        "-show_entries",
        "stream=start_time",
        "-of",
        "csv=p=0",
        input,
    ];

    let start = String::from_utf8(output_of(command("ffprobe").args(probe)).await).unwrap();
    let start = start
        .lines()
        .find_map(|line| line.trim().trim_end_matches(',').parse().ok());

    let rate = RATE.to_string();
    let decode = [
        "-nostdin", "-v", "error", "-i", input, "-map", "0:a:0", "-ac", "1", "-ar", &rate, "-f",
        "f32le", "-",
    ];
    let bytes = output_of(command("ffmpeg").args(decode)).await;
    let samples = bytes
        .chunks_exact(4)
        .map(|four| f32::from_le_bytes(four.try_into().unwrap()))
        .collect();

    Sound {
        start: start.unwrap_or_else(|| panic!("{input} has no audio")),
        samples,
    }
}

impl Sound {
    /// Its length in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        let samples = self.samples.len() as f64;
        samples / f64::from(RATE)
    }

    /// Whether there is nothing to be heard in it.
    pub(crate) fn is_silent(&self) -> bool {
        self.samples.iter().all(|sample| sample.abs() < 1e-4)
    }

    /// When it is louder than `amplitude`, in seconds: the time of every such sample.
    pub(crate) fn loud_times(&self, amplitude: f32) -> Vec<f64> {
        let loud = self
            .samples
            .iter()
            .enumerate()
            .filter(|(_, sample)| sample.abs() > amplitude);
        loud.map(|(i, _)| self.start + i as f64 / f64::from(RATE))
            .collect()
    }

    /// Where the loudest stretch of `window` samples begins that has room on both sides.
    fn loudest(&self, window: usize) -> usize {
        let last = self.samples.len().saturating_sub(window + REACH);
        let energy = |at: &usize| {
            product(
                &self.samples[*at..*at + window],
                &self.samples[*at..*at + window],
            )
        };
        (REACH..last)
            .step_by(window / 2)
            .max_by(|one, other| energy(one).total_cmp(&energy(other)))
            .unwrap_or(0)
    }

    /// How many seconds `self` comes later than `original`, both on the clock whose zero is `zero`
    /// of the original's.
    ///
    /// # Panics
    /// When the two do not sound alike at any shift within reach: then they are farther apart, or
    /// not the same sound.
    pub(crate) fn lag_behind(&self, original: &Self, zero: f64) -> f64 {
        // Sample i of the original should be sample i + offset of ours.
        let offset = ((original.start - zero - self.start) * f64::from(RATE)).round() as i64;

        let window = WINDOW.min(original.samples.len() / 2);
        let begin = original.loudest(window);
        let pattern = &original.samples[begin..begin + window];
        let reach = i64::try_from(REACH).unwrap();

        let (best, likeness) = (-reach..=reach)
            .filter_map(|shift| {
                let at = usize::try_from(i64::try_from(begin).unwrap() + offset + shift).ok()?;
                Some((
                    shift,
                    parse_ssim(pattern, self.samples.get(at..at + window)?),
                ))
            })
            .max_by(|one, other| one.1.total_cmp(&other.1))
            .expect("some shift is possible");

        assert!(
            likeness > 0.6,
            "the sound is not the source's within {REACH} samples: likeness {likeness} at {best}"
        );
        best as f64 / f64::from(RATE)
    }
}

/// Correlation of two equally long sounds: 1 for equal ones, 0 for strangers.
fn parse_ssim(one: &[f32], other: &[f32]) -> f64 {
    product(one, other)
        / (product(one, one) * product(other, other))
            .sqrt()
            .max(f64::MIN_POSITIVE)
}

fn product(one: &[f32], other: &[f32]) -> f64 {
    one.iter()
        .zip(other)
        .map(|(one, other)| f64::from(*one) * f64::from(*other))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random_bytes(samples: usize) -> Vec<f32> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from(u16::try_from(state >> 16).unwrap()) / 65_536.0 - 0.5
        };
        (0..samples).map(|_| next()).collect()
    }

    #[test]
    fn a_shift_of_a_few_samples_is_found_either_way() {
        let samples = random_bytes(48_000);
        let original = Sound {
            start: 0.0,
            samples: samples.clone(),
        };

        for shift in [-7_i32, 0, 480] {
            let pause = usize::try_from(shift.max(0)).unwrap();
            let early = usize::try_from((-shift).max(0)).unwrap();
            let moved = [vec![0.0; pause], samples[early..].to_vec()].concat();
            let lag = Sound {
                start: 0.0,
                samples: moved,
            }
            .lag_behind(&original, 0.0);

            assert!(
                (lag - f64::from(shift) / f64::from(RATE)).abs() < 1e-9,
                "{shift}: {lag}"
            );
        }
    }

    #[test]
    #[should_panic(expected = "not the source's")]
    fn another_sound_is_not_taken_for_the_source() {
        let samples = random_bytes(96_000);
        let (one, other) = samples.split_at(48_000);
        let original = Sound {
            start: 0.0,
            samples: one.to_vec(),
        };

        Sound {
            start: 0.0,
            samples: other.to_vec(),
        }
        .lag_behind(&original, 0.0);
    }
}
