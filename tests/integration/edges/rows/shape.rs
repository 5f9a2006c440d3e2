//! Orientation, shape and size of the picture.

use streams::Code;

use crate::edges::check::Check::{self, Corners, Moves, Rates, Sizes, Warns};
use crate::edges::input::{H264, Input, made, moving, tone};
use crate::edges::mp4::orient;
use crate::edges::row::{Row, completes, fails};

const RED: [u8; 3] = [255, 0, 0];
const GREEN: [u8; 3] = [0, 255, 0];
const BLUE: [u8; 3] = [0, 0, 255];
const WHITE: [u8; 3] = [255, 255, 255];

/// The marks as they are coded: top left, top right, bottom left, bottom right.
const CODED: [[u8; 3]; 4] = [RED, GREEN, BLUE, WHITE];

/// A grey picture of `size` with a mark in each corner.
fn marked(size: &str, rate: u32, behind: &str) -> Input {
    let mark = |x: &str, y: &str, colour: &str| {
        format!("drawbox=x={x}:y={y}:w=iw/4:h=ih/4:c={colour}:t=fill")
    };
    let marks = [
        mark("0", "0", "red"),
        mark("iw*3/4", "0", "lime"),
        mark("0", "ih*3/4", "blue"),
        mark("iw*3/4", "ih*3/4", "white"),
    ];
    made(
        format!(
            "-f lavfi -i color=c=gray:s={size}:r={rate}:d=1,format=yuv444p,{} {behind} {H264}",
            marks.join(",")
        ),
        "mp4",
    )
}

/// The same picture, turned or mirrored by the container alone.
fn turned(name: &'static str, matrix: [i32; 4], seen: [[u8; 3]; 4]) -> Row {
    let upright: &[(u32, u32)] = if matrix[0] == 0 {
        &[(108, 192)]
    } else {
        &[(192, 108)]
    };
    let input = marked("192x108", 5, "").changed(move |bytes| orient(bytes, matrix));
    completes(name, input, [Sizes(upright), Corners(seen)])
}

/// All ways to turn and mirror a picture.
fn orientations() -> Vec<Row> {
    let [tl, tr, bl, br] = CODED;
    vec![
        turned("not turned", [1, 0, 0, 1], [tl, tr, bl, br]),
        turned("turned by 90 degrees", [0, 1, -1, 0], [bl, tl, br, tr]),
        turned("turned by 180 degrees", [-1, 0, 0, -1], [br, bl, tr, tl]),
        turned("turned by 270 degrees", [0, -1, 1, 0], [tr, br, tl, bl]),
        turned("mirrored", [-1, 0, 0, 1], [tr, tl, br, bl]),
        turned("upside down", [1, 0, 0, -1], [bl, br, tl, tr]),
        turned(
            "mirrored along one diagonal",
            [0, 1, 1, 0],
            [tl, bl, tr, br],
        ),
        turned(
            "mirrored along the other diagonal",
            [0, -1, -1, 0],
            [br, tr, bl, tl],
        ),
    ]
}

pub(crate) fn rows() -> Vec<Row> {
    [orientations(), shapes(), changing(), sizes(), main_videos()]
        .into_iter()
        .flatten()
        .collect()
}

fn shapes() -> Vec<Row> {
    let portrait = marked("1920x1080", 2, "").changed(|bytes| orient(bytes, [0, 1, -1, 0]));
    let [tl, tr, bl, br] = CODED;
    let square = |size: &'static [(u32, u32)]| [Sizes(size), Corners(CODED)];
    let stretched = "-vf setsar=64/45";
    let on_its_side = marked("720x576", 2, stretched).changed(|bytes| orient(bytes, [0, -1, 1, 0]));
    let odd = |size| {
        made(
            format!(
                "{} -c:v libx264 -preset ultrafast -pix_fmt yuv444p",
                moving(size, "5", 1.0)
            ),
            "mp4",
        )
    };
    let two_sizes = Input::Joined(vec![piece("320x180", 0.0), piece("256x256", 2.0)]);
    vec![
        completes(
            "a portrait film of a phone",
            portrait,
            [
                Sizes(&[(1080, 1920), (720, 1280), (480, 854), (360, 640)]),
                Corners([bl, tl, br, tr]),
            ],
        ),
        completes(
            "an anamorphic disc",
            marked("720x576", 2, stretched),
            square(&[(1024, 576), (854, 480), (640, 360)]),
        ),
        completes(
            "an anamorphic disc on its side",
            on_its_side,
            [
                Sizes(&[(576, 1024), (480, 854), (360, 640)]),
                Corners([tr, br, tl, bl]),
            ],
        ),
        completes(
            "pixels higher than wide",
            marked("720x480", 2, "-vf setsar=8/9"),
            square(&[(640, 480), (480, 360)]),
        ),
        completes(
            "odd sides",
            odd("1163x767"),
            [Sizes(&[(1162, 766), (728, 480), (546, 360)])],
        ),
        completes(
            "odd sides that no rung has",
            odd("853x479"),
            [Sizes(&[(852, 478), (642, 360)])],
        ),
        completes(
            "a size that changes on the way",
            two_sizes,
            [
                Sizes(&[(256, 256)]),
                Check::Pictures(Some(4.0)),
                Warns("size_changes"),
            ],
        ),
    ]
}

