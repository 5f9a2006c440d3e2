//! Audio tracks: none, some, many; and audio without video.

use crate::edges::check::Check::{self, Mixed, Pictures, Sound, Tones, Warns};
use crate::edges::input::{H264, Input, made, moving, tone};
use crate::edges::row::{Row, completes};

/// A video with these audio tracks, each an input of ffmpeg, all mapped in order.
fn film(sounds: &[String], behind: &str, extension: &'static str) -> Input {
    let maps: String = (0..=sounds.len())
        .map(|input| format!(" -map {input}"))
        .collect();
    made(
        format!(
            "{} {}{maps} {H264} {behind}",
            moving("128x72", "25", 3.0),
            sounds.join(" ")
        ),
        extension,
    )
}

/// An audio track with one tone for each channel.
pub(crate) fn chord(tones: &[u32], layout: &str, seconds: f64) -> String {
    let channels: Vec<_> = tones
        .iter()
        .map(|tone| format!("0.3*sin(2*PI*{tone}*t)"))
        .collect();
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
            film(
                &["-f lavfi -i anullsrc=r=48000:d=3".to_owned()],
                "-c:a aac",
                "mp4",
            ),
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
            [
                Pictures(Some(3.0)),
                Sound(Some(3.0)),
                Warns("length_padded"),
            ],
        ),
        completes(
            "sound that goes on",
            film(&[tone(440, 5.0)], "-c:a aac", "mp4"),
            [
                Pictures(Some(5.0)),
                Sound(Some(5.0)),
                Warns("length_padded"),
            ],
        ),
        completes(
            "8 kHz",
            film(&[tone(440, 3.0)], "-ar 8000 -ac 1 -c:a pcm_s16le", "mov"),
            [Tones(&[(None, 440)])],
        ),
        completes(
            "four channels of no known layout",
            film(
                &[chord(&[300, 400, 500, 700], "", 3.0)],
                "-c:a pcm_s16le",
                "mkv",
            ),
            [Check::Sound(Some(3.0)), Mixed(&[300, 400])],
        ),
        completes(
            "5.1 is mixed down with its centre",
            film(
                &[chord(&[300, 400, 500, 60, 700, 800], "5.1", 3.0)],
                "-c:a aac",
                "mp4",
            ),
            [Mixed(&[300, 400, 500, 700, 800])],
        ),
    ]
}

fn alone() -> Vec<Row> {
    let row = |name, codec: &str, extension| {
        let input = made(format!("{} {codec}", tone(440, 5.0)), extension);
        completes(
            name,
            input,
            [Pictures(None), Sound(Some(5.0)), Tones(&[(None, 440)])],
        )
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
            [
                Pictures(None),
                Tones(&[(Some("en"), 440), (Some("fr"), 660)]),
            ],
        ),
    ]
}

