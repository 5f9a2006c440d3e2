//! What is broken, what is missing, and what is no video at all.

use streams::Code;

use crate::edges::check::Check::{Pictures, PicturesWithin, Segments, Sound, Tones, Warns};
use crate::edges::input::{H264, Input, made, moving, tone};
use crate::edges::mp4::{damage, rename_sample_entry};
use crate::edges::row::{Expected, Row, completes, fails};

/// Twelve seconds of video and audio, with the index at the end or before the media.
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
    [missing(), broken(), unreadable(), encrypted(), no_video()]
        .into_iter()
        .flatten()
        .collect()
}

/// One fragment for each group of pictures, as recorders write them.
const FRAGMENTED: &str = "-movflags +frag_keyframe+empty_moov+default_base_moof";

/// Where the content of each box of this kind begins.
fn places_of(bytes: &[u8], kind: &[u8; 4]) -> Vec<usize> {
    let at = bytes
        .windows(4)
        .enumerate()
        .filter(|(_, four)| four == kind);
    at.map(|(at, _)| at + 4).collect()
}

/// Has the first box of this kind say that it is longer than it is.
fn lengthen(bytes: &mut [u8], kind: &[u8; 4], by: u32) {
    let size = places_of(bytes, kind)[0] - 8;
    let length = u32::from_be_bytes(bytes[size..size + 4].try_into().unwrap());
    bytes[size..size + 4].copy_from_slice(&(length + by).to_be_bytes());
}

/// Tracks that are there and that no one here can decode.
fn unreadable() -> Vec<Row> {
    let two = |first: &str, second: &str| {
        let sound = format!("{} {}", tone(440, 4.0), tone(880, 4.0));
        let picture = moving("320x180", "25", 4.0);
        made(
            format!(
                "{picture} {sound} -map 0 -map 1 -map 2 {H264} -c:a aac -disposition:a:0 {first} -disposition:a:1 {second}"
            ),
            "mp4",
        )
    };
    let one = || {
        made(
            format!(
                "{} {} {H264} -c:a aac",
                moving("320x180", "25", 4.0),
                tone(440, 4.0)
            ),
            "mp4",
        )
    };
    let alone = made(format!("{} -c:a aac", tone(440, 4.0)), "mp4");
    vec![
        completes(
            "a second sound of a codec no one decodes, as telephones write it",
            two("default", "0").changed(|bytes| rename_sample_entry(bytes, b"mp4a", 1, b"apac")),
            [
                Tones(&[(None, 440)]),
                Warns("audio_left_out"),
                Pictures(Some(4.0)),
            ],
        ),
        completes(
            "a first sound of a codec no one decodes",
            two("default", "0").changed(|bytes| rename_sample_entry(bytes, b"mp4a", 0, b"apac")),
            [Tones(&[(None, 880)]), Warns("audio_left_out")],
        ),
        completes(
            "the only sound of a codec no one decodes",
            one().changed(|bytes| rename_sample_entry(bytes, b"mp4a", 0, b"ac-4")),
            [Pictures(Some(4.0)), Sound(None), Warns("audio_left_out")],
        ),
        fails(
            "nothing but sound of a codec no one decodes",
            alone.changed(|bytes| rename_sample_entry(bytes, b"mp4a", 0, b"apac")),
            &[Code::UnsupportedCodec],
        ),
        fails(
            "pictures of a codec no one decodes beside sound",
            one().changed(|bytes| rename_sample_entry(bytes, b"avc1", 0, b"vvc1")),
            &[Code::UnsupportedCodec],
        ),
        completes(
            "forty fonts",
            made(format!("{} {H264}", moving("320x180", "25", 2.0)), "mkv").remade(
                "",
                &attachments(40),
                "mkv",
            ),
            [Pictures(Some(2.0))],
        ),
    ]
}

