//! What is broken, what is missing, and what is no video at all.

use streams::Code;

use crate::edges::check::Check::{Pictures, Segments};
use crate::edges::input::{H264, Input, made, moving, tone};
use crate::edges::mp4::damage;
use crate::edges::row::{Expected, Row, completes, fails};

/// Twelve seconds of picture and sound, its index at the end or before the media.
fn film(flags: &str) -> Input {
    made(
        format!(
            "{} {} {H264} -crf 20 -c:a aac {flags}",
            moving("320x180", "25", 12.0),
            tone(440, 12.0)
        ),
        "mp4",
    )
}

pub(crate) fn rows() -> Vec<Row> {
    [missing(), broken(), no_video()].into_iter().flatten().collect()
}

fn missing() -> Vec<Row> {
    let early = || film("-movflags +faststart");
    let matroska = made(format!("{} {H264}", moving("320x180", "25", 12.0)), "mkv");
    vec![
        fails("nothing", Input::Bytes(Vec::new()), &[Code::EmptyInput]),
        fails("no index", film("").cut(0.7), &[Code::TruncatedUpload]),
        fails("cut at 60 percent", early().cut(0.6), &[Code::PartialInput]),
        fails("cut at 95 percent", early().cut(0.95), &[Code::PartialInput]),
        fails("Matroska cut at 60 percent", matroska.cut(0.6), &[Code::PartialInput]),
        fails(
            "a few bytes",
            early().cut(0.001),
            &[Code::TruncatedUpload, Code::NotMedia],
        ),
    ]
}

fn broken() -> Vec<Row> {
    let flipped = |share, step, run| film("-movflags +faststart").changed(move |bytes| damage(bytes, share, step, run));
    let scratch = Row {
        name: "a scratch in the middle",
        input: flipped((0.5, 0.51), 400, 1),
        expected: Expected::Either(vec![Pictures(Some(12.0)), Segments(3)], Code::DecodeErrors),
    };
    vec![
        scratch,
        fails(
            "half of it is noise",
            flipped((0.3, 0.8), 64, 48),
            &[Code::DecodeErrors],
        ),
        completes("tidy", film(""), [Pictures(Some(12.0)), Segments(3)]),
    ]
}

fn no_video() -> Vec<Row> {
    let text = |text: &str| Input::Bytes(text.as_bytes().to_vec()).named("film.mp4");
    let photograph = |codec: &str, extension| {
        made(format!("-f lavfi -i testsrc2=s=320x180 -frames:v 1 {codec}"), extension).named("film.mp4")
    };
    let noise: Vec<u8> = (0..20_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    vec![
        fails(
            "a diary",
            text(&"Dear diary, this is no video.\n".repeat(300)),
            &[Code::NotMedia],
        ),
        fails("noise", Input::Bytes(noise).named("film.mp4"), &[Code::NotMedia]),
        fails("JPEG", photograph("", "jpg"), &[Code::StillImage]),
        fails("PNG", photograph("", "png"), &[Code::StillImage]),
        fails("WebP", photograph("", "webp"), &[Code::StillImage]),
        fails(
            "an archive",
            Input::Bytes(b"PK\x03\x04\x14\0\0\0\x08\0".repeat(200)).named("film.mp4"),
            &[Code::NotMedia],
        ),
    ]
}
