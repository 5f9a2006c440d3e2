//! Media playlists of finished renditions (RFC 8216bis section 4.4.3).

use std::fmt::{self, Display};

use super::VERSION;

/// The playlist of one rendition, complete and permanent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaPlaylist {
    /// The target duration of the job in seconds: no segment is longer when rounded (RFC 8216
    /// section 4.3.3.1).
    pub target_duration: u32,
    /// Ticks per second of the segments' durations.
    pub timescale: u32,
    /// URI of the init segment, relative to the playlist.
    pub init_uri: String,
    /// The segments, in order.
    pub segments: Vec<MediaSegment>,
}

/// One segment of a playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaSegment {
    /// Its URI, relative to the playlist.
    pub uri: String,
    /// Sum of its sample durations, in ticks.
    pub duration: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

impl Display for MediaPlaylist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "#EXTM3U")?;
        writeln!(f, "#EXT-X-VERSION:{VERSION}")?;
        writeln!(f, "#EXT-X-TARGETDURATION:{}", self.target_duration)?;
        writeln!(f, "#EXT-X-MEDIA-SEQUENCE:0")?;
        writeln!(f, "#EXT-X-PLAYLIST-TYPE:VOD")?;
        writeln!(f, "#EXT-X-INDEPENDENT-SEGMENTS")?;
        writeln!(f, "#EXT-X-MAP:URI=\"{}\"", self.init_uri)?;

        for segment in &self.segments {
            writeln!(f, "#EXTINF:{},", seconds(segment.duration, self.timescale))?;
            writeln!(f, "{}", segment.uri)?;
        }

        writeln!(f, "#EXT-X-ENDLIST")
    }
}

/// Seconds as a decimal with one to six places, rounded to the nearest microsecond.
pub(super) fn seconds(ticks: u64, timescale: u32) -> String {
    let scale = u128::from(timescale.max(1));
    let micros = (u128::from(ticks) * 2_000_000 + scale) / (2 * scale);
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);

    // At least one place stays, so that every duration is a decimal with a point.
    let short = text.trim_end_matches('0');
    if short.ends_with('.') {
        format!("{short}0")
    } else {
        short.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn playlist(timescale: u32, durations: &[u64]) -> MediaPlaylist {
        let segments = durations
            .iter()
            .enumerate()
            .map(|(n, duration)| MediaSegment {
                uri: format!("{n}-1z.m4s"),
                duration: *duration,
                bytes: 1,
            });

        MediaPlaylist {
            target_duration: 4,
            timescale,
            init_uri: "init-1z.mp4".to_owned(),
            segments: segments.collect(),
        }
    }

    #[test]
    fn a_finished_rendition_is_this_text() {
        let text = playlist(30_000, &[120_120, 120_120, 50_050]).to_string();
        assert_eq!(
            text,
            include_str!("../../tests/golden/media.m3u8"),
            "the playlist is now\n{text}"
        );
    }

    #[test]
    fn durations_have_as_many_places_as_they_need_and_no_more_than_six() {
        assert_eq!(seconds(51_200, 12_800), "4.0");
        assert_eq!(seconds(120_120, 30_000), "4.004");
        assert_eq!(seconds(191_488, 48_000), "3.989333");
        assert_eq!(seconds(1, 3), "0.333333");
        assert_eq!(seconds(2_999_999, 3_000_000), "1.0");
    }

    proptest! {
        #[test]
        fn a_strict_parser_reads_back_what_was_written(timescale in 1000u32..100_000, parts in prop::collection::vec(1u64..4_400, 1..40)) {
            let durations: Vec<u64> = parts.iter().map(|part| (part * u64::from(timescale) / 1000).max(1)).collect();
            let text = playlist(timescale, &durations).to_string();
            let parsed = hls_m3u8::MediaPlaylist::try_from(text.as_str()).unwrap();
            prop_assert_eq!(parsed.segments.values().count(), durations.len());

            for (segment, ticks) in parsed.segments.values().zip(&durations) {
                let wanted = *ticks as f64 / f64::from(timescale);
                prop_assert!((segment.duration.duration().as_secs_f64() - wanted).abs() < 1e-6);
            }
            prop_assert!(parsed.has_end_list && parsed.has_independent_segments);
        }
    }
}
