//! Beep and flash: audio and video stay in sync, however a container times them.

use crate::edges::check::Check::{InSync, Rates, Warns};
use crate::edges::input::{H264, Input, beeps, flashes, made};
use crate::edges::row::{Row, completes};

/// Seconds of every input: enough for several chunks, and to see a drift.
const LONG: f64 = 26.0;

/// When it flashes and beeps: at times of frames at every rate below.
const MOMENTS: &[f64] = &[2.002, 13.013, 24.024];

/// The same at rates of whole numbers.
const WHOLE: &[f64] = &[2.0, 13.0, 24.0];

/// Where audio or video begins half a second before the other.
const LATER: &[f64] = &[2.5, 13.5, 24.5];

fn shifted(moments: &[f64], by: f64) -> Vec<f64> {
    moments.iter().map(|moment| moment + by).collect()
}

/// Flashes and beeps at the same times; the clocks of video and audio begin this late.
fn both(
    rate: &str,
    moments: &[f64],
    late: (f64, f64),
    behind: &str,
    extension: &'static str,
) -> Input {
    let picture = flashes(rate, LONG - late.0, &shifted(moments, -late.0));
    let sound = beeps(LONG - late.1, &shifted(moments, -late.1));
    made(
        format!(
            "-itsoffset {} {picture} -itsoffset {} {sound} {H264} -c:a aac {behind}",
            late.0, late.1
        ),
        extension,
    )
}

#[expect(clippy::too_many_lines, reason = "a table, one row after the other")]
pub(crate) fn rows() -> Vec<Row> {
    let row = |name, rate, moments, late, behind, extension| {
        completes(
            name,
            both(rate, moments, late, behind, extension),
            [InSync(moments)],
        )
    };
    let together = (0.0, 0.0);
    vec![
        row("25 in MP4", "25", WHOLE, together, "", "mp4"),
        row("23.976 in MP4", "24000/1001", MOMENTS, together, "", "mp4"),
        row("29.97 in MP4", "30000/1001", MOMENTS, together, "", "mp4"),
        row(
            "23.976 in Matroska",
            "24000/1001",
            MOMENTS,
            together,
            "",
            "mkv",
        ),
        row(
            "29.97 in Matroska",
            "30000/1001",
            MOMENTS,
            together,
            "",
            "mkv",
        ),
        row(
            "29.97 in a transport stream",
            "30000/1001",
            MOMENTS,
            together,
            "",
            "ts",
        ),
        row(
            "a transport stream of a thousand seconds ago",
            "25",
            WHOLE,
            together,
            "-output_ts_offset 1000",
            "ts",
        ),
        row(
            "Matroska that starts at five seconds",
            "25",
            WHOLE,
            together,
            "-output_ts_offset 5",
            "mkv",
        ),
        row(
            "fragmented MP4",
            "25",
            WHOLE,
            together,
            "-movflags +frag_keyframe+delay_moov",
            "mp4",
        ),
        row(
            "sound one and a half seconds late in MP4",
            "25",
            WHOLE,
            (0.0, 1.5),
            "",
            "mp4",
        ),
        row(
            "sound one and a half seconds late in Matroska",
            "25",
            WHOLE,
            (0.0, 1.5),
            "",
            "mkv",
        ),
        row(
            "sound one and a half seconds late in a transport stream",
            "25",
            WHOLE,
            (0.0, 1.5),
            "",
            "ts",
        ),
        row(
            "pictures one second late",
            "25",
            WHOLE,
            (1.0, 0.0),
            "",
            "mp4",
        ),
        row(
            "pictures one second late in Matroska",
            "30",
            WHOLE,
            (1.0, 0.0),
            "",
            "mkv",
        ),
        completes(
            "an edit list that begins within a group of pictures",
            edited(),
            [InSync(&[1.48, 12.48, 23.48])],
        ),
        completes(
            "frames missing everywhere but where it flashes",
            sparse(),
            [InSync(WHOLE), Rates(&["30/1"])],
        ),
        completes(
            "sound of 44.1 kHz in AVI",
            both("25", LATER, together, "-ar 44100 -c:a pcm_s16le", "avi"),
            [InSync(LATER)],
        ),
        row(
            "a transport stream whose pictures begin after nine seconds",
            "25",
            &[13.0, 24.0],
            (9.0, 0.0),
            "-muxdelay 0 -muxpreload 0",
            "ts",
        ),
        row(
            "a transport stream whose sound begins after nine seconds",
            "25",
            &[13.0, 24.0],
            (0.0, 9.0),
            "-muxdelay 0 -muxpreload 0",
            "ts",
        ),
    ]
}

/// Six seconds with a flash and a beep in the third, whose clock begins at `clock`.
fn part(clock: u32, codecs: &str, extension: &'static str) -> Input {
    let (picture, sound) = (flashes("25", 6.0, &[2.0]), beeps(6.0, &[2.0]));
    made(
        format!("{picture} {sound} {codecs} -output_ts_offset {clock}"),
        extension,
    )
}

