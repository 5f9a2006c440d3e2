//! Colours, ranges, depths and transparency.

use streams::Code;

use crate::edges::check::Check::{Bars, Ramp, Sizes, Warns};
use crate::edges::input::{Input, made, moving};
use crate::edges::measure::Colour;
use crate::edges::mp4::claim_dolby_vision_5;
use crate::edges::row::{Row, completes, fails};

/// What the bars look like on a screen. None is at the edge of what video can show.
const SEEN: [Colour; 6] = [
    [192, 40, 40],
    [40, 176, 60],
    [50, 60, 200],
    [128, 128, 128],
    [222, 172, 140],
    [24, 24, 24],
];

/// How far a colour may be off: rounding to 8 bits, twice, and the encoder.
const NEAR: u8 = 6;

/// The bars in red, green and blue.
fn bars(size: (u32, u32)) -> String {
    let width = size.0 / 6;
    let boxes = SEEN.iter().enumerate().map(|(k, [r, g, b])| {
        format!(
            ",drawbox=x={}:w={width}:h=ih:c=0x{r:02x}{g:02x}{b:02x}:t=fill",
            k as u32 * width
        )
    });
    format!(
        "-f lavfi -i color=c=black:s={}x{}:r=5:d=1,format=gbrp{}",
        size.0,
        size.1,
        boxes.collect::<String>()
    )
}

/// The bars in a matrix and range, said so in the file or not.
fn coded(size: (u32, u32), matrix: &str, range: &str, tags: &str, codec: &str) -> String {
    let (filter_matrix, said) = (
        if matrix == "smpte170m" { "170m" } else { "709" },
        format!("{tags} {codec}"),
    );
    format!(
        "{} -vf setparams=colorspace=gbr:range=pc:color_primaries=bt709:color_trc=bt709,zscale=matrix={filter_matrix}:range={range},format=yuv444p {said}",
        bars(size)
    )
}

/// Tags of the encoder.
fn tags(matrix: &str, range: &str) -> String {
    format!("-colorspace {matrix} -color_range {range} -color_primaries bt709 -color_trc bt709")
}

const SMALL: (u32, u32) = (384, 96);
const X264: &str = "-c:v libx264 -preset ultrafast -crf 12 -pix_fmt yuv420p";

fn seen() -> [crate::edges::check::Check; 1] {
    [Bars(SEEN.to_vec(), NEAR)]
}

pub(crate) fn rows() -> Vec<Row> {
    [standard(), depths(), high_dynamic_range()]
        .into_iter()
        .flatten()
        .collect()
}

#[expect(clippy::too_many_lines, reason = "a table, one row after the other")]
fn standard() -> Vec<Row> {
    let row = |name, size, matrix: &str, range: &str, said: String| {
        // The one H.264 format of 8 bits whose name means the full range.
        let codec = if range == "full" {
            X264.replace("yuv420p", "yuvj420p")
        } else {
            X264.to_owned()
        };
        completes(name, made(coded(size, matrix, range, &said, &codec), "mp4"), seen())
    };
    vec![
        row(
            "BT.709 in limited range",
            SMALL,
            "bt709",
            "limited",
            tags("bt709", "tv"),
        ),
        row("BT.709 in full range", SMALL, "bt709", "full", tags("bt709", "pc")),
        row(
            "BT.601 in limited range",
            SMALL,
            "smpte170m",
            "limited",
            tags("smpte170m", "tv"),
        ),
        row(
            "BT.601 in full range",
            SMALL,
            "smpte170m",
            "full",
            tags("smpte170m", "pc"),
        ),
        row(
            "nothing said, standard definition",
            SMALL,
            "smpte170m",
            "limited",
            "-bsf:v h264_metadata=matrix_coefficients=2".to_owned(),
        ),
        row(
            "nothing said, high definition",
            (1536, 720),
            "bt709",
            "limited",
            "-bsf:v h264_metadata=matrix_coefficients=2".to_owned(),
        ),
        completes(
            "red, green and blue",
            made(
                format!("{} -c:v libx264rgb -preset ultrafast -crf 8", bars(SMALL)),
                "mkv",
            ),
            seen(),
        ),
        completes(
            "motion JPEG",
            made(
                coded(
                    SMALL,
                    "smpte170m",
                    "full",
                    "-color_range pc",
                    "-c:v mjpeg -q:v 2 -pix_fmt yuvj420p",
                ),
                "avi",
            ),
            seen(),
        ),
    ]
}

