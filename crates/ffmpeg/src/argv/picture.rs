//! Filters that make the source's picture what the output is: upright, progressive, square pixels,
//! BT.709 in limited range, tagged so.

use streams::Rational;
use streams::plan::{
    FieldOrder, Matrix, Picture, Primaries, Source, SourceColor, Transfer, VideoPlan,
    VideoRendition,
};

use super::filter::Filter;
use super::split_words;

/// The options of the input itself. We turn pictures ourselves, since a display matrix need not be
/// a quarter turn; the graph is not made again where the source changes its size on the way, since
/// that would forget which frame is next; and only libvpx's own decoders know of transparency.
pub(super) fn input_options(source: &Source, video: &VideoPlan) -> Vec<String> {
    let mut args = split_words("-noautorotate -reinit_filter 0");

    let mut tracks = source.tracks.iter();
    let codec = tracks
        .find(|track| track.index == video.track)
        .map(|track| track.codec.as_str());
    let decoder = match codec {
        Some("vp8") => "libvpx",
        Some("vp9") => "libvpx-vp9",
        _ => return args,
    };

    if video.picture.flatten {
        args.extend(split_words(&format!("-c:{} {decoder}", video.track)));
    }
    args
}

/// What is done on the source's own frames, before they are counted: all are fitted into the
/// planned size and shape (which costs nothing where they have it), fields become frames, and the
/// picture is turned upright.
pub(super) fn input_filters(picture: Picture) -> Vec<Filter> {
    let mut filters = Vec::new();
    // Newer versions scale nothing that is tagged with a matrix they do not know.
    if picture.color.approximated || scaler_name(picture.color.matrix).is_none() {
        filters.push(Filter::new("setparams").arg("colorspace", "bt709"));
    }

    if picture.width > 0 && picture.height > 0 {
        filters.extend(fit_into_frame(picture));
    }

    if picture.deinterlace {
        let mode = if picture.field_rate {
            "send_field"
        } else {
            "send_frame"
        };
        let parity = match picture.field_order {
            FieldOrder::Flagged => "auto",
            FieldOrder::Top => "tff",
            FieldOrder::Bottom => "bff",
        };
        filters.push(
            Filter::new("bwdif")
                .arg("mode", mode)
                .arg("parity", parity)
                .arg("deint", "all"),
        );
    }

    // Newer versions would carry the source's display matrix on to the output, where it would turn
    // the picture once more.
    filters.extend(rotation_filters(picture));
    filters.push(without_side_data("DISPLAYMATRIX"));

    // Some encoders write the captions that come with frames into the stream, others do not, and
    // their defaults change.
    if !picture.captions {
        filters.push(without_side_data("A53_CC"));
    }

    filters
}

fn without_side_data(kind: &str) -> Filter {
    Filter::new("sidedata")
        .arg("mode", "delete")
        .arg("type", kind)
}

/// Makes pictures as large as they can be within the planned ones, in their own shape, and puts
/// bars beside them. The size is computed again for each frame, since the filter graph is not made
/// again when a source changes on its way.
fn fit_into_frame(picture: Picture) -> Vec<Filter> {
    let (width, height) = (picture.width, picture.height);
    let believed = picture.pixel_aspect.unwrap_or(Rational::whole(1));

    // Width over height as shown; the share by which a shape may be off before bars are put beside
    // it: those of a pixel or two are none.
    let off = 0.01_f64.max(4.0 / f64::from(width.min(height)));
    let (least, most) = (1.0 - off, 1.0 + off);

    let stored = Rational::new(width.into(), height.into()).unwrap_or(believed);
    let shown = stored.checked_mul(believed).unwrap_or(stored);
    let aspect = format!("({}/{})", shown.num(), shown.den());
    let narrow = format!(
        "if(gte(dar,{aspect}*{least:.2}),{width},min({width},2*round({width}*dar/{aspect}/2)))"
    );
    let flat = format!(
        "if(lte(dar,{aspect}*{most:.2}),{height},min({height},2*round({height}*{aspect}/dar/2)))"
    );

    let scale = Filter::new("scale")
        .arg("w", narrow)
        .arg("h", flat)
        .arg("flags", "bicubic")
        .arg("eval", "frame");
    let bars = Filter::new("pad")
        .value(width)
        .value(height)
        .value(-1)
        .value(-1)
        .arg("eval", "frame");

    let square = picture
        .pixel_aspect
        .is_none()
        .then(|| Filter::new("setsar").value(1));
    square.into_iter().chain([scale, bars]).collect()
}

fn rotation_filters(picture: Picture) -> Vec<Filter> {
    let transpose = |direction: &str| vec![Filter::new("transpose").value(direction)];
    match (picture.turn, picture.mirror) {
        (90, false) => transpose("clock"),
        (90, true) => transpose("cclock_flip"),
        (180, false) => vec![Filter::new("hflip"), Filter::new("vflip")],
        (180, true) => vec![Filter::new("vflip")],
        (270, false) => transpose("cclock"),
        (270, true) => transpose("clock_flip"),
        (_, false) => Vec::new(),
        (_, true) => vec![Filter::new("hflip")],
    }
}

