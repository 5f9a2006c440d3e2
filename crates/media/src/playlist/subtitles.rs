//! Media playlists of subtitles: one WebVTT file for the whole programme.

use std::fmt::{self, Display};

use super::VERSION;

/// The playlist of one track of subtitles, complete and permanent.
///
/// The programme is one segment, so its target duration is the programme's length: of all playlists
/// of a VOD presentation those of subtitles and of I-frames alone may differ from the others' in
/// this (RFC 8216bis section 6.2.4).
#[derive(Debug, Clone, PartialEq)]
pub struct SubtitlePlaylist {
    /// The WebVTT file, relative to the playlist.
    pub uri: String,
    /// Length of the programme in seconds.
    pub seconds: f64,
}

impl Display for SubtitlePlaylist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without a length, both the segment and the target duration would be zero.
        let seconds = self.seconds.max(0.001);

        writeln!(f, "#EXTM3U")?;
        writeln!(f, "#EXT-X-VERSION:{VERSION}")?;
        writeln!(f, "#EXT-X-TARGETDURATION:{:.0}", seconds.ceil())?;
        writeln!(f, "#EXT-X-MEDIA-SEQUENCE:0")?;
        writeln!(f, "#EXT-X-PLAYLIST-TYPE:VOD")?;

        writeln!(f, "#EXTINF:{seconds:.3},")?;
        writeln!(f, "{}", self.uri)?;
        writeln!(f, "#EXT-X-ENDLIST")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_programme_is_one_segment() {
        let playlist = SubtitlePlaylist {
            uri: "subs-0-1z.vtt".to_owned(),
            seconds: 63.4,
        };

        let text = playlist.to_string();
        assert_eq!(
            text,
            include_str!("../../tests/golden/subtitles.m3u8"),
            "the playlist is now\n{text}"
        );

        let parsed = hls_m3u8::MediaPlaylist::try_from(text.as_str()).unwrap();
        assert_eq!(parsed.target_duration.as_secs(), 64);
    }
}
