//! Which tones are in an audio track: each track of a test input has its own, which identifies it.

use crate::harness::process::{command, output_of};

/// Samples per second of everything here.
const RATE: f64 = 16_000.0;

/// Decodes about a second of the first audio track at a path or URL from `seconds` on; one list of
/// samples for each channel.
pub(crate) async fn hearing(input: &str, seconds: f64) -> Vec<Vec<f32>> {
    let probe = [
        "-v",
        "error",
        "-select_streams",
        "a:0",
        "-show_entries",
        "stream=channels",
        "-of",
        "csv=p=0",
        input,
    ];
    let channels = String::from_utf8(output_of(command("ffprobe").args(probe)).await).unwrap();
    let channels: usize = channels
        .lines()
        .find_map(|line| line.trim().parse().ok())
        .unwrap();
    let (rate, filter) = (
        RATE.to_string(),
        format!("atrim=start={seconds}:duration=1"),
    );
    let decode = [
        "-nostdin", "-v", "error", "-i", input, "-map", "0:a:0", "-af", &filter, "-ar", &rate,
        "-f", "f32le", "-",
    ];
    let bytes = output_of(command("ffmpeg").args(decode)).await;
    let samples: Vec<f32> = bytes
        .chunks_exact(4)
        .map(|four| f32::from_le_bytes(four.try_into().unwrap()))
        .collect();
    (0..channels)
        .map(|channel| {
            samples
                .iter()
                .skip(channel)
                .step_by(channels)
                .copied()
                .collect()
        })
        .collect()
}

/// Which of `tones`, in Hz, is the loudest in these samples; none if none of them is audible.
pub(crate) fn loudest_tone(samples: &[f32], tones: &[u32]) -> Option<u32> {
    let levels = tones
        .iter()
        .map(|tone| (*tone, level(samples, f64::from(*tone))));
    let (tone, level) = levels.max_by(|one, other| one.1.total_cmp(&other.1))?;
    (level > 0.01).then_some(tone)
}

/// The amplitude of one tone (the Fourier coefficient at its frequency).
pub(crate) fn level(samples: &[f32], tone: f64) -> f64 {
    let step = std::f64::consts::TAU * tone / RATE;
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (i, sample) in samples.iter().enumerate() {
        let (sin, cos) = (step * i as f64).sin_cos();
        real += f64::from(*sample) * cos;
        imaginary += f64::from(*sample) * sin;
    }
    2.0 * (real * real + imaginary * imaginary).sqrt() / samples.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::clip::make_from;

    #[tokio::test]
    async fn channels_are_told_by_their_tones_and_silence_by_none() {
        let clip = make_from(
            "-f lavfi -i aevalsrc=exprs=0.3*sin(2*PI*440*t)|0.3*sin(2*PI*660*t):s=48000:d=2 -c:a pcm_s16le",
            "wav",
        )
        .await;
        let heard = hearing(clip.text(), 0.5).await;
        let tones: Vec<_> = heard
            .iter()
            .map(|channel| loudest_tone(channel, &[440, 660, 880]))
            .collect();
        assert_eq!(tones, [Some(440), Some(660)]);
        assert_eq!(loudest_tone(&heard[0], &[660, 880]), None);
        assert_eq!(loudest_tone(&vec![0.0; 16_000], &[440]), None);
    }
}
