//! Colours, ranges, depths and transparency.

use streams::Code;

use crate::edges::captions::write_captions;
use crate::edges::check::Check::{self, Bars, Captions, NoWarning, Ramp, Sizes, Warns};
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

/// The same with a green that all primaries in use have. That of [`SEEN`] has less red than none in
/// those of SMPTE 240M, and zscale keeps what is below zero on some processors and cuts it off on
/// others.
const CONVERTED: [Colour; 6] = [SEEN[0], [70, 176, 60], SEEN[2], SEEN[3], SEEN[4], SEEN[5]];

/// How far a colour may be off: rounding to 8 bits, twice, and the encoder.
const NEAR: u8 = 6;

/// Bars of these colours in red, green and blue.
fn bars(colours: &[Colour; 6], size: (u32, u32)) -> String {
    let width = size.0 / 6;
    let boxes = colours.iter().enumerate().map(|(k, [r, g, b])| {
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
        bars(&SEEN, size)
    )
}

/// Tags of the encoder.
fn tags(matrix: &str, range: &str) -> String {
    format!("-colorspace {matrix} -color_range {range} -color_primaries bt709 -color_trc bt709")
}

const SMALL: (u32, u32) = (384, 96);
const X264: &str = "-c:v libx264 -preset ultrafast -crf 12 -pix_fmt yuv420p";

fn seen() -> [Check; 1] {
    [Bars(SEEN.to_vec(), NEAR)]
}

pub(crate) fn rows() -> Vec<Row> {
    [
        standard(),
        depths(),
        high_dynamic_range(),
        primaries(),
        matrices(),
        captions(),
    ]
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
        completes(
            name,
            made(coded(size, matrix, range, &said, &codec), "mp4"),
            seen(),
        )
    };
    vec![
        row(
            "BT.709 in limited range",
            SMALL,
            "bt709",
            "limited",
            tags("bt709", "tv"),
        ),
        row(
            "BT.709 in full range",
            SMALL,
            "bt709",
            "full",
            tags("bt709", "pc"),
        ),
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
                format!(
                    "{} -c:v libx264rgb -preset ultrafast -crf 8",
                    bars(&SEEN, SMALL)
                ),
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
            made(
                studio("-c:v prores_ks -profile:v 3 -pix_fmt yuv422p10le"),
                "mov",
            ),
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
            made(
                studio("-c:v libx264 -preset ultrafast -crf 12 -pix_fmt yuv444p"),
                "mp4",
            ),
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
                studio(
                    "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -crf 15 -b:v 0 -pix_fmt yuv420p",
                ),
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

/// Eight bars of grey from black to white in a high dynamic range transfer. The fourth has about 38
/// % of the signal, which is 18 % grey by ITU-R BT.2408.
fn ramp(transfer: &str) -> Input {
    let grey = "geq=lum=64+876*(floor(X*8/W)*0.1267):cb=512:cr=512";
    let tags = format!(
        "-color_primaries bt2020 -color_trc {transfer} -colorspace bt2020nc -color_range tv"
    );
    let codec = "-c:v libx265 -preset ultrafast -crf 10 -x265-params log-level=none -tag:v hvc1 -pix_fmt yuv420p10le";
    made(
        format!(
            "-f lavfi -i color=c=black:s=384x96:r=5:d=1,format=yuv420p10le,{grey} {tags} {codec}"
        ),
        "mp4",
    )
}

/// The bars in these primaries, transfer and matrix, as ffmpeg names them and as numbers of ITU-T
/// H.273, and tagged so.
fn converted(primaries: (&str, u8), transfer: (&str, u8), matrix: (&str, u8)) -> Input {
    let tags = format!(
        "-color_primaries {} -color_trc {} -colorspace {} -color_range tv",
        primaries.0, transfer.0, matrix.0
    );
    made(
        format!(
            "{} -vf setparams=colorspace=gbr:range=pc:color_primaries=bt709:color_trc=bt709,\
             zscale=p={}:t={}:m={}:range=limited,format=yuv444p {tags} {X264}",
            bars(&CONVERTED, SMALL),
            primaries.1,
            transfer.1,
            matrix.1
        ),
        "mp4",
    )
}

const BT709: (&str, u8) = ("bt709", 1);

/// Every set of primaries that is not the output's comes out as it was meant, whatever the matrix
/// says.
fn primaries() -> Vec<Row> {
    let row = |name, primaries| {
        let checks = [
            Bars(CONVERTED.to_vec(), NEAR),
            NoWarning("colour_approximated"),
        ];
        completes(name, converted(primaries, BT709, BT709), checks)
    };
    vec![
        row("Display P3", ("smpte432", 12)),
        row("DCI-P3", ("smpte431", 11)),
        row("primaries of NTSC of 1953", ("bt470m", 4)),
        row("primaries of film", ("film", 8)),
        row("primaries of SMPTE 240M alone", ("smpte240m", 7)),
        row("primaries of BT.2020 alone", ("bt2020", 9)),
        // ffmpeg 5.1 makes no such pictures, and x264 has no word for them: these are of BT.709,
        // and what they are by this tag is reckoned from both definitions.
        completes(
            "primaries of EBU 3213",
            made(
                coded(
                    SMALL,
                    "bt709",
                    "limited",
                    "-colorspace bt709 -color_range tv -color_trc bt709 -bsf:v h264_metadata=colour_primaries=22",
                    X264,
                ),
                "mp4",
            ),
            [
                Bars(
                    vec![
                        [194, 51, 39],
                        [15, 172, 60],
                        [50, 72, 200],
                        [128, 128, 128],
                        [223, 172, 140],
                        [24, 24, 24],
                    ],
                    NEAR,
                ),
                NoWarning("colour_approximated"),
            ],
        ),
        completes(
            "HDR10 in BT.2020",
            high(("bt2020", 9)),
            [Bars(MAPPED.to_vec(), NEAR), Warns("tone_mapped")],
        ),
        completes(
            "HDR10 in Display P3",
            high(("smpte432", 12)),
            [Bars(MAPPED.to_vec(), NEAR), Warns("tone_mapped")],
        ),
    ]
}

/// What is left of the bars when they are mapped from high dynamic range: as it came of BT.2020,
/// and so it has to be whatever primaries they are in.
const MAPPED: [Colour; 6] = [
    [158, 33, 32],
    [34, 148, 51],
    [42, 49, 164],
    [113, 113, 113],
    [177, 136, 112],
    [22, 22, 22],
];

/// The bars in high dynamic range, white at 203 candelas (ITU-R BT.2408), in these primaries.
fn high((name, number): (&str, u8)) -> Input {
    let tags = format!(
        "-color_primaries {name} -color_trc smpte2084 -colorspace bt2020nc -color_range tv"
    );
    let codec = format!(
        "-c:v libx265 -preset ultrafast -crf 8 -tag:v hvc1 -x265-params log-level=none:colorprim={name}:transfer=smpte2084:colormatrix=bt2020nc"
    );
    made(
        format!(
            "{} -vf setparams=colorspace=gbr:range=pc:color_primaries=bt709:color_trc=bt709,zscale=t=linear:npl=203,format=gbrpf32le,\
             zscale=p={number}:t=smpte2084:m=2020_ncl:r=limited:npl=203,format=yuv420p10le {tags} {codec}",
            bars(&SEEN, SMALL)
        ),
        "mp4",
    )
}

/// Matrices that are not those of today, and tags that do not belong together.
fn matrices() -> Vec<Row> {
    let row = |name, primaries, transfer, matrix| {
        let checks = [
            Bars(CONVERTED.to_vec(), NEAR),
            NoWarning("colour_approximated"),
        ];
        completes(name, converted(primaries, transfer, matrix), checks)
    };
    let tagged = |name, tags: &str| {
        let said = format!("-bsf:v h264_metadata={tags}");
        let checks = [Bars(SEEN.to_vec(), NEAR), Warns("colour_approximated")];
        completes(
            name,
            made(coded(SMALL, "smpte170m", "limited", &said, X264), "mkv"),
            checks,
        )
    };
    vec![
        row("the matrix of the FCC", BT709, BT709, ("fcc", 4)),
        row("SMPTE 240M", ("smpte240m", 7), BT709, ("smpte240m", 7)),
        row(
            "the matrix of BT.2020 and primaries of BT.709",
            BT709,
            BT709,
            ("bt2020nc", 9),
        ),
        row(
            "a matrix of BT.709 and primaries of BT.2020",
            ("bt2020", 9),
            BT709,
            BT709,
        ),
        row(
            "three tags of three standards",
            ("smpte432", 12),
            ("smpte170m", 6),
            ("fcc", 4),
        ),
        row("samples that are light", BT709, ("linear", 8), BT709),
        completes(
            "YCgCo of a screen, in 4:4:4",
            made(
                format!(
                    "{} -vf setparams=colorspace=gbr:range=pc:color_primaries=bt709:color_trc=bt709,zscale=m=ycgco:r=full,format=yuv444p \
                     -c:v libx264 -preset ultrafast -crf 8 -pix_fmt yuvj444p -colorspace ycgco -color_primaries bt709 -color_trc bt709 -color_range pc",
                    bars(&SEEN, SMALL)
                ),
                "mp4",
            ),
            [Bars(SEEN.to_vec(), NEAR), NoWarning("colour_approximated")],
        ),
        tagged(
            "4:2:0 that is said to be YCgCo, and is not",
            "matrix_coefficients=8",
        ),
        tagged(
            "YUV that is said to be red, green and blue",
            "matrix_coefficients=0",
        ),
        tagged(
            "a transfer of digital cinema that nothing converts",
            "matrix_coefficients=6:transfer_characteristics=17",
        ),
    ]
}

/// Closed captions are offered, or left out with a word, but never carried unseen.
fn captions() -> Vec<Row> {
    let captioned = |rate: &str| {
        let picture = format!(
            "{} -c:v libx264 -preset ultrafast -pix_fmt yuv420p -bf 0",
            moving("640x480", rate, 3.0)
        );
        let stream = made(picture, "h264").changed(|bytes| write_captions(bytes, "HELLO THERE"));
        stream.remade(&format!("-f h264 -framerate {rate}"), "-c copy", "mp4")
    };
    let unseen = made(
        format!(
            "{} -c:v libx264 -preset ultrafast",
            moving("320x180", "25", 1.0)
        ),
        "mp4",
    );
    vec![
        completes(
            "closed captions",
            captioned("30"),
            [
                Captions(Some("HELLO THERE")),
                NoWarning("captions_left_out"),
            ],
        ),
        completes(
            "closed captions of a source whose low rungs have half of its pictures",
            captioned("60"),
            [Captions(None), Warns("captions_left_out")],
        ),
        completes(
            "no captions",
            unseen,
            [Captions(None), NoWarning("captions_left_out")],
        ),
    ]
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

/// Rows that flatten what can be seen through: the left half is opaque, the right half is red that
/// no one can see.
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