/// A white disc on grey of `size`, of pixels so much wider than high, for `seconds`; an input of
/// ffmpeg.
fn disc(size: &str, aspect: &str, rate: u32, seconds: f64) -> String {
    format!(
        "-f lavfi -i color=c=gray:s={size}:r={rate}:d={seconds},format=yuv420p,\
         geq=lum=if(lt(hypot((X-W/2)*{aspect}\\,Y-H/2)\\,min(W*{aspect}\\,H)*0.35)\\,235\\,60):cb=128:cr=128,setsar={aspect}"
    )
}

/// Pieces of one stream, as they come from a call: the same codec, another size or shape from some
/// moment on.
fn pieces(pieces: &[(&str, &str, f64)], codec: &str) -> Input {
    let mut from = 10.0;
    let joined = pieces.iter().map(|(size, aspect, seconds)| {
        let arguments = format!(
            "{} {codec} -muxdelay 0 -muxpreload 0 -output_ts_offset {from}",
            disc(size, aspect, 25, *seconds)
        );
        from += seconds;
        made(arguments, "ts")
    });
    Input::Joined(joined.collect())
}

/// Sources whose pictures change their size or their shape: whatever comes is fitted into what
/// lasts.
fn changing() -> Vec<Row> {
    const LARGE: &[(u32, u32)] = &[(1280, 720), (854, 480), (640, 360)];
    let indexed = |input: Input| input.remade("-fflags +genpts", "-c copy", "mkv");
    let grows = || pieces(&[("320x180", "1", 2.0), ("1280x720", "1", 8.0)], H264);
    let glitch = pieces(
        &[
            ("640x360", "1", 11.0),
            ("1280x720", "1", 0.4),
            ("640x360", "1", 12.0),
        ],
        H264,
    );
    let turns = pieces(&[("360x640", "1", 2.0), ("640x360", "1", 6.0)], H264);
    let mpeg2 = "-c:v mpeg2video -b:v 4M -g 12";
    let television = pieces(
        &[("720x576", "16/15", 2.0), ("720x576", "64/45", 6.0)],
        mpeg2,
    );
    vec![
        completes(
            "a call that begins small",
            indexed(grows()),
            [
                Sizes(LARGE),
                Check::Disc(0.5),
                Check::Disc(6.0),
                Warns("size_changes"),
            ],
        ),
        completes(
            "a call that begins small, in a transport stream",
            grows(),
            [
                Sizes(LARGE),
                Check::Disc(0.5),
                Check::Disc(6.0),
                Warns("size_changes"),
            ],
        ),
        completes(
            "a telephone that is turned during a call",
            indexed(turns),
            [
                Sizes(&[(640, 360)]),
                Check::Disc(0.5),
                Check::Disc(5.0),
                Warns("size_changes"),
            ],
        ),
        completes(
            "television that changes its shape at one size",
            television,
            [
                Sizes(&[(1024, 576), (854, 480), (640, 360)]),
                Check::Disc(0.5),
                Check::Disc(5.0),
                Warns("size_changes"),
            ],
        ),
        completes(
            "a size that does not last",
            indexed(glitch),
            [Sizes(&[(640, 360)]), Check::Disc(1.0), Check::Disc(20.0)],
        ),
    ]
}

/// A piece of a transport stream that continues where another one ended.
fn piece(size: &str, from: f64) -> Input {
    made(
        format!(
            "{} {H264} -output_ts_offset {from}",
            moving(size, "25", 2.0)
        ),
        "ts",
    )
}

