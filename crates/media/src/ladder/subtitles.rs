//! The subtitle renditions: every text track of the source that can be decoded, with a name people
//! recognise.

use streams::plan::{LeftOut, SubtitleRendition};

use super::label::{Labels, left_out};
use super::language::{Known, known};
use super::probe::{Content, Probe, Stream};

/// Tracks of a source at most; players list them all in one menu.
const MAX_TRACKS: usize = 32;

/// The kinds of text that ffmpeg decodes.
const TEXT_CODECS: [&str; 18] = [
    "ass",
    "eia_608",
    "jacosub",
    "microdvd",
    "mov_text",
    "mpl2",
    "pjs",
    "realtext",
    "sami",
    "srt",
    "ssa",
    "stl",
    "subrip",
    "subviewer",
    "subviewer1",
    "text",
    "vplayer",
    "webvtt",
];

/// The subtitle renditions of a source, and what was left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Subtitles {
    /// In the order of the source.
    pub renditions: Vec<SubtitleRendition>,
    /// The tracks that get no rendition.
    pub left_out: Vec<LeftOut>,
    /// Stable words.
    pub warnings: Vec<&'static str>,
}

/// Makes the subtitle renditions of a source. Whether there is anything in a track shows only when
/// it is decoded.
#[must_use]
pub fn renditions(probe: &Probe) -> Subtitles {
    let mut subtitles = Subtitles::default();
    let mut labels = Labels::default();

    for stream in &probe.streams {
        let Content::Subtitle { bitmap } = stream.content else {
            continue;
        };
        if probe.is_of_other_programme(stream) {
            continue;
        }

        if bitmap {
            subtitles.leave(
                stream,
                "bitmap_subtitles_ignored",
                "It contains pictures of text, not text.",
            );
        } else if !TEXT_CODECS.contains(&stream.codec.as_str()) {
            subtitles.leave(
                stream,
                "subtitles_left_out",
                "ffmpeg has no decoder for it.",
            );
        } else if subtitles.renditions.len() >= MAX_TRACKS {
            subtitles.leave(
                stream,
                "subtitles_left_out",
                &format!("At most {MAX_TRACKS} subtitle tracks are kept."),
            );
        } else {
            subtitles.add(stream, &mut labels);
        }
    }

    subtitles
}

impl Subtitles {
    fn leave(&mut self, stream: &Stream, word: &'static str, reason: &str) {
        self.left_out.push(left_out(stream, reason));
        if !self.warnings.contains(&word) {
            self.warnings.push(word);
        }
    }

    fn add(&mut self, stream: &Stream, labels: &mut Labels) {
        let language = stream.language.as_deref().and_then(known);
        let k = self.renditions.len();
        let Ok(name) = k.to_string().parse() else {
            return;
        };

        let label = labels.take(&label(stream, language.as_ref(), k));
        // A player shows forced subtitles without being asked, and of all others at most one.
        let default = stream.default
            && !stream.audience.forced
            && !self.renditions.iter().any(|rendition| rendition.default);

        self.renditions.push(SubtitleRendition {
            name,
            track: stream.index,
            language: language.map(|language| language.tag),
            label,
            default,
            forced: stream.audience.forced,
            hearing_impaired: stream.audience.hearing_impaired,
            reason: format!("{} text of the source", stream.codec),
        });
    }
}

/// The track's own title, else its language, with what sets it apart.
fn label(stream: &Stream, language: Option<&Known>, k: usize) -> String {
    let title = stream
        .title
        .as_deref()
        .map(str::trim)
        .filter(|title| !title.is_empty());
    if let Some(title) = title {
        return title.to_owned();
    }

    let name = language.map_or_else(
        || format!("Subtitles {}", k + 1),
        |language| language.name.clone(),
    );
    match (stream.audience.forced, stream.audience.hearing_impaired) {
        (true, _) => format!("{name} (forced)"),
        (false, true) => format!("{name} (SDH)"),
        (false, false) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::probe::Audience;
    use crate::ladder::testing;
    use streams::Rational;

    fn text(index: u32, codec: &str, language: Option<&str>) -> Stream {
        Stream {
            language: language.map(str::to_owned),
            default: true,
            ..testing::stream(
                index,
                codec,
                Content::Subtitle {
                    bitmap: codec == "hdmv_pgs_subtitle",
                },
            )
        }
    }

    fn of(streams: Vec<Stream>) -> Subtitles {
        renditions(&Probe {
            container: "matroska,webm".to_owned(),
            brand: None,
            container_start: Rational::ZERO,
            declared_end: None,
            streams,
            seekable: true,
            leads: Vec::new(),
            ..Probe::default()
        })
    }

    #[test]
    fn every_text_track_has_a_name_of_its_own_and_only_one_is_shown_unasked() {
        let forced = Stream {
            audience: Audience {
                forced: true,
                ..Audience::default()
            },
            ..text(2, "ass", Some("eng"))
        };
        let heard = Stream {
            audience: Audience {
                hearing_impaired: true,
                ..Audience::default()
            },
            ..text(3, "subrip", Some("eng"))
        };

        let subtitles = of(vec![
            forced,
            heard,
            text(4, "mov_text", Some("eng")),
            text(5, "webvtt", None),
        ]);

        let found: Vec<(&str, &str, bool, bool)> = subtitles
            .renditions
            .iter()
            .map(|rendition| {
                (
                    rendition.name.as_str(),
                    rendition.label.as_str(),
                    rendition.default,
                    rendition.forced,
                )
            })
            .collect();

        let wanted = [
            ("0", "English (forced)", false, true),
            ("1", "English (SDH)", true, false),
            ("2", "English", false, false),
            ("3", "Subtitles 4", false, false),
        ];

        assert_eq!(found, wanted);
        assert!(subtitles.warnings.is_empty());
    }

    #[test]
    fn what_cannot_become_text_is_left_out_with_a_word_and_a_reason() {
        let subtitles = of(vec![
            text(2, "hdmv_pgs_subtitle", None),
            text(3, "ttml", None),
            text(4, "subrip", None),
        ]);
        assert_eq!(
            subtitles.warnings,
            ["bitmap_subtitles_ignored", "subtitles_left_out"]
        );

        let names: Vec<&str> = subtitles
            .left_out
            .iter()
            .map(|left_out| left_out.name.as_str())
            .collect();
        assert_eq!(
            (names, subtitles.renditions.len()),
            (vec!["track 2", "track 3"], 1)
        );
    }
}
