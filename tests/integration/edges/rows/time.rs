//! Frame rates, lengths and interlacing.

use crate::edges::check::Check::{
    self, Chunks, Moves, NotCombed, Pictures, Poster, Rates, Segments, Sheets, Sizes, Sound, Warns,
};
use crate::edges::input::{H264, Input, made, moving, tone};
use crate::edges::row::{Row, completes};

pub(crate) fn rows() -> Vec<Row> {
    [
        rates(),
        packet_times(),
        lengths(),
        key_frames_that_lie(),
        interlaced(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn rates() -> Vec<Row> {
    let row = |name, rate: &str, seconds: f64, checks: &[Check]| {
        completes(
            name,
            made(format!("{} {H264}", moving("128x72", rate, seconds)), "mp4"),
            checks,
        )
    };
    let fast = |name, rate: &str| {
        let checks = [
            Rates(&["60/1", "30/1", "30/1"]),
            Sizes(&[(1280, 720), (854, 480), (640, 360)]),
        ];
        completes(
            name,
            made(format!("{} {H264}", moving("1280x720", rate, 0.5)), "mp4"),
            checks,
        )
    };
    let variable = |name, rate: &str, frames: &str, checks: [Check; 2]| {
        let picture = moving("128x72", rate, 6.0);
        completes(
            name,
            made(
                format!("{picture} -vf select={frames} -fps_mode vfr {H264}"),
                "mp4",
            ),
            checks,
        )
    };
    vec![
        row(
            "23.976 frames a second",
            "24000/1001",
            4.0,
            &[Rates(&["24000/1001"])],
        ),
        row(
            "29.97 frames a second",
            "30000/1001",
            4.0,
            &[Rates(&["30000/1001"])],
        ),
        row(
            "an unusual rate",
            "17",
            2.0,
            &[Rates(&["17/1"]), Pictures(Some(2.0))],
        ),
        row(
            "one frame a second",
            "1",
            10.0,
            &[Rates(&["1/1"]), Pictures(Some(10.0))],
        ),
        fast("60 frames a second", "60"),
        fast("120 frames a second", "120"),
        // Some frames of a phone in the dark are missing; of a recorded screen most are.
        variable(
            "the film of a phone",
            "30",
            "gt(mod(n\\,7)\\,0)+eq(mod(n\\,14)\\,0)",
            [Rates(&["30/1"]), Pictures(Some(6.0))],
        ),
        variable(
            "a recorded screen",
            "60",
            "lt(mod(n*n\\,30)\\,5)",
            [Warns("variable_frame_rate"), Pictures(Some(6.0))],
        ),
    ]
}

/// Pictures that all differ from the previous one.
fn all_moving(size: &str, rate: &str, seconds: f64) -> String {
    format!("-f lavfi -i testsrc2=s={size}:r={rate}:d={seconds}")
}

/// Rates that are wrong in the summary of a container, and right in its packets.
fn packet_times() -> Vec<Row> {
    let picked = |size, rate, seconds, frames: &str, extension| {
        let picture = all_moving(size, rate, seconds);
        made(
            format!("{picture} -vf select={frames} -fps_mode vfr {H264}"),
            extension,
        )
    };
    let screen = || picked("1280x720", "60", 8.0, "lt(mod(n\\,420)\\,60)", "mp4");
    let burst = [
        Rates(&["60/1", "30/1", "30/1"]),
        Moves(115),
        Warns("variable_frame_rate"),
    ];
    let ntsc = || all_moving("320x180", "30000/1001", 4.0);
    vec![
        completes(
            "a phone whose 30 frames are a little more",
            made(
                format!("{} {H264}", all_moving("640x360", "45000/1499", 2.0)),
                "mp4",
            ),
            [Rates(&["45000/1499"]), Moves(58)],
        ),
        completes(
            "30 frames a second, then 15",
            picked("640x360", "30", 12.0, "lt(n\\,180)+not(mod(n\\,2))", "mp4"),
            [Rates(&["30/1"]), Moves(265), Warns("variable_frame_rate")],
        ),
        completes(
            "a recorded screen that moves in bursts",
            screen(),
            burst.clone(),
        ),
        completes(
            "the same in Matroska",
            screen().remade("", "-c copy", "mkv"),
            burst,
        ),
        completes(
            "29.97 frames a second in FLV",
            made(format!("{} -c:v flv1 -q:v 4", ntsc()), "flv"),
            [Rates(&["30000/1001"]), Moves(115)],
        ),
        completes(
            "29.97 frames a second in WebM without a duration of frames",
            made(
                format!("{} -c:v libvpx -deadline realtime -cpu-used 8", ntsc()),
                "webm",
            )
            .changed(|bytes| set_default_duration(bytes, None)),
            [Rates(&["30000/1001"]), Moves(115)],
        ),
        completes(
            "a film in a container that says 25",
            made(
                format!("{} {H264}", all_moving("320x180", "24000/1001", 12.0)),
                "mkv",
            )
            .changed(|bytes| set_default_duration(bytes, Some(40_000_000))),
            [Rates(&["24000/1001"]), Moves(280)],
        ),
        completes(
            "a GIF of ten pictures a second",
            gif("10"),
            [Rates(&["10/1"]), Pictures(Some(3.0))],
        ),
        completes(
            "a GIF of thirty pictures a second",
            gif("30"),
            [Rates(&["30/1"]), Moves(85)],
        ),
        completes(
            "slides of twelve seconds",
            made(
                format!("{} {H264}", all_moving("128x72", "1/12", 60.0)),
                "mkv",
            ),
            [Rates(&["1/1"]), Moves(4)],
        ),
    ]
}

fn gif(rate: &str) -> Input {
    made(all_moving("128x72", rate, 3.0), "gif")
}

/// Changes the nanoseconds of a frame in a Matroska track (`DefaultDuration`, RFC 9559 section
/// 5.1.4.1.13), or makes the element void.
fn set_default_duration(bytes: &mut [u8], nanoseconds: Option<u64>) {
    let id = [0x23, 0xe3, 0x83];
    let at = bytes
        .windows(3)
        .position(|window| window == id)
        .expect("a default duration");
    let length = usize::from(bytes[at + 3] & 0x7f);
    match nanoseconds {
        Some(nanoseconds) => {
            bytes[at + 4..][..length].copy_from_slice(&nanoseconds.to_be_bytes()[8 - length..])
        }
        None => {
            // An element of one byte for its id, one for its length, and the rest.
            bytes[at] = 0xec;
            bytes[at + 1] = 0x80 | (length as u8 + 2);
        }
    }
}

fn lengths() -> Vec<Row> {
    let dark_start = "-f lavfi -i color=black:s=128x72:r=25:d=1[a];color=orange:s=128x72:r=25:d=2[b];[a][b]concat";
    let still = format!(
        "-f lavfi -i color=teal:s=320x180:r=1:d=10 {} -tune stillimage",
        tone(440, 10.0)
    );
    let one_picture = format!(
        "{} {} {H264} -c:a aac",
        moving("320x180", "25", 0.04),
        tone(440, 6.0)
    );
    vec![
        completes(
            "three seconds that begin in the dark",
            made(format!("{dark_start} {H264}"), "mp4"),
            [Segments(1), Pictures(Some(3.0)), Poster(60.0)],
        ),
        completes(
            "one frame",
            made(
                format!("{} -frames:v 1 {H264}", moving("128x72", "25", 1.0)),
                "mp4",
            ),
            [Segments(1), Poster(40.0)],
        ),
        completes(
            "a still picture with sound",
            made(format!("{still} {H264} -c:a aac"), "mp4"),
            [Pictures(Some(10.0)), Sound(Some(10.0))],
        ),
        completes(
            "one picture with six seconds of sound",
            made(one_picture, "mp4"),
            [Sound(Some(6.0)), Poster(40.0)],
        ),
        completes(
            "twenty minutes",
            made(
                format!(
                    "{} -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 100",
                    moving("64x36", "1", 1200.0)
                ),
                "mp4",
            ),
            [Chunks(2), Pictures(Some(1200.0)), Segments(300)],
        ),
    ]
}

/// Streams that are refreshed piece by piece: what is called a key frame shows nothing yet.
fn key_frames_that_lie() -> Vec<Row> {
    const REFRESHED: &str = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -g 60 -x264-params intra-refresh=1:bframes=0";
    let piece = |codec: &str, from: u32, seconds: f64| {
        let behind = format!("{codec} -muxdelay 0 -muxpreload 0 -output_ts_offset {from}");
        made(
            format!("{} {behind}", moving("128x72", "25", seconds)),
            "ts",
        )
    };
    let whole = |extension| {
        made(
            format!("{} {REFRESHED}", moving("320x180", "25", 60.0)),
            extension,
        )
    };
    // Between two of the places that are looked at: honest before and after.
    let for_a_while = Input::Joined(vec![
        piece(H264, 0, 47.0),
        piece(REFRESHED, 47, 14.0),
        piece(H264, 61, 139.0),
    ]);
    vec![
        completes(
            "refreshed piece by piece, in Matroska",
            whole("mkv"),
            [Pictures(Some(60.0))],
        ),
        completes(
            "refreshed piece by piece, in a transport stream",
            whole("ts"),
            [Pictures(Some(60.0))],
        ),
        completes(
            "refreshed piece by piece for a while",
            for_a_while.remade("-fflags +genpts", "-c copy", "mkv"),
            [Pictures(Some(200.0)), Chunks(3)],
        ),
    ]
}

/// 25 whole pictures a second that move.
const PROGRESSIVE: &str = "-f lavfi -i testsrc2=s=192x144:r=25:d=3,gblur=2,scroll=h=0.02";

/// Fifty fields a second that move, woven into 25 frames.
const WOVEN: &str =
    "-f lavfi -i testsrc2=s=192x144:r=50:d=3,gblur=2,scroll=h=0.02,tinterlace=interleave_top";

fn interlaced() -> Vec<Row> {
    let flagged = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -flags +ilme+ildct";
    vec![
        completes(
            "interlaced, top field first",
            made(
                format!("{WOVEN},setfield=tff {flagged} -x264opts tff=1"),
                "mp4",
            ),
            [NotCombed, Warns("deinterlaced")],
        ),
        completes(
            "interlaced, bottom field first",
            made(
                format!(
                    "{},setfield=bff {flagged} -x264opts bff=1",
                    WOVEN.replace("_top", "_bottom")
                ),
                "mp4",
            ),
            [NotCombed, Warns("deinterlaced")],
        ),
        completes(
            "interlaced MPEG-2",
            made(
                format!("{WOVEN},setfield=tff -c:v mpeg2video -q:v 3 -flags +ilme+ildct -top 1"),
                "ts",
            ),
            [NotCombed, Warns("deinterlaced")],
        ),
    ]
}

/// Rows of sources whose flags lie.
pub(crate) fn interlaced_unsaid() -> Vec<Row> {
    let plain = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p";
    let container = format!(
        "{},setfield=bff {plain} -flags +ilme+ildct -x264opts bff=1",
        WOVEN.replace("_top", "_bottom")
    );
    vec![
        completes(
            "interlaced in a container that says progressive",
            made(container, "mkv"),
            [NotCombed, Warns("deinterlaced")],
        ),
        completes(
            "interlaced and called progressive",
            made(format!("{WOVEN},setfield=prog {plain}"), "mp4"),
            [NotCombed, Warns("deinterlaced")],
        ),
        completes(
            "progressive and called interlaced",
            made(
                format!("{PROGRESSIVE},setfield=tff {plain} -flags +ilme+ildct -x264opts tff=1"),
                "mp4",
            ),
            [NotCombed, Pictures(Some(3.0))],
        ),
    ]
}

/// Rows that have preview pictures.
pub(crate) fn storyboards() -> Vec<Row> {
    let film = |size, rate, seconds| {
        made(
            format!(
                "{} -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 300",
                moving(size, rate, seconds)
            ),
            "mp4",
        )
    };
    vec![
        completes(
            "one frame has one tile",
            made(
                format!("{} -frames:v 1 {H264}", moving("128x72", "25", 1.0)),
                "mp4",
            ),
            [Sheets(1), Poster(40.0)],
        ),
        completes(
            "three seconds have a sheet",
            film("128x72", "25", 3.0),
            [Sheets(1)],
        ),
        completes(
            "half an hour has several sheets",
            film("64x36", "1", 1800.0),
            [Sheets(2), Chunks(2), Pictures(Some(1800.0))],
        ),
    ]
}