/// Several video tracks, one of which is the film.
fn main_videos() -> Vec<Row> {
    let film = || {
        made(
            format!(
                "-f lavfi -i testsrc2=s=426x240:r=25:d=4 {} {H264} -c:a aac",
                tone(440, 4.0)
            ),
            "mp4",
        )
    };
    let still = |codec: &str, extension| {
        made(
            format!("-f lavfi -i smptebars=s=1000x1000:r=1:d=1 -frames:v 1 {codec}"),
            extension,
        )
    };
    let jpeg = || still("-c:v mjpeg", "jpg");
    let beside = |input: Input, marks: &str, extension| {
        film().with(
            vec![input],
            "",
            &format!("-map 1 -map 0 -c copy {marks}"),
            extension,
        )
    };
    let checks = [Sizes(&[(426, 240)]), Moves(95), Check::Sound(Some(4.0))];
    let two = format!(
        "{} {} -map 0 -map 1 {H264} -disposition:v default",
        moving("320x180", "5", 2.0),
        moving("480x270", "5", 2.0)
    );
    vec![
        completes(
            "a cover in front of the film",
            beside(jpeg(), "", "mp4"),
            checks.clone(),
        ),
        completes(
            "a cover in front of the film, and all tracks default",
            beside(jpeg(), "-disposition:v default", "mkv"),
            checks.clone(),
        ),
        completes(
            "a cover in front of the film, and no track default",
            beside(jpeg(), "-disposition:v 0", "mkv"),
            checks.clone(),
        ),
        completes(
            "a still of H.264 in front of the film",
            beside(still(H264, "mp4"), "-disposition:v default", "mkv"),
            checks,
        ),
        completes(
            "two films, both default, the larger one second",
            made(two, "mp4"),
            [Sizes(&[(480, 270)]), Warns("video_tracks_left_out")],
        ),
    ]
}

fn sizes() -> Vec<Row> {
    let plain = |size: &str| made(format!("{} {H264}", moving(size, "5", 1.0)), "mp4");
    let one_pixel = made(
        "-f lavfi -i color=red:s=4x4:d=1,format=rgb24,crop=1:1 -c:v ffv1",
        "mkv",
    );
    let eight_k = made(
        format!(
            "{} -c:v libx264 -preset ultrafast -pix_fmt yuv420p",
            moving("7680x4320", "60", 0.05)
        ),
        "mp4",
    );
    let covered = "-f lavfi -i testsrc2=s=500x500:d=1 -map 0 -map 1 -c:v:0 libx264 -preset:v:0 ultrafast -pix_fmt:v:0 yuv420p";
    let covered = format!(
        "{} {covered} -c:v:1 mjpeg -frames:v:1 1 -disposition:v:1 attached_pic",
        moving("426x240", "5", 1.0)
    );
    let two = format!(
        "{} {} -map 0 -map 1 {H264}",
        moving("426x240", "5", 1.0),
        moving("128x72", "5", 1.0)
    );
    vec![
        completes(
            "a film with a cover",
            made(covered, "mp4"),
            [Sizes(&[(426, 240)])],
        ),
        completes(
            "two films in one",
            made(two, "mp4"),
            [Sizes(&[(426, 240)]), Warns("video_tracks_left_out")],
        ),
        completes("a small one", plain("426x240"), [Sizes(&[(426, 240)])]),
        completes(
            "a rung's size",
            plain("854x480"),
            [Sizes(&[(854, 480), (640, 360)])],
        ),
        completes(
            "between two rungs",
            plain("1000x600"),
            [Sizes(&[(1000, 600), (800, 480), (600, 360)])],
        ),
        completes("16 pixels", plain("16x16"), [Sizes(&[(16, 16)])]),
        completes("142 pixels", plain("142x142"), [Sizes(&[(142, 142)])]),
        completes("a ribbon", plain("640x32"), [Sizes(&[(640, 32)])]),
        completes(
            "8K at 60 frames a second",
            eight_k,
            [
                Sizes(&[(1920, 1080), (1280, 720), (854, 480), (640, 360)]),
                Rates(&["60/1", "60/1", "30/1", "30/1"]),
            ],
        ),
        fails("one pixel", one_pixel, &[Code::DimensionsTooSmall]),
        fails(
            "two by two pixels",
            plain("2x2"),
            &[Code::DimensionsTooSmall],
        ),
        fails("a line", plain("640x14"), &[Code::DimensionsTooSmall]),
    ]
}
