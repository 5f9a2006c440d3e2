//! Where video, audio and the grid of segments end.

use crate::edges::check::Check::{self, NoWarning, Segments, Together, TonesAt, Warns};
use crate::edges::input::{H264, made, moving, tone};
use crate::edges::row::{Row, completes};

pub(crate) fn rows() -> Vec<Row> {
    [unequal(), tails()].into_iter().flatten().collect()
}

/// Tracks that end apart.
fn unequal() -> Vec<Row> {
    let film = |pictures: f64, sounds: &[f64], behind: &str| {
        let sounds: Vec<String> = sounds
            .iter()
            .zip([440, 660])
            .map(|(end, hertz)| tone(hertz, *end))
            .collect();
        let maps: String = (0..=sounds.len()).map(|i| format!("-map {i} ")).collect();
        made(
            format!(
                "{} {} {maps} {H264} -c:a aac {behind}",
                moving("320x180", "25", pictures),
                sounds.join(" ")
            ),
            "mp4",
        )
    };
    let languages = "-metadata:s:a:0 language=eng -metadata:s:a:1 language=ger";
    let padded = |seconds: f64| vec![Together(seconds), Warns("length_padded")];
    let even = |seconds: f64| vec![Together(seconds), NoWarning("length_padded")];
    let with = |mut checks: Vec<Check>, check| {
        checks.push(check);
        checks
    };
    vec![
        completes(
            "sound that ends after a third of the pictures",
            film(26.0, &[9.0], ""),
            with(padded(26.0), TonesAt(2, &[(2.0, 440), (8.0, 440)])),
        ),
        completes(
            "pictures that end after a third of the sound",
            film(9.0, &[26.0], ""),
            padded(26.0),
        ),
        completes(
            "pictures that end within the first segment",
            film(1.0, &[13.0], ""),
            with(padded(13.0), Segments(4)),
        ),
        completes(
            "a second language that is shorter",
            film(13.0, &[13.0, 5.0], languages),
            padded(13.0),
        ),
        completes(
            "a first language that is shorter",
            film(13.0, &[5.0, 13.0], languages),
            padded(13.0),
        ),
        completes(
            "sound that ends a little early",
            film(9.0, &[8.95], ""),
            even(9.0),
        ),
        completes(
            "sound that ends a little late",
            film(9.0, &[9.06], ""),
            even(9.0),
        ),
    ]
}

/// Programmes that end shortly behind the last whole segment.
fn tails() -> Vec<Row> {
    let film = |rate: &str, frames: f64, with_sound: bool| {
        let (num, den) = rate.split_once('/').unwrap_or((rate, "1"));
        let frame = den.parse::<f64>().unwrap() / num.parse::<f64>().unwrap();
        let seconds = frames * frame;
        let sound = if with_sound {
            tone(440, seconds)
        } else {
            String::new()
        };
        let picture = moving("320x180", rate, seconds - frame / 2.0);
        let input = made(format!("{picture} {sound} {H264} -c:a aac"), "mp4");
        (input, seconds)
    };
    let row = |name, rate, frames, with_sound, segments| {
        let (input, seconds) = film(rate, frames, with_sound);
        completes(
            name,
            input,
            [
                Together(seconds),
                Segments(segments),
                NoWarning("length_padded"),
            ],
        )
    };
    vec![
        row("8 s and a frame", "25", 201.0, true, 2),
        row("8 s and two frames", "25", 202.0, true, 2),
        row("12 s and a frame, without sound", "25", 301.0, false, 3),
        row(
            "8 s and eleven frames, which take a longer target",
            "25",
            211.0,
            true,
            2,
        ),
        row(
            "8 s and thirteen frames, which are a segment",
            "25",
            213.0,
            true,
            3,
        ),
        row(
            "8 s and a frame of 29.97 a second",
            "30000/1001",
            241.0,
            true,
            2,
        ),
        row(
            "8 s and twelve frames of 29.97 a second",
            "30000/1001",
            252.0,
            true,
            2,
        ),
        row("28 s and a frame, in several chunks", "25", 701.0, true, 7),
        row("8 s and no more", "25", 200.0, true, 2),
    ]
}