/// What is done on the grid's frames, before they are split into rungs: the transparent are laid on
/// black, and colours that the output does not have are mapped to those it has, in the size of the
/// top rung `top`.
pub(super) fn frame_grid_filters(picture: Picture, top: &VideoRendition) -> Vec<Filter> {
    let mut filters = Vec::new();
    if picture.flatten {
        // Colour times opacity is that colour on black. The pictures stay RGB or YUV, as they were.
        filters.extend([
            Filter::new("format").value("yuva444p10le|gbrap10le"),
            Filter::new("premultiply").arg("inplace", 1),
            Filter::new("format").value("yuv444p10le|gbrp10le"),
        ]);
    }

    if !picture.color.is_scaled() {
        filters.extend(conversion_filters(picture.color, top));
    }

    filters
}

/// Scales to the size of `top` and converts. Frames are tagged with what was decided first, since
/// the converter refuses those of which a tag is missing; and they are even and YUV by then, which
/// it wants as well.
fn conversion_filters(color: SourceColor, top: &VideoRendition) -> Vec<Filter> {
    // A matrix the scaler does not know is that of pictures in YUV, which it need not touch.
    let scaler = scaler_name(color.matrix).unwrap_or("bt709");
    let even = || Filter::new("format").value("yuv420p10le");
    let mut filters = vec![
        scale_filter(top, scaler, scaler),
        even(),
        color_tag_filter(
            primaries_name(color.primaries),
            transfer_name(color.transfer),
            matrix_name(color.matrix),
        ),
    ];

    let zscale = || Filter::new("zscale");
    if color.transfer.is_high_dynamic_range() {
        filters.extend([
            zscale().arg("t", "linear").arg("npl", 100),
            Filter::new("format").value("gbrpf32le"),
            zscale().arg("p", "bt709"),
            Filter::new("tonemap")
                .arg("tonemap", "hable")
                .arg("desat", 0),
            zscale().arg("t", "bt709").arg("m", "bt709").arg("r", "tv"),
        ]);
    } else {
        filters.push(
            zscale()
                .arg("m", "bt709")
                .arg("t", "bt709")
                .arg("p", "bt709")
                .arg("r", "tv"),
        );
    }

    filters.push(even());
    filters
}

/// To the size of a rendition in limited range, from one matrix to another, by the scaler's names.
fn scale_filter(rendition: &VideoRendition, from: &str, to: &str) -> Filter {
    Filter::new("scale")
        .value(rendition.width)
        .value(rendition.height)
        .arg("flags", "bicubic")
        .arg("in_color_matrix", from)
        .arg("out_color_matrix", to)
        .arg("out_range", "tv")
}

/// Tags frames of limited range with their colours.
fn color_tag_filter(primaries: &str, transfer: &str, matrix: &str) -> Filter {
    Filter::new("setparams")
        .arg("range", "tv")
        .arg("color_primaries", primaries)
        .arg("color_trc", transfer)
        .arg("colorspace", matrix)
}

/// A matrix as tags and the converter call it.
const fn matrix_name(matrix: Matrix) -> &'static str {
    match matrix {
        Matrix::Bt709 => "bt709",
        Matrix::Bt601 => "smpte170m",
        Matrix::Fcc => "fcc",
        Matrix::Smpte240m => "smpte240m",
        Matrix::Ycgco => "ycgco",
        Matrix::Bt2020nc => "bt2020nc",
        Matrix::Bt2020c => "bt2020c",
        Matrix::Ictcp => "ictcp",
    }
}

/// A matrix as the scaler calls it; nothing where it knows none such.
const fn scaler_name(matrix: Matrix) -> Option<&'static str> {
    match matrix {
        Matrix::Bt709 => Some("bt709"),
        Matrix::Bt601 => Some("bt601"),
        Matrix::Fcc => Some("fcc"),
        Matrix::Smpte240m => Some("smpte240m"),
        Matrix::Bt2020nc => Some("bt2020"),
        Matrix::Ycgco | Matrix::Bt2020c | Matrix::Ictcp => None,
    }
}

const fn transfer_name(transfer: Transfer) -> &'static str {
    match transfer {
        Transfer::Bt709 => "bt709",
        Transfer::Linear => "linear",
        Transfer::Log100 => "log100",
        Transfer::Log316 => "log316",
        Transfer::Pq => "smpte2084",
        Transfer::Hlg => "arib-std-b67",
    }
}

const fn primaries_name(primaries: Primaries) -> &'static str {
    match primaries {
        Primaries::Bt709 => "bt709",
        Primaries::Bt470m => "bt470m",
        Primaries::Bt470bg => "bt470bg",
        Primaries::Smpte170m => "smpte170m",
        Primaries::Film => "film",
        Primaries::Bt2020 => "bt2020",
        Primaries::Smpte428 => "smpte428",
        Primaries::Smpte431 => "smpte431",
        Primaries::Smpte432 => "smpte432",
        // Older versions know no other name for it.
        Primaries::Ebu3213 => "jedec-p22",
    }
}

/// The matrix of the frames that come out of [`frame_grid_filters`], as the scaler calls it.
pub(super) fn matrix(picture: Picture) -> &'static str {
    let kept = scaler_name(picture.color.matrix).filter(|_| picture.color.is_scaled());
    kept.unwrap_or("bt709")
}

/// From the grid's frames to those of a rung. `setparams` tags frames, which all versions of ffmpeg
/// pass on to the encoder.
pub(super) fn rung_filters(picture: Picture, rendition: &VideoRendition) -> [Filter; 4] {
    [
        scale_filter(rendition, matrix(picture), "bt709"),
        Filter::new("setsar").value(1),
        Filter::new("format").value(&rendition.pixel_format),
        color_tag_filter("bt709", "bt709", "bt709"),
    ]
}
