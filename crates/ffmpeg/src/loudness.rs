//! How loud a track is (EBU R 128), as [`super::argv::loudness`] had it measured, and how far that
//! is from what is wished.

use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

/// Bytes at the end of a file of measurements that surely hold the last one.
const TAIL_BYTES: u64 = 4096;

/// LUFS; a quieter track is silence, which no gain makes a programme.
const SILENCE_LUFS: f64 = -60.0;

/// Decibels; more would only be noise.
const MAX_GAIN_DB: f64 = 24.0;

/// The gain in dB that brings a track to `target` LUFS, from the file of its measurements; nothing
/// for silence, or where there is no measurement.
pub async fn gain(file: &Path, target: f64) -> Option<f64> {
    let mut file = tokio::fs::File::open(file).await.ok()?;
    let length = file.metadata().await.ok()?.len();
    // Every audio frame has its measurement in the file, and only the last one counts.
    file.seek(std::io::SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))
        .await
        .ok()?;

    let mut tail = Vec::new();
    file.read_to_end(&mut tail).await.ok()?;

    let measured = read_integrated(&String::from_utf8_lossy(&tail))?;
    (measured > SILENCE_LUFS).then(|| (target - measured).clamp(-MAX_GAIN_DB, MAX_GAIN_DB))
}

/// The last integrated loudness, which is that of the whole track.
fn read_integrated(measurements: &str) -> Option<f64> {
    let lines = measurements.lines().rev();
    let mut values = lines.filter_map(|line| {
        line.strip_prefix("lavfi.r128.I=")?
            .trim()
            .parse::<f64>()
            .ok()
    });
    values.find(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_measurements_make_the_reader_panic_and_none_is_without_end(text in "((lavfi.r128.I=)?(-?[0-9]{0,20}(\\.[0-9]{0,9})?|inf|-inf|nan|\\PC{0,9})\n?){0,9}") {
            prop_assert!(read_integrated(&text).is_none_or(f64::is_finite));
        }
    }

    #[tokio::test]
    async fn the_last_measurement_counts_and_silence_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("loudness.txt");
        let many = "frame:1 pts:4800 pts_time:0.1\nlavfi.r128.I=-70.000\n".repeat(1000);

        for (last, wanted) in [
            ("-23.04", Some(7.04)),
            ("-70.000", None),
            ("-3", Some(-13.0)),
            ("-58.5", Some(24.0)),
        ] {
            std::fs::write(&file, format!("{many}lavfi.r128.I={last}\n")).unwrap();
            let found = gain(&file, -16.0).await;
            assert_eq!(
                found.map(|gain| (gain * 100.0).round() / 100.0),
                wanted,
                "{last}"
            );
        }

        assert_eq!(gain(&folder.path().join("none"), -16.0).await, None);
    }
}
