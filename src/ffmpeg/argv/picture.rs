//! Filters that make the source's picture what the output is: upright, progressive, square pixels, BT.709 in limited range, tagged so.

use streams::Rational;
use streams::plan::{FieldOrder, Picture, Primaries, Source, SourceColor, VideoPlan, VideoRendition};

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
    filters + turned(picture) + "sidedata=mode=delete:type=DISPLAYMATRIX,"
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
    // Width over height as shown; the share by which a shape may be off before bars are put beside it.
    let aspect = format!("({width}*{}/{height}/{})", believed.num(), believed.den());
    let narrow = format!("if(gte(dar,{aspect}*0.99),{width},min({width},2*round({width}*dar/{aspect}/2)))");
    let flat = format!("if(lte(dar,{aspect}*1.01),{height},min({height},2*round({height}*{aspect}/dar/2)))");
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
    if let Some(colors) = Colors::foreign(picture) {
        filters += &colors.converted(top);
    }
    filters
}

/// Colours the output does not have.
struct Colors {
    /// Matrix coefficients.
    matrix: &'static str,
    /// The same, as the scaler calls them.
    scaler: &'static str,
    primaries: &'static str,
    transfer: &'static str,
    high_dynamic_range: bool,
}

impl Colors {
    /// The source's colours, where more than the matrix tells them from the output's.
    fn foreign(picture: Picture) -> Option<Self> {
        let (matrix, scaler) = match picture.color {
            SourceColor::Bt601 => ("smpte170m", "bt601"),
            SourceColor::Bt709 => ("bt709", "bt709"),
            SourceColor::Bt2020 | SourceColor::Pq | SourceColor::Hlg => ("bt2020nc", "bt2020"),
        };
        let primaries = match (picture.color, picture.primaries) {
            (SourceColor::Bt2020 | SourceColor::Pq | SourceColor::Hlg, _) | (_, Primaries::Bt2020) => "bt2020",
            (_, Primaries::Bt470bg) => "bt470bg",
            (_, Primaries::Smpte170m) => "smpte170m",
            (_, Primaries::Bt709) => return None,
        };
        let transfer = match picture.color {
            SourceColor::Pq => "smpte2084",
            SourceColor::Hlg => "arib-std-b67",
            SourceColor::Bt601 | SourceColor::Bt709 | SourceColor::Bt2020 => "bt709",
        };
        Some(Self {
            matrix,
            scaler,
            primaries,
            transfer,
            high_dynamic_range: transfer != "bt709",
        })
    }

    /// Scales to the size of `top` and converts. Frames are tagged with what was decided first, since the converter refuses those of
    /// which a tag is missing; and they are even and YUV by then, which it wants as well.
    fn converted(&self, top: &VideoRendition) -> String {
        let Self {
            matrix,
            scaler,
            primaries,
            transfer,
            ..
        } = self;
        let convert = if self.high_dynamic_range {
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
}

/// The matrix of the frames that come out of [`on_the_grid`], as the scaler calls it.
pub(super) fn matrix(picture: Picture) -> &'static str {
    if picture.color == SourceColor::Bt601 && Colors::foreign(picture).is_none() {
        "bt601"
    } else {
        "bt709"
    }
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
