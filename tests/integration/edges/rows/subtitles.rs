//! Subtitles: as text, as pictures, in several languages, on a clock that does not begin at zero.

use crate::edges::check::Check::{Sound, Subtitles, Warns};
use crate::edges::check::Cue;
use crate::edges::input::{H264, Input, made, moving, tone};
use crate::edges::row::{Row, completes};

/// Two cues with letters and signs that a careless converter spoils, as `SubRip`.
const SUBRIP: &str = "1\n00:00:01,000 --> 00:00:02,500\nEins < zwei & drei\n\n2\n00:00:03,000 --> 00:00:04,000\n¿Qué tal?\n你好\n";
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
        format!(
            "{} {} {H264} -c:a aac",
            moving("320x180", "25", 5.0),
            tone(440, 5.0)
        ),
        "mkv",
    );
    let maps: String = (0..=texts.len())
        .map(|input| format!(" -map {input}"))
        .collect();
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

/// A stream of presentation graphics (PGS, as on Blu-ray discs) that shows a white bar of 16x8
/// pixels from the first to the second second.
fn graphics() -> Vec<u8> {
    let line = [[1_u8; 16].as_slice(), &[0, 0]].concat();
    let bitmap = line.repeat(8);
    let length = u8::try_from(bitmap.len() + 4).unwrap();
    // A picture of 320x180 in which object 0 lies at (10, 10); the window it lies in; its one
    // colour; itself, in runs.
    let composition = [
        1, 64, 0, 180, 16, 0, 0, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 10, 0, 10,
    ];
    let window = [1, 0, 0, 10, 0, 10, 0, 16, 0, 8];
    let palette = [0, 0, 1, 235, 128, 128, 255];
    let object = [&[0, 0, 0, 0xc0, 0, 0, length, 0, 16, 0, 8][..], &bitmap].concat();
    let nothing = [1, 64, 0, 180, 16, 0, 1, 0, 0, 0, 0];
    let segments: [(u32, u8, &[u8]); 7] = [
        (90_000, 0x16, &composition),
        (90_000, 0x17, &window),
        (90_000, 0x14, &palette),
        (90_000, 0x15, &object),
        (90_000, 0x80, &[]),
        (180_000, 0x16, &nothing),
        (180_000, 0x80, &[]),
    ];
    let mut stream = Vec::new();
    for (time, kind, content) in segments {
        stream.extend_from_slice(b"PG");
        stream.extend_from_slice(&time.to_be_bytes());
        stream.extend_from_slice(&[0; 4]);
        stream.push(kind);
        stream.extend_from_slice(&u16::try_from(content.len()).unwrap().to_be_bytes());
        stream.extend_from_slice(content);
    }
    stream
}

/// Rows of a film with subtitles.
pub(crate) fn rows() -> Vec<Row> {
    let languages = "-metadata:s:s:0 language=ger -metadata:s:s:1 language=eng";
    let pictures = |codec: &str, extension| {
        let film = made(
            format!(
                "{} {} {H264} -c:a aac",
                moving("320x180", "25", 5.0),
                tone(440, 5.0)
            ),
            "mkv",
        );
        let behind = format!("-map 0 -map 1 -c:v copy -c:a copy -c:s {codec}");
        film.with(vec![Input::Bytes(graphics())], "-f sup", &behind, extension)
    };
    let ignored = || {
        [
            Subtitles(&[]),
            Warns("bitmap_subtitles_ignored"),
            Sound(Some(5.0)),
        ]
    };
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
            film(
                &[SUBRIP, OTHER],
                &format!("-c:s mov_text {languages}"),
                "mp4",
            ),
            [Subtitles(&[
                (Some("de"), SEEN),
                (Some("en"), &[(2.0, 3.0, "Hello")]),
            ])],
        ),
        completes(
            "styled subtitles",
            styled,
            [Subtitles(&[(Some("de"), SEEN)])],
        ),
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
            "pictures of a Blu-ray disc",
            pictures("copy", "mkv"),
            ignored(),
        ),
        completes("pictures of a DVD", pictures("dvdsub", "mkv"), ignored()),
        completes(
            "pictures of television",
            pictures("dvbsub", "ts"),
            ignored(),
        ),
    ]
}