/// Media that is encrypted, in an index before or behind it, or packet by packet.
fn encrypted() -> Vec<Row> {
    let keys = "-encryption_scheme cenc-aes-ctr -encryption_key 76a6c65c5ea762046bd749a2e632ccbb -encryption_kid a7e61c373e219033c21091fa607bf3b8";
    let scrambled =
        made(format!("{} {H264}", moving("320x180", "25", 2.0)), "ts").changed(|bytes| {
            for packet in bytes
                .chunks_exact_mut(188)
                .filter(|packet| packet[1] & 0x1f != 0 || packet[2] > 0x1f)
            {
                packet[3] |= 0x80;
            }
        });
    vec![
        fails(
            "encrypted, its index at the end",
            made(
                format!("{} {H264} {keys}", moving("320x180", "25", 4.0)),
                "mp4",
            ),
            &[Code::Protected],
        ),
        fails(
            "encrypted, its index first",
            made(
                format!(
                    "{} {H264} {keys} -movflags +faststart",
                    moving("320x180", "25", 4.0)
                ),
                "mp4",
            ),
            &[Code::Protected],
        ),
        fails(
            "a scrambled transport stream",
            scrambled,
            &[Code::Protected],
        ),
    ]
}

/// The arguments that attach a file this many times.
fn attachments(count: u32) -> String {
    let attach = |n| {
        format!(
            "-attach /etc/hostname -metadata:s:t:{n} mimetype=application/x-truetype-font -metadata:s:t:{n} filename={n}.ttf"
        )
    };
    let list: Vec<String> = (0..count).map(attach).collect();
    format!("-c copy {}", list.join(" "))
}

fn missing() -> Vec<Row> {
    let early = || film("-movflags +faststart");
    let matroska = || made(format!("{} {H264}", moving("320x180", "25", 12.0)), "mkv");
    vec![
        fails("nothing", Input::Bytes(Vec::new()), &[Code::EmptyInput]),
        fails("no index", film("").cut(0.7), &[Code::TruncatedUpload]),
        completes(
            "cut at 60 percent",
            early().cut(0.6),
            [Warns("truncated"), PicturesWithin(6.5, 8.5)],
        ),
        completes(
            "cut at 97 percent",
            early().cut(0.97),
            [PicturesWithin(11.0, 12.0)],
        ),
        fails(
            "cut at 30 percent",
            early().cut(0.3),
            &[Code::TruncatedUpload],
        ),
        completes(
            "Matroska cut at 60 percent",
            matroska().cut(0.6),
            [Warns("truncated"), PicturesWithin(6.5, 8.5)],
        ),
        fails(
            "Matroska cut at 30 percent",
            matroska().cut(0.3),
            &[Code::TruncatedUpload],
        ),
        completes(
            "a recorder that died in the middle of a fragment",
            film(&format!("{FRAGMENTED} -g 50")).cut(0.6),
            [PicturesWithin(6.5, 8.5)],
        ),
        completes(
            "media data that says a little too much",
            early().changed(|bytes| lengthen(bytes, b"mdat", 8)),
            [Pictures(Some(12.0)), Sound(Some(12.0))],
        ),
        completes(
            "fragments of a track whose length is unknown",
            film(FRAGMENTED).changed(|bytes| {
                // Version 0 of `mdhd`: version and flags, two times, the timescale, the length
                // (ISO/IEC 14496-12 section 8.4.2).
                for at in places_of(bytes, b"mdhd") {
                    bytes[at + 16..at + 20].fill(0xff);
                }
            }),
            // Its pictures say that they last for 12.02 s, which is the better part of a frame
            // more.
            [Pictures(Some(12.0)), Sound(Some(12.04))],
        ),
        fails(
            "a few bytes",
            early().cut(0.001),
            &[Code::TruncatedUpload, Code::NotMedia],
        ),
    ]
}

fn broken() -> Vec<Row> {
    let flipped = |share, step, run| {
        film("-movflags +faststart").changed(move |bytes| damage(bytes, share, step, run))
    };
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
        made(
            format!("-f lavfi -i testsrc2=s=320x180 -frames:v 1 {codec}"),
            extension,
        )
        .named("film.mp4")
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
        fails(
            "noise",
            Input::Bytes(noise).named("film.mp4"),
            &[Code::NotMedia],
        ),
        fails("JPEG", photograph("", "jpg"), &[Code::StillImage]),
        fails("PNG", photograph("", "png"), &[Code::StillImage]),
        fails("WebP", photograph("", "webp"), &[Code::StillImage]),
        completes(
            "a PNG that moves",
            made(format!("{} -f apng", moving("320x180", "10", 3.0)), "png"),
            [Pictures(Some(3.0))],
        ),
        fails(
            "an archive",
            Input::Bytes(b"PK\x03\x04\x14\0\0\0\x08\0".repeat(200)).named("film.mp4"),
            &[Code::NotMedia],
        ),
    ]
}
