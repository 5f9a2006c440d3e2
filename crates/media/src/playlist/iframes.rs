//! I-frame playlists (RFC 8216bis section 4.4.3.6): the key frames of a rendition, for fast
//! forward, rewind and scrubbing.
//!
//! They name ranges of existing segments, so they need no additional media.

use std::fmt::{self, Display};

use super::VERSION;
use super::bandwidth::Bandwidth;
use super::media::{MediaSegment, seconds};

/// The key frames of one rendition, complete and permanent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IframePlaylist {
    /// The target duration of the job in seconds: no key frame is shown longer when rounded.
    pub target_duration: u32,
    /// Ticks per second of the durations.
    pub timescale: u32,
    /// URI of the init segment, relative to the playlist.
    pub init_uri: String,
    /// The key frames, in order: the segment each one begins, how long it is shown (until the next
    /// one, or the end of the video), and the bytes from the start of that segment to its own end.
    pub frames: Vec<MediaSegment>,
}

impl IframePlaylist {
    /// The rates of playing key frames alone, each as long as it is shown.
    #[must_use]
    pub fn bandwidth(&self) -> Bandwidth {
        Bandwidth::measure(&self.frames, self.timescale, self.target_duration)
    }
}

impl Display for IframePlaylist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "#EXTM3U")?;
        writeln!(f, "#EXT-X-VERSION:{VERSION}")?;
        writeln!(f, "#EXT-X-TARGETDURATION:{}", self.target_duration)?;
        writeln!(f, "#EXT-X-MEDIA-SEQUENCE:0")?;
        writeln!(f, "#EXT-X-PLAYLIST-TYPE:VOD")?;
        writeln!(f, "#EXT-X-I-FRAMES-ONLY")?;
        writeln!(f, "#EXT-X-INDEPENDENT-SEGMENTS")?;
        writeln!(f, "#EXT-X-MAP:URI=\"{}\"", self.init_uri)?;

        for frame in &self.frames {
            writeln!(f, "#EXTINF:{},", seconds(frame.duration, self.timescale))?;
            // Each range begins with the segment, so it holds the `moof` box that describes the
            // picture.
            writeln!(f, "#EXT-X-BYTERANGE:{}@0", frame.bytes)?;
            writeln!(f, "{}", frame.uri)?;
        }

        writeln!(f, "#EXT-X-ENDLIST")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn playlist(frames: &[(u64, u64)]) -> IframePlaylist {
        let frames = frames
            .iter()
            .enumerate()
            .map(|(n, (duration, bytes))| MediaSegment {
                uri: format!("360p/{n}-1z.m4s"),
                duration: *duration,
                bytes: *bytes,
            });

        IframePlaylist {
            target_duration: 4,
            timescale: 30_000,
            init_uri: "360p/init-1z.mp4".to_owned(),
            frames: frames.collect(),
        }
    }

    #[test]
    fn the_key_frames_of_a_rendition_are_this_text() {
        let text = playlist(&[(120_120, 9000), (120_120, 8000), (50_050, 7000)]).to_string();
        assert_eq!(
            text,
            include_str!("../../tests/golden/iframes.m3u8"),
            "the playlist is now\n{text}"
        );
    }

    #[test]
    fn the_rate_is_that_of_the_key_frames_alone() {
        let rates = playlist(&[(120_000, 9000), (120_000, 1000)]).bandwidth();
        assert_eq!((rates.peak, rates.average), (18_000, 10_000));
    }

    proptest! {
        #[test]
        fn a_strict_parser_finds_every_range(frames in prop::collection::vec((1u64..130_000, 1u64..1_000_000), 1..40)) {
            let text = playlist(&frames).to_string();
            let parsed = hls_m3u8::MediaPlaylist::try_from(text.as_str()).unwrap();
            prop_assert!(parsed.has_i_frames_only && parsed.has_end_list);

            let found: Vec<_> = parsed.segments.values().map(|segment| {
                let range = segment.byte_range.as_ref().unwrap();
                (range.start(), range.end() as u64)
            }).collect();

            let wanted: Vec<_> = frames.iter().map(|(_, bytes)| (Some(0), *bytes)).collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
