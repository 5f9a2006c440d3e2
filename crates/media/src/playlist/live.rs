//! Live media playlists (RFC 8216bis section 4.4.3.5, `EVENT`): lines are only ever added, and
//! at the end a last one.

use std::fmt::{self, Display};

use super::VERSION;
use super::media::seconds;

/// A media playlist that grows until it is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivePlaylist {
    /// The target duration of the job in seconds.
    pub target_duration: u32,
    /// URI of the init segment, relative to the playlist.
    pub init_uri: String,
    /// The segments listed so far, in order.
    pub lines: Vec<LiveSegment>,
    /// Whether the playlist is complete: then it ends with `EXT-X-ENDLIST`, and no segment follows.
    pub sealed: bool,
}

/// One segment of a live playlist, as its two lines have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSegment {
    /// Its length in seconds, as the text of `EXTINF`.
    pub duration: String,
    /// Its URI, relative to the playlist.
    pub uri: String,
}

impl LiveSegment {
    /// A segment of this many ticks, at `timescale` ticks per second.
    #[must_use]
    pub fn new(uri: String, ticks: u64, timescale: u32) -> Self {
        Self {
            duration: seconds(ticks, timescale),
            uri,
        }
    }
}

impl LivePlaylist {
    /// Seconds of all segments that are listed.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        let seconds = self
            .lines
            .iter()
            .filter_map(|line| line.duration.parse::<f64>().ok());
        seconds.sum()
    }

    /// Reads what [`LivePlaylist`] wrote; nothing for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));

        let mut lines = Vec::new();
        let mut rest = text.lines();
        while let Some(line) = rest.next() {
            if let Some(duration) = line.strip_prefix("#EXTINF:") {
                lines.push(LiveSegment {
                    duration: duration.strip_suffix(',')?.to_owned(),
                    uri: rest.next()?.to_owned(),
                });
            }
        }

        let playlist = Self {
            target_duration: value("#EXT-X-TARGETDURATION:")?.parse().ok()?,
            init_uri: value("#EXT-X-MAP:URI=\"")?.strip_suffix('"')?.to_owned(),
            lines,
            sealed: text.lines().any(|line| line == "#EXT-X-ENDLIST"),
        };

        // Only a text that can be written again byte for byte is accepted: a player must never see
        // a line change.
        (playlist.to_string() == text).then_some(playlist)
    }
}

impl Display for LivePlaylist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "#EXTM3U\n#EXT-X-VERSION:{VERSION}")?;
        writeln!(f, "#EXT-X-TARGETDURATION:{}", self.target_duration)?;
        writeln!(f, "#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:EVENT")?;
        writeln!(f, "#EXT-X-INDEPENDENT-SEGMENTS")?;
        // Without this line players begin near the end, since they take an open playlist for a live
        // event. The offset is not zero, because Shaka takes zero for nothing said.
        writeln!(f, "#EXT-X-START:TIME-OFFSET=0.001,PRECISE=YES")?;
        writeln!(f, "#EXT-X-MAP:URI=\"{}\"", self.init_uri)?;

        for LiveSegment { duration, uri } in &self.lines {
            writeln!(f, "#EXTINF:{duration},\n{uri}")?;
        }
        if self.sealed {
            writeln!(f, "#EXT-X-ENDLIST")?;
        }

        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn playlist(count: u64, sealed: bool) -> LivePlaylist {
        let line = |n| LiveSegment::new(format!("{n}-1z.m4s"), 120_120, 30_000);
        LivePlaylist {
            target_duration: 4,
            init_uri: "init-1z.mp4".to_owned(),
            lines: (0..count).map(line).collect(),
            sealed,
        }
    }

    #[test]
    fn a_growing_rendition_is_this_text() {
        let text = playlist(2, false).to_string();
        assert_eq!(
            text,
            include_str!("../../tests/golden/live.m3u8"),
            "the playlist is now\n{text}"
        );
    }

    #[test]
    fn what_others_wrote_is_not_taken_for_a_growing_playlist() {
        let text = playlist(2, false).to_string();

        for other in [
            "",
            "#EXTM3U\n",
            &text.replace("EVENT", "VOD"),
            &text[..text.len() - 3],
            &format!("{text}#EXT-X-GAP\n"),
        ] {
            assert_eq!(LivePlaylist::parse(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_and_a_strict_parser_takes_it(count in 1u64..40, sealed: bool) {
            let playlist = playlist(count, sealed);
            let text = playlist.to_string();
            prop_assert_eq!(LivePlaylist::parse(&text), Some(playlist));

            let parsed = hls_m3u8::MediaPlaylist::try_from(text.as_str()).unwrap();
            prop_assert_eq!(parsed.segments.values().count() as u64, count);
            prop_assert_eq!(parsed.has_end_list, sealed);
        }
    }
}
