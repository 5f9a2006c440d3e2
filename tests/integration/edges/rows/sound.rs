//! Tracks of sound: none, some, many; and sound alone.

use crate::edges::check::Check::{self, Mixed, Pictures, Sound, Tones, Warns};
use crate::edges::input::{H264, Input, made, moving, tone};
use crate::edges::row::{Row, completes};

/// A moving picture with these sounds, each an input of ffmpeg, all mapped in their order.
fn film(sounds: &[String], behind: &str, extension: &'static str) -> Input {
    let maps: String = (0..=sounds.len()).map(|input| format!(" -map {input}")).collect();
    made(
        format!(
            "{} {}{maps} {H264} {behind}",
            moving("128x72", "25", 3.0),
            sounds.join(" ")
        ),
        extension,
    )
}

/// A sound with one tone for each channel.
pub(crate) fn chord(tones: &[u32], layout: &str, seconds: f64) -> String {
    let channels: Vec<_> = tones.iter().map(|tone| format!("0.3*sin(2*PI*{tone}*t)")).collect();
    let layout = if layout.is_empty() {
        String::new()
    } else {
        format!(":c={layout}")
    };
    format!(
        "-f lavfi -i aevalsrc=exprs={}:s=48000:d={seconds}{layout}",
        channels.join("|")
    )
}

pub(crate) fn rows() -> Vec<Row> {
    [with_pictures(), alone(), with_pauses(), of_any_packet()]
        .into_iter()
        .flatten()
        .collect()
}

#[expect(clippy::too_many_lines, reason = "a table, one row after the other")]
fn with_pictures() -> Vec<Row> {
    let two = [tone(440, 3.0), tone(660, 3.0)];
    let three = [tone(440, 3.0), tone(660, 3.0), tone(880, 3.0)];
    let languages = "-c:a aac -metadata:s:a:0 language=eng -metadata:s:a:1 language=ger";
    let second_first = "-disposition:a:0 0 -disposition:a:1 default";
    vec![
        completes(
            "no sound",
            film(&[], "", "mp4"),
            [Warns("no_audio"), Sound(None), Pictures(Some(3.0))],
        ),
        completes(
            "silence",
            film(&["-f lavfi -i anullsrc=r=48000:d=3".to_owned()], "-c:a aac", "mp4"),
            [Sound(Some(3.0))],
        ),
        completes(
            "one channel",
            film(&[tone(440, 3.0)], "-ac 1 -c:a aac", "mp4"),
            [Tones(&[(None, 440)])],
        ),
        completes(
            "two languages",
            film(&two, languages, "mp4"),
            [Tones(&[(Some("en"), 440), (Some("de"), 660)])],
        ),
        completes(
            "two languages of which the second is the default",
            film(&two, &format!("{languages} {second_first}"), "mkv"),
            [Tones(&[(Some("de"), 660), (Some("en"), 440)])],
        ),
        completes(
            "two tracks of one language and one of none",
            film(
                &three,
                "-c:a aac -metadata:s:a:0 language=eng -metadata:s:a:1 language=eng",
                "mp4",
            ),
            [Tones(&[(Some("en"), 440), (Some("en"), 660), (None, 880)])],
        ),
        completes(
            "sound that ends early",
            film(&[tone(440, 1.0)], "-c:a aac", "mp4"),
            [Pictures(Some(3.0)), Sound(Some(1.0))],
        ),
        completes(
            "sound that goes on",
            film(&[tone(440, 5.0)], "-c:a aac", "mp4"),
            [Pictures(Some(3.0)), Sound(Some(5.0))],
        ),
        completes(
            "8 kHz",
            film(&[tone(440, 3.0)], "-ar 8000 -ac 1 -c:a pcm_s16le", "mov"),
            [Tones(&[(None, 440)])],
        ),
        completes(
            "four channels of no known layout",
            film(&[chord(&[300, 400, 500, 700], "", 3.0)], "-c:a pcm_s16le", "mkv"),
            [Check::Sound(Some(3.0)), Mixed(&[300, 400])],
        ),
        completes(
            "5.1 is mixed down with its centre",
            film(&[chord(&[300, 400, 500, 60, 700, 800], "5.1", 3.0)], "-c:a aac", "mp4"),
            [Mixed(&[300, 400, 500, 700, 800])],
        ),
    ]
}

fn alone() -> Vec<Row> {
    let row = |name, codec: &str, extension| {
        let input = made(format!("{} {codec}", tone(440, 5.0)), extension);
        completes(name, input, [Pictures(None), Sound(Some(5.0)), Tones(&[(None, 440)])])
    };
    let two = format!(
        "{} {} -map 0 -map 1 -c:a aac -metadata:s:a:0 language=eng -metadata:s:a:1 language=fre",
        tone(440, 5.0),
        tone(660, 5.0)
    );
    vec![
        row("AAC", "-c:a aac", "m4a"),
        row("MP3", "-c:a libmp3lame", "mp3"),
        row("FLAC", "-c:a flac", "flac"),
        row("WAVE", "-c:a pcm_s16le", "wav"),
        row("Vorbis", "-c:a libvorbis", "ogg"),
        completes(
            "two languages and no picture",
            made(two, "m4a"),
            [Pictures(None), Tones(&[(Some("en"), 440), (Some("fr"), 660)])],
        ),
    ]
}

