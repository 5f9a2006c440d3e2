//! Filters that make the source's picture what the output is: upright, progressive, square pixels, BT.709 in limited range, tagged so.

use streams::Rational;
use streams::plan::{FieldOrder, Matrix, Picture, Primaries, Source, SourceColor, Transfer, VideoPlan, VideoRendition};

use super::words;

/// The options of the input itself. We turn pictures ourselves, since a display matrix need not be a quarter turn; the graph is not
/// made anew where the source changes its size on the way, since that would forget which frame is next; and only libvpx's own decoders
/// know of transparency.
pub(super) fn input_options(source: &Source, video: &VideoPlan) -> Vec<String> {
    let mut args = words("-noautorotate -reinit_filter 0");
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
        args.extend(words(&format!("-c:{} {decoder}", video.track)));
    }
    args
}

/// What is done on the source's own frames, before they are counted: all are fitted into the planned size and shape (which costs nothing
/// where they have it), fields become frames, and the picture is turned upright.
pub(super) fn before_the_grid(picture: Picture) -> String {
    let mut filters = String::new();
    // Newer versions scale nothing that is tagged with a matrix they do not know.
    if picture.color.approximated || scaler_name(picture.color.matrix).is_none() {
        filters += "setparams=colorspace=bt709,";
    }
    if picture.width > 0 && picture.height > 0 {
        filters += &fitted(picture);
    }
    if picture.deinterlace {
        let mode = if picture.field_rate { "send_field" } else { "send_frame" };
        let parity = match picture.field_order {
            FieldOrder::Flagged => "auto",
            FieldOrder::Top => "tff",
            FieldOrder::Bottom => "bff",
        };
        filters += &format!("bwdif=mode={mode}:parity={parity}:deint=all,");
    }
    // Newer versions would carry the source's display matrix on to the output, where it would turn the picture once more.
    filters += turned(picture);
    filters += "sidedata=mode=delete:type=DISPLAYMATRIX,";
    // Some encoders write the captions that come with frames into the stream, others do not, and their defaults change.
    if !picture.captions {
        filters += "sidedata=mode=delete:type=A53_CC,";
    }
    filters
}

/// Makes pictures as large as they can be within the planned ones, in their own shape, and puts bars beside them. The size is reckoned anew for
/// each frame, since the filter graph is not made anew when a source changes on its way.
fn fitted(picture: Picture) -> String {
    let (width, height) = (picture.width, picture.height);
    let believed = picture.pixel_aspect.unwrap_or(Rational::whole(1));
    let square = if picture.pixel_aspect.is_some() {
        ""
    } else {
        "setsar=1,"
    };
    // Width over height as shown; the share by which a shape may be off before bars are put beside it: those of a pixel or two are none.
    let off = 0.01_f64.max(4.0 / f64::from(width.min(height)));
    let (least, most) = (1.0 - off, 1.0 + off);
    let stored = Rational::new(width.into(), height.into()).unwrap_or(believed);
    let shown = stored.checked_mul(believed).unwrap_or(stored);
    let aspect = format!("({}/{})", shown.num(), shown.den());
    let narrow = format!("if(gte(dar,{aspect}*{least:.2}),{width},min({width},2*round({width}*dar/{aspect}/2)))");
    let flat = format!("if(lte(dar,{aspect}*{most:.2}),{height},min({height},2*round({height}*{aspect}/dar/2)))");
    format!("{square}scale=w='{narrow}':h='{flat}':flags=bicubic:eval=frame,pad={width}:{height}:-1:-1:eval=frame,")
}

const fn turned(picture: Picture) -> &'static str {
    match (picture.turn, picture.mirror) {
        (90, false) => "transpose=clock,",
        (90, true) => "transpose=cclock_flip,",
        (180, false) => "hflip,vflip,",
        (180, true) => "vflip,",
        (270, false) => "transpose=cclock,",
        (270, true) => "transpose=clock_flip,",
        (_, false) => "",
        (_, true) => "hflip,",
    }
}

/// What is done on the grid's frames, before they are split into rungs: the transparent are laid on black, and colours that the output
/// does not have are mapped to those it has, in the size of the top rung `top`.
pub(super) fn on_the_grid(picture: Picture, top: &VideoRendition) -> String {
    let mut filters = String::new();
    if picture.flatten {
        // Colour times opacity is that colour on black. The pictures stay RGB or YUV, as they were.
        filters += ",format=yuva444p10le|gbrap10le,premultiply=inplace=1,format=yuv444p10le|gbrp10le";
    }
    if !picture.color.is_scaled() {
        filters += &converted(picture.color, top);
    }
    filters
}

/// Scales to the size of `top` and converts. Frames are tagged with what was decided first, since the converter refuses those of
/// which a tag is missing; and they are even and YUV by then, which it wants as well.
fn converted(color: SourceColor, top: &VideoRendition) -> String {
    // A matrix the scaler does not know is that of pictures in YUV, which it need not touch.
    let (matrix, scaler) = (matrix_name(color.matrix), scaler_name(color.matrix).unwrap_or("bt709"));
    let (primaries, transfer) = (primaries_name(color.primaries), transfer_name(color.transfer));
    let convert = if color.transfer.is_high_dynamic_range() {
        "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv"
    } else {
        "zscale=m=bt709:t=bt709:p=bt709:r=tv"
    };
    format!(
        ",scale={}:{}:flags=bicubic:in_color_matrix={scaler}:out_color_matrix={scaler}:out_range=tv,format=yuv420p10le,\
         setparams=range=tv:color_primaries={primaries}:color_trc={transfer}:colorspace={matrix},{convert},format=yuv420p10le",
        top.width, top.height
    )
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

/// The matrix of the frames that come out of [`on_the_grid`], as the scaler calls it.
pub(super) fn matrix(picture: Picture) -> &'static str {
    let kept = scaler_name(picture.color.matrix).filter(|_| picture.color.is_scaled());
    kept.unwrap_or("bt709")
}

/// From the grid's frames to those of a rung. `setparams` tags frames, which all versions of ffmpeg pass on to the encoder.
pub(super) fn rung(picture: Picture, rendition: &VideoRendition) -> String {
    format!(
        "scale={}:{}:flags=bicubic:in_color_matrix={}:out_color_matrix=bt709:out_range=tv,setsar=1,format={},\
         setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709",
        rendition.width,
        rendition.height,
        matrix(picture),
        rendition.pixel_format
    )
}