fn depths() -> Vec<Row> {
    let studio = |codec: &str| coded(SMALL, "bt709", "limited", &tags("bt709", "tv"), codec);
    vec![
        completes(
            "ProRes of 10 bits and 4:2:2",
            made(studio("-c:v prores_ks -profile:v 3 -pix_fmt yuv422p10le"), "mov"),
            seen(),
        ),
        completes(
            "H.264 of 10 bits and 4:2:2",
            made(
                studio("-c:v libx264 -preset ultrafast -crf 12 -pix_fmt yuv422p10le"),
                "mp4",
            ),
            seen(),
        ),
        completes(
            "H.264 of 4:4:4",
            made(studio("-c:v libx264 -preset ultrafast -crf 12 -pix_fmt yuv444p"), "mp4"),
            seen(),
        ),
        completes(
            "H.265 of 10 bits",
            made(
                studio(
                    "-c:v libx265 -preset ultrafast -crf 12 -x265-params log-level=none -tag:v hvc1 -pix_fmt yuv420p10le",
                ),
                "mp4",
            ),
            seen(),
        ),
        completes(
            "VP9",
            made(
                studio("-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -crf 15 -b:v 0 -pix_fmt yuv420p"),
                "webm",
            ),
            seen(),
        ),
        completes(
            "grey alone",
            made(
                "-f lavfi -i color=c=gray:s=128x72:r=5:d=1 -pix_fmt gray -c:v ffv1",
                "mkv",
            ),
            [Bars(vec![[128; 3]], NEAR)],
        ),
    ]
}

/// Eight bars of grey from black to white in a high dynamic range transfer. The fourth has about 38 % of the signal, which is 18 % grey
/// by ITU-R BT.2408.
fn ramp(transfer: &str) -> Input {
    let grey = "geq=lum=64+876*(floor(X*8/W)*0.1267):cb=512:cr=512";
    let tags = format!("-color_primaries bt2020 -color_trc {transfer} -colorspace bt2020nc -color_range tv");
    let codec = "-c:v libx265 -preset ultrafast -crf 10 -x265-params log-level=none -tag:v hvc1 -pix_fmt yuv420p10le";
    made(
        format!("-f lavfi -i color=c=black:s=384x96:r=5:d=1,format=yuv420p10le,{grey} {tags} {codec}"),
        "mp4",
    )
}

fn high_dynamic_range() -> Vec<Row> {
    let grey = || {
        [
            Ramp {
                bars: 8,
                grey: 3,
                range: (50, 170),
            },
            Warns("tone_mapped"),
        ]
    };
    let dolby = made(
        format!(
            "{} -c:v libx265 -preset ultrafast -x265-params log-level=none -tag:v hvc1 -pix_fmt yuv420p10le",
            moving("320x180", "5", 1.0)
        ),
        "mp4",
    );
    vec![
        completes("HDR10", ramp("smpte2084"), grey()),
        completes("HLG", ramp("arib-std-b67"), grey()),
        fails(
            "Dolby Vision of profile 5",
            dolby.changed(claim_dolby_vision_5),
            &[Code::UnsupportedDolbyVision],
        ),
    ]
}

/// Rows that flatten what can be seen through: the left half is opaque, the right half is red that nobody can see.
pub(crate) fn transparent() -> Vec<Row> {
    let picture = "-f lavfi -i color=c=red:s=128x72:r=5:d=1,format=rgba,geq=r=200:g=60:b=60:a=255*lt(X\\,W/2)";
    let flat = |name, codec: &str, extension| {
        let checks = [
            Bars(vec![[200, 60, 60], [0; 3]], 12),
            Warns("alpha_flattened"),
            Sizes(&[(128, 72)]),
        ];
        completes(name, made(format!("{picture} {codec}"), extension), checks)
    };
    vec![
        flat(
            "ProRes 4444",
            "-c:v prores_ks -profile:v 4444 -pix_fmt yuva444p10le -colorspace bt709",
            "mov",
        ),
        flat("QuickTime animation", "-c:v qtrle -pix_fmt argb", "mov"),
        flat(
            "VP9 with alpha",
            "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -crf 10 -b:v 0 -pix_fmt yuva420p",
            "webm",
        ),
        flat(
            "GIF",
            "-filter_complex split[a][b];[a]palettegen=reserve_transparent=1[p];[b][p]paletteuse -c:v gif",
            "gif",
        ),
    ]
}