/// Rows of sound with pauses in which nothing at all is to be heard, and of sound that an encoder leaves out on purpose.
fn with_pauses() -> Vec<Row> {
    let row = |name, sound: &str| {
        let sound = format!("-f lavfi -i aevalsrc=exprs={sound}:s=48000:d=60");
        let arguments = format!(
            "{sound} {} -map 1 -map 0 {H264} -c:a pcm_s16le",
            moving("128x72", "5", 60.0)
        );
        completes(name, made(arguments, "mkv"), [Sound(Some(60.0)), Pictures(Some(60.0))])
    };
    // A second of silence, though none that begins a frame of AAC later.
    let pauses = "0.5*sin(2*PI*440*t)*not(between(mod(t\\,3)\\,0.99\\,2.01))";
    vec![
        row(
            "speech behind a noise gate",
            "0.2*(random(0)*2-1)*gt(mod(t\\,4.37)\\,1.61)",
        ),
        row("pauses from edge to edge of a second", pauses),
        row(
            "beeps that end on a second",
            "0.5*sin(2*PI*1000*t)*gt(mod(t\\,2)\\,1.9)",
        ),
        row("single clicks", "lt(mod(t\\,7)\\,0.00004)"),
        row("a tone above the cut-off of AAC", "0.3*sin(2*PI*18500*t)"),
    ]
}

/// Rows of sound whose packets are long, or filled up at the end.
fn of_any_packet() -> Vec<Row> {
    let row = |name, codec: &str, extension, seconds| {
        let input = film(&[tone(440, 3.03)], codec, extension);
        completes(name, input, [Tones(&[(None, 440)]), Sound(seconds)])
    };
    let gapless = |name, rate: u32| {
        let input = made(format!("{} -ar {rate} -c:a libmp3lame", tone(440, 5.03)), "mp3");
        completes(name, input, [Pictures(None), Sound(Some(5.03))])
    };
    vec![
        row("ALAC in Matroska", "-ar 44100 -c:a alac", "mkv", Some(3.03)),
        row("TTA in Matroska", "-ar 44100 -c:a tta", "mkv", Some(3.03)),
        // Its decoder begins two packets late and ends with them.
        row("WMA in AVI", "-ar 44100 -c:a wmav2", "avi", Some(3.11)),
        gapless("gapless MP3 of 8 kHz", 8000),
        gapless("gapless MP3 of 11.025 kHz", 11_025),
        gapless("gapless MP3 of 16 kHz", 16_000),
        gapless("gapless MP3 of 22.05 kHz", 22_050),
        gapless("gapless MP3 of 44.1 kHz", 44_100),
        completes(
            "ADPCM in FLV",
            made(
                format!(
                    "{} {} -map 0 -map 1 -c:v flv -ar 22050 -c:a adpcm_swf",
                    moving("128x72", "25", 3.0),
                    tone(440, 3.03)
                ),
                "flv",
            ),
            [Tones(&[(None, 440)])],
        ),
    ]
}

/// Rows of sound alone with a picture on its cover, which becomes the poster.
pub(crate) fn covered() -> Vec<Row> {
    let covered = |codec: &str| {
        let cover = "-f lavfi -i color=orange:s=320x320:d=1";
        format!(
            "{} {cover} -map 0 -map 1 -frames:v 1 {codec} -disposition:v attached_pic",
            tone(440, 5.0)
        )
    };
    let checks = || [Pictures(None), Sound(Some(5.0)), Check::Poster(80.0)];
    vec![
        completes(
            "MP3 with a cover",
            made(covered("-c:a libmp3lame -c:v mjpeg -id3v2_version 3"), "mp3"),
            checks(),
        ),
        completes("AAC with a cover", made(covered("-c:a aac -c:v png"), "m4a"), checks()),
    ]
}

/// Rows whose sixth channel is kept beside the stereo mix.
pub(crate) fn surround() -> Vec<Row> {
    const TONES: [u32; 6] = [300, 400, 500, 60, 700, 800];
    let six = |behind: &str, extension| film(&[chord(&TONES, "5.1", 3.0)], behind, extension);
    let checks = || [Check::Surround(TONES), Mixed(&[300, 400, 500, 700, 800])];
    let beside = film(
        &[tone(440, 3.0), chord(&TONES, "5.1", 3.0)],
        "-c:a aac -metadata:s:a:0 language=eng -metadata:s:a:1 language=ger",
        "mp4",
    );
    vec![
        completes("5.1 in AAC", six("-c:a aac", "mp4"), checks()),
        completes("5.1 in AC-3", six("-c:a ac3", "mkv"), checks()),
        completes("5.1 in PCM", six("-c:a pcm_s16le", "mov"), checks()),
        completes(
            "stereo in one language and 5.1 in another",
            beside,
            [Check::Surround(TONES)],
        ),
    ]
}