/// Recordings that were joined, and programmes that were changed: the clock restarts or jumps, and
/// the film continues.
pub(crate) fn clocks() -> Vec<Row> {
    const FOUR: &[f64] = &[2.0, 8.0, 14.0, 20.0];
    let h264 = format!("{H264} -c:a aac");
    let mpeg = "-c:v mpeg2video -q:v 3 -g 12 -c:a mp2";
    let joined = |clocks: [u32; 4], codecs: &str, extension| {
        Input::Joined(clocks.map(|clock| part(clock, codecs, extension)).into())
    };
    // A Flash file has a header of nine bytes and the size of the tag before the first one, which
    // is none.
    let headless = || part(0, &h264, "flv").changed(|bytes| drop(bytes.drain(..13)));
    let flash = Input::Joined(vec![
        part(0, &h264, "flv"),
        headless(),
        headless(),
        headless(),
    ]);
    let row = |name, input| completes(name, input, [InSync(FOUR), Warns("timestamps_repaired")]);
    vec![
        row(
            "a clock that starts again three times",
            joined([100, 0, 0, 0], &h264, "ts"),
        ),
        row(
            "a clock that jumps ahead and back",
            joined([10, 3700, 90, 7000], &h264, "ts"),
        ),
        row(
            "a programme stream whose clock starts again",
            joined([5, 0, 0, 0], mpeg, "mpg"),
        ),
        row("Flash files behind each other", flash),
        completes(
            "a clock that starts again in a few seconds",
            Input::Joined(vec![part(0, &h264, "ts"), part(0, &h264, "ts")]),
            [InSync(&[2.0, 8.0]), Warns("timestamps_repaired")],
        ),
    ]
}

/// Rows whose audio changes its format halfway.
pub(crate) fn changing() -> Vec<Row> {
    let row = |name, forms| completes(name, spliced(forms), [InSync(&[2.0, 11.0, 15.0, 24.0])]);
    let late = ["-c:a ac3 -ac 2 -b:a 192k", "-c:a ac3 -ac 6 -b:a 384k"];
    vec![
        row(
            "5.1, then stereo, in AC-3",
            ["-c:a ac3 -ac 6 -b:a 384k", "-c:a ac3 -ac 2 -b:a 192k"],
        ),
        row(
            "44.1, then 48 kHz, in AAC",
            ["-c:a aac -ar 44100 -ac 2", "-c:a aac -ar 48000 -ac 2"],
        ),
        row(
            "mono, then stereo, in AAC",
            ["-c:a aac -ac 1", "-c:a aac -ac 2"],
        ),
        completes(
            "stereo, then 5.1, in Matroska",
            spliced(late).remade("", "-c copy", "mkv"),
            [InSync(&[2.0, 11.0, 15.0, 24.0])],
        ),
        completes(
            "5.1 for half a second where no one looks",
            interrupted(),
            [InSync(WHOLE)],
        ),
    ]
}

/// Two pieces of half the length in a transport stream, with audio in these formats.
fn spliced(forms: [&str; 2]) -> Input {
    let half = LONG / 2.0;
    let piece = |(k, form): (usize, &str)| {
        let (flash, beep) = (flashes("25", half, &[2.0, 11.0]), beeps(half, &[2.0, 11.0]));
        let begin = 10.0 + k as f64 * half;
        let times = format!("-muxdelay 0 -muxpreload 0 -output_ts_offset {begin}");
        made(format!("{flash} {beep} {H264} {form} {times}"), "ts")
    };
    Input::Joined(forms.into_iter().enumerate().map(piece).collect())
}

/// Audio whose format differs for so short a time that checking a few places does not find it: the
/// first attempt fails, the second expects it.
fn interrupted() -> Input {
    let piece = |(begin, end, channels): (f64, f64, u32)| {
        let beep = beeps(LONG, WHOLE);
        made(
            format!(
                "{beep} -ss {begin} -t {} -c:a ac3 -ac {channels} -f ac3",
                end - begin
            ),
            "ac3",
        )
    };
    let pieces = [(0.0, 5.216, 2), (5.216, 5.728, 6), (5.728, LONG, 2)].map(piece);
    let sound = Input::Joined(pieces.into_iter().collect());
    let picture = made(format!("{} {H264}", flashes("25", LONG, WHOLE)), "mkv");
    picture.with(vec![sound], "-f ac3", "-map 0 -map 1 -c copy", "mkv")
}

/// Cut at a time that is no key frame without encoding again, as phones and editors do it: the edit
/// list hides what is too much.
fn edited() -> Input {
    both("25", WHOLE, (0.0, 0.0), "", "mp4").remade("-ss 0.52", "-c copy", "mp4")
}

/// A variable rate: every third frame is missing, and now and then more, but not near the flashes.
fn sparse() -> Input {
    let picture = flashes("30", LONG, WHOLE);
    let kept =
        "gt(mod(n\\,3)\\,0)*gt(mod(n\\,40)\\,8)+lt(mod(n\\,330)-60\\,6)*gte(mod(n\\,330)-60\\,-6)";
    made(
        format!(
            "{picture} {} -vf select={kept} -fps_mode vfr {H264} -c:a aac",
            beeps(LONG, WHOLE)
        ),
        "mp4",
    )
}
