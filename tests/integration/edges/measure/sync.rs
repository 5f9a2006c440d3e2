//! When a screen flashes and when a loudspeaker beeps.

use crate::harness::output::pictures::pictures;
use crate::harness::output::sound::sound;
use crate::harness::process::{command, output_of};

/// Something shorter than this is a flicker of the one before, in seconds.
const APART: f64 = 0.3;

/// When something becomes visible or audible, in seconds of the player's clock.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Moments {
    /// The first picture of each flash.
    pub(crate) flashes: Vec<f64>,
    /// The first sample of each beep.
    pub(crate) beeps: Vec<f64>,
}

/// The flashes of the video at `pictures` and the beeps of the audio at `sounds`, each a path or
/// URL.
pub(crate) async fn moments(picture_input: &str, sound_input: &str) -> Moments {
    let (times, bright) = (
        pictures(picture_input).await.times,
        brightness(picture_input).await,
    );
    assert_eq!(times.len(), bright.len(), "frames of {picture_input}");
    let lit: Vec<f64> = times
        .iter()
        .zip(&bright)
        .filter(|(_, bright)| **bright > 110)
        .map(|(time, _)| *time)
        .collect();
    let heard = sound(sound_input).await;
    Moments {
        flashes: onsets(lit),
        beeps: onsets(heard.loud_times(0.25)),
    }
}

/// The first of every run of times.
fn onsets(times: Vec<f64>) -> Vec<f64> {
    let mut before = f64::NEG_INFINITY;
    times
        .into_iter()
        .filter(|time| {
            let begins = *time - before > APART;
            before = *time;
            begins
        })
        .collect()
}

/// The mean brightness of every frame, in the order of presentation.
async fn brightness(input: &str) -> Vec<u8> {
    let filters = "scale=2:2:flags=area,format=gray";
    let arguments = [
        "-nostdin",
        "-v",
        "error",
        "-i",
        input,
        "-map",
        "0:V:0",
        "-vf",
        filters,
        "-fps_mode",
        "passthrough",
        "-f",
        "rawvideo",
        "-",
    ];
    output_of(command("ffmpeg").args(arguments))
        .await
        .chunks_exact(4)
        .map(|pixels| pixels[0])
        .collect()
}

impl Moments {
    /// What is wrong, where all of `wanted` should be seen and heard, pictures at a step of `frame`
    /// seconds. Both may be late by less than a frame, because a start of audio only is padded to
    /// whole frames; but they must not differ.
    pub(crate) fn faults(&self, wanted: &[f64], frame: f64) -> Vec<String> {
        let (tolerance, late) = (frame / 2.0 + 0.005, frame + 0.005);
        let mut faults = Vec::new();
        for (what, found) in [("flashes", &self.flashes), ("beeps", &self.beeps)] {
            let fits = found.len() == wanted.len()
                && found
                    .iter()
                    .zip(wanted)
                    .all(|(found, wanted)| (found - wanted).abs() <= late);
            if !fits {
                faults.push(format!(
                    "{what} come at {found:.4?} and not at {wanted:.4?} (within {late:.4} s)"
                ));
            }
        }
        let apart = self
            .flashes
            .iter()
            .zip(&self.beeps)
            .map(|(flash, beep)| (beep - flash).abs())
            .fold(0.0, f64::max);
        if apart > tolerance {
            faults.push(format!(
                "flash and beep are {apart:.4} s apart (more than {tolerance:.4} s)"
            ));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edges::input::{beeps, flashes};
    use crate::harness::clip::make_from;

    async fn clip(delay: f64) -> Moments {
        let (flash, beep) = (
            flashes("25", 4.0, &[1.0, 3.0]),
            beeps(4.0, &[1.0 + delay, 3.0 + delay]),
        );
        let clip = make_from(
            &format!("{flash} {beep} -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac -movflags +faststart"),
            "mp4",
        )
        .await;
        moments(clip.text(), clip.text()).await
    }

    #[tokio::test]
    async fn what_is_together_is_found_so_and_a_beep_thirty_milliseconds_late_is_noticed() {
        assert_eq!(
            clip(0.0).await.faults(&[1.0, 3.0], 0.04),
            Vec::<String>::new()
        );
        for delay in [0.03, -0.03] {
            let shifted = clip(delay).await;
            assert!(!shifted.faults(&[1.0, 3.0], 0.04).is_empty(), "{shifted:?}");
        }
    }

    #[test]
    fn a_missing_flash_a_drift_and_a_common_delay_are_noticed() {
        let moments = |flashes: &[f64], beeps: &[f64]| Moments {
            flashes: flashes.to_vec(),
            beeps: beeps.to_vec(),
        };
        let wanted = [1.0, 19.0];
        assert!(
            moments(&[1.0, 19.0], &[1.001, 19.002])
                .faults(&wanted, 0.04)
                .is_empty()
        );
        for (flashes, beeps) in [
            (&[1.0][..], &[1.0, 19.0][..]),
            (&[1.0, 19.0], &[1.0, 19.04]),
            (&[1.5, 19.5], &[1.5, 19.5]),
        ] {
            assert!(!moments(flashes, beeps).faults(&wanted, 0.04).is_empty());
        }
    }
}
