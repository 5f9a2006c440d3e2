//! Subtitles: as text, as pictures, in several languages, on a clock that does not begin at zero.

use crate::edges::check::Check::{Subtitles, Warns};
use crate::edges::check::Cue;
use crate::edges::input::{H264, Input, made, moving, tone};
use crate::edges::row::{Row, completes};

/// Two cues with letters and signs that a careless converter spoils, as `SubRip`.
const SUBRIP: &str =
    "1\n00:00:01,000 --> 00:00:02,500\nEins < zwei & drei\n\n2\n00:00:03,000 --> 00:00:04,000\n¿Qué tal?\n你好\n";
/// One more cue, of another track.
const OTHER: &str = "1\n00:00:02,000 --> 00:00:03,000\nHello\n";

/// What players see of a cue is escaped in WebVTT.
const SEEN: &[Cue] = &[
    (1.0, 2.5, "Eins &lt; zwei &amp; drei"),
    (3.0, 4.0, "¿Qué tal?\n你好"),
];

/// A film with these texts as its subtitles.
fn film(texts: &[&str], behind: &str, extension: &'static str) -> Input {
    let picture = made(
        format!("{} {} {H264} -c:a aac", moving("320x180", "25", 5.0), tone(440, 5.0)),
        "mkv",
    );
    let maps: String = (0..=texts.len()).map(|input| format!(" -map {input}")).collect();
    let texts = texts
        .iter()
        .map(|text| Input::Bytes(text.as_bytes().to_vec()))
        .collect();
    picture.with(
        texts,
        "-f srt",
        &format!("{maps} -c:v copy -c:a copy {behind}"),
        extension,
    )
}

/// A stream of presentation graphics (PGS) that shows nothing: one empty composition.
fn graphics() -> Vec<u8> {
    let composition = [0x01, 0x40, 0x00, 0xb4, 0x10, 0, 0, 0x80, 0, 0, 0];
    let mut stream = Vec::new();
    for (kind, content) in [(0x16_u8, &composition[..]), (0x80, &[])] {
        stream.extend_from_slice(b"PG");
        stream.extend_from_slice(&90_000_u32.to_be_bytes());
        stream.extend_from_slice(&0_u32.to_be_bytes());
        stream.push(kind);
        stream.extend_from_slice(&u16::try_from(content.len()).unwrap().to_be_bytes());
        stream.extend_from_slice(content);
    }
    stream
}

/// Rows of a film with subtitles.
pub(crate) fn rows() -> Vec<Row> {
    let languages = "-metadata:s:s:0 language=ger -metadata:s:s:1 language=eng";
    let pictures = made(format!("{} {H264}", moving("320x180", "25", 5.0)), "mkv");
    let pictures = pictures.with(vec![Input::Bytes(graphics())], "-f sup", "-map 0 -map 1 -c copy", "mkv");
    let styled = film(&[SUBRIP], "-c:s ass -metadata:s:s:0 language=ger", "mkv");
    let later = film(
        &[SUBRIP],
        "-c:s srt -metadata:s:s:0 language=ger -output_ts_offset 7",
        "mkv",
    );
    vec![
        completes(
            "SubRip in Matroska",
            film(&[SUBRIP], "-c:s srt -metadata:s:s:0 language=ger", "mkv"),
            [Subtitles(&[(Some("de"), SEEN)])],
        ),
        completes(
            "timed text in MP4 in two languages",
            film(&[SUBRIP, OTHER], &format!("-c:s mov_text {languages}"), "mp4"),
            [Subtitles(&[(Some("de"), SEEN), (Some("en"), &[(2.0, 3.0, "Hello")])])],
        ),
        completes("styled subtitles", styled, [Subtitles(&[(Some("de"), SEEN)])]),
        completes(
            "subtitles on a clock that starts at seven seconds",
            later,
            [Subtitles(&[(Some("de"), SEEN)])],
        ),
        completes(
            "subtitles without a language",
            film(&[OTHER], "-c:s webvtt", "mkv"),
            [Subtitles(&[(None, &[(2.0, 3.0, "Hello")])])],
        ),
        completes(
            "subtitles that are pictures",
            pictures,
            [Subtitles(&[]), Warns("bitmap_subtitles_ignored")],
        ),
    ]
}