/// Rows of audio with completely silent pauses, and of audio that an encoder drops on purpose.
fn with_pauses() -> Vec<Row> {
    let row = |name, sound: &str| {
        let sound = format!("-f lavfi -i aevalsrc=exprs={sound}:s=48000:d=60");
        let arguments = format!(
            "{sound} {} -map 1 -map 0 {H264} -c:a pcm_s16le",
            moving("128x72", "5", 60.0)
        );
        completes(
            name,
            made(arguments, "mkv"),
            [Sound(Some(60.0)), Pictures(Some(60.0))],
        )
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

/// Rows of audio whose packets are long, or padded at the end.
fn of_any_packet() -> Vec<Row> {
    let row = |name, codec: &str, extension, seconds| {
        let input = film(&[tone(440, 3.03)], codec, extension);
        completes(name, input, [Tones(&[(None, 440)]), Sound(seconds)])
    };
    let gapless = |name, rate: u32| {
        let input = made(
            format!("{} -ar {rate} -c:a libmp3lame", tone(440, 5.03)),
            "mp3",
        );
        completes(name, input, [Pictures(None), Sound(Some(5.03))])
    };
    vec![
        row("ALAC in Matroska", "-ar 44100 -c:a alac", "mkv", Some(3.03)),
        // Its packets say that they last 1.045 s each, the last one as well: the pictures are held
        // to its end.
        row("TTA in Matroska", "-ar 44100 -c:a tta", "mkv", Some(3.16)),
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

/// Rows of audio without video with a cover, which becomes the poster.
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
            made(
                covered("-c:a libmp3lame -c:v mjpeg -id3v2_version 3"),
                "mp3",
            ),
            checks(),
        ),
        completes(
            "AAC with a cover",
            made(covered("-c:a aac -c:v png"), "m4a"),
            checks(),
        ),
    ]
}

/// A film of two consecutive pieces in a transport stream, whose audio is made by these arguments
/// of ffmpeg.
fn spliced(seconds: f64, sounds: [(String, &str); 2]) -> Input {
    let piece = |(k, (sound, codec)): (usize, (String, &str))| {
        let begin = 10.0 + k as f64 * seconds;
        made(
            format!(
                "{} {sound} {H264} {codec} -muxdelay 0 -muxpreload 0 -output_ts_offset {begin}",
                moving("128x72", "25", seconds)
            ),
            "ts",
        )
    };
    Input::Joined(sounds.into_iter().enumerate().map(piece).collect())
}

/// Such a film of 440 Hz and then 1000 Hz, in AAC of these forms.
fn spliced_aac(seconds: f64, forms: [&str; 2]) -> Input {
    let [first, second] = forms;
    spliced(
        seconds,
        [(tone(440, seconds), first), (tone(1000, seconds), second)],
    )
}

/// Rows of audio that changes its channels or its rate within the track, as at a splice of
/// television or of a podcast.
pub(crate) fn changing() -> Vec<Row> {
    const FILM: [u32; 6] = [300, 400, 500, 60, 700, 800];
    let six = |seconds| (chord(&FILM, "5.1", seconds), "-c:a ac3 -b:a 384k");
    let two = |seconds| (chord(&[1000, 500], "stereo", seconds), "-c:a ac3 -b:a 192k");
    let mp3 = |hertz, form: &str| {
        made(
            format!(
                "{} -c:a libmp3lame {form} -write_xing 0 -id3v2_version 0",
                tone(hertz, 6.0)
            ),
            "mp3",
        )
    };
    let channels = ["-c:a aac -ac 1", "-c:a aac -ac 2"];
    let rates = ["-c:a aac -ac 2 -ar 44100", "-c:a aac -ac 2 -ar 48000"];
    let both = |left: &'static [(f64, u32)], end| vec![Sound(Some(end)), Check::TonesAt(2, left)];
    let film_first: &[_] = &[(0.5, 300), (4.7, 300), (6.3, 1000), (10.7, 1000)];
    let film_last: &[_] = &[(0.5, 1000), (4.7, 1000), (6.3, 300), (10.7, 300)];
    let short: &[_] = &[(0.5, 440), (4.7, 440), (6.3, 1000), (10.7, 1000)];
    let long: &[_] = &[(0.5, 440), (16.7, 440), (18.3, 1000), (34.7, 1000)];
    vec![
        completes(
            "5.1, then stereo, in a transport stream",
            spliced(6.0, [six(6.0), two(6.0)]),
            [both(film_first, 12.0), vec![Check::TonesAt(6, film_first)]].concat(),
        ),
        completes(
            "stereo, then 5.1, in a transport stream",
            spliced(6.0, [two(6.0), six(6.0)]),
            [both(film_last, 12.0), vec![Check::TonesAt(6, film_last)]].concat(),
        ),
        completes(
            "stereo, then 5.1, in Matroska",
            spliced(6.0, [two(6.0), six(6.0)]).remade("", "-c copy", "mkv"),
            [both(film_last, 12.0), vec![Check::TonesAt(6, film_last)]].concat(),
        ),
        completes(
            "mono, then stereo, in AAC",
            spliced_aac(6.0, channels),
            both(short, 12.0),
        ),
        completes(
            "44.1, then 48 kHz, in AAC",
            spliced_aac(6.0, rates),
            both(short, 12.0),
        ),
        completes(
            "mono, then stereo, in a source that is copied",
            spliced_aac(18.0, channels),
            both(long, 36.0),
        ),
        completes(
            "44.1, then 48 kHz, in a source that is copied",
            spliced_aac(18.0, rates),
            both(long, 36.0),
        ),
        completes(
            "MP3 of mono at 44.1 kHz, then of stereo at 48 kHz",
            Input::Joined(vec![
                mp3(440, "-ac 1 -ar 44100"),
                mp3(1000, "-ac 2 -ar 48000"),
            ]),
            both(short, 12.05),
        ),
    ]
}

/// Rows of mono tracks that belong together, or not, and of programmes that do not.
pub(crate) fn together() -> Vec<Row> {
    let two = [tone(440, 3.0), tone(660, 3.0)];
    let mono = "-c:a pcm_s16le -ac 1";
    let laid_out = made(
        format!(
            "{} {} -filter_complex [1]pan=FL|c0=c0[l];[2]pan=FR|c0=c0[r] -map 0 -map [l] -map [r] {H264} -c:a pcm_s16le",
            moving("128x72", "25", 3.0),
            two.join(" ")
        ),
        "mov",
    );
    let programmes = |seconds: f64| {
        let video = moving("128x72", "25", seconds);
        made(
            format!(
                "{video} {} {video} {} -map 0 -map 1 -map 2 -map 3 {H264} -c:a aac -program title=One:st=0:st=1 -program title=Two:st=2:st=3",
                tone(440, seconds),
                tone(880, seconds)
            ),
            "ts",
        )
    };
    let first_alone = || {
        [
            Check::Tones(&[(None, 440)]),
            Warns("other_programmes_left_out"),
        ]
    };
    vec![
        completes(
            "mono tracks with the titles Left and Right",
            film(
                &two,
                &format!("{mono} -metadata:s:a:0 title=Left -metadata:s:a:1 title=Right"),
                "mkv",
            ),
            [Check::Sides(440, 660)],
        ),
        completes(
            "mono tracks for the left and the right loudspeaker",
            laid_out,
            [Check::Sides(440, 660)],
        ),
        completes(
            "mono tracks no one named, in QuickTime",
            film(&two, mono, "mov"),
            [
                Tones(&[(None, 440), (None, 660)]),
                Warns("mono_tracks_separate"),
            ],
        ),
        completes(
            "two programmes in a transport stream",
            programmes(6.0),
            first_alone(),
        ),
        completes(
            "two programmes in one that is copied",
            programmes(26.0),
            first_alone(),
        ),
    ]
}

/// Rows whose sixth channel is kept in addition to the stereo mix.
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
