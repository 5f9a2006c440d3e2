//! Filters that make the source's picture what the output is: progressive, square pixels, 8-bit BT.709 in limited range, tagged so.

use streams::plan::{Picture, SourceColor, VideoRendition};

/// What is done on the source's own frames, before they are counted. Interlaced sources give one frame for each pair of fields.
pub(super) const fn before_the_grid(picture: Picture) -> &'static str {
    if picture.deinterlace {
        "bwdif=mode=send_frame:deint=all,"
    } else {
        ""
    }
}

/// What is done on the grid's frames, before they are split into rungs. High dynamic range is mapped to the standard one.
pub(super) fn on_the_grid(picture: Picture) -> String {
    let transfer = match picture.color {
        SourceColor::Bt601 | SourceColor::Bt709 | SourceColor::Bt2020 => return String::new(),
        SourceColor::Pq => "smpte2084",
        SourceColor::Hlg => "arib-std-b67",
    };
    format!(
        ",zscale=min=bt2020nc:tin={transfer}:pin=bt2020:t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,\
         tonemap=tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv420p"
    )
}

/// The matrix of the frames that come out of [`on_the_grid`], as the scaler calls it.
pub(super) const fn matrix(picture: Picture) -> &'static str {
    match picture.color {
        SourceColor::Bt601 => "bt601",
        SourceColor::Bt2020 => "bt2020",
        SourceColor::Bt709 | SourceColor::Pq | SourceColor::Hlg => "bt709",
    }
}

/// From the grid's frames to those of a rung. `setparams` tags frames, which all versions of ffmpeg pass on to the encoder.
pub(super) fn rung(picture: Picture, rendition: &VideoRendition) -> String {
    format!(
        "scale={}:{}:flags=bicubic:in_color_matrix={}:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p,\
         setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709",
        rendition.width,
        rendition.height,
        matrix(picture)
    )
}
