//! The file that is published: WebVTT as RFC 8216bis section 3.1.4 wants it.

use std::fmt::{self, Display};

use super::timeline::Cue;

/// A whole track of subtitles. Zero of its clock is zero of every other track.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Document<'a>(pub &'a [Cue]);

impl Display for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Zero of the cues is zero of the media; each file should say so (RFC 8216 section 3.5).
        writeln!(f, "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000")?;

        for cue in self.0 {
            writeln!(
                f,
                "\n{} --> {}\n{}",
                Time(cue.start),
                Time(cue.end),
                cue.text
            )?;
        }

        Ok(())
    }
}

/// Milliseconds as hours, minutes, seconds and thousandths.
struct Time(i64);

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(millis) = self;
        let (seconds, millis) = (millis / 1000, millis % 1000);
        write!(
            f,
            "{:02}:{:02}:{:02}.{millis:03}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webvtt::read;

    #[test]
    fn a_track_is_this_text_and_reads_back_as_the_same_cues() {
        let cue = |start, end, text: &str| Cue {
            start,
            end,
            text: text.to_owned(),
        };
        let cues = [
            cue(500, 2000, "Hello <i>world</i>\nsecond"),
            cue(36_061_001, 36_062_000, "1 &lt; 2"),
        ];

        let text = Document(&cues).to_string();
        assert_eq!(
            text,
            include_str!("../../tests/golden/subtitles.vtt"),
            "the file is now\n{text}"
        );

        let read: Vec<(i64, i64)> = read(&text).iter().map(|cue| (cue.start, cue.end)).collect();
        assert_eq!(read, [(500, 2000), (36_061_001, 36_062_000)]);
    }
}
