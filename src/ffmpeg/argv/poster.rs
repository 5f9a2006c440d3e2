//! The poster: one picture out of the first chunk's frames, without another pass over the source.

use streams::plan::{Planned, VideoPlan, VideoRendition};

use super::picture::matrix;
use super::words;

/// The file the poster is written to, in the folder ffmpeg runs in. It may be missing after a run that finished: a chunk of black
/// frames has no poster.
pub const POSTER: &str = "poster.jpg";

/// Longest side of the poster, in pixels.
const LONGEST: u32 = 1280;

/// The filters from the grid's frames to the poster: of about two frames a second the black ones are dropped, and of the others the
/// most typical one is taken. JPEG files are full-range BT.601 (JFIF).
pub(super) fn filters(planned: &Planned, video: &VideoPlan) -> Option<String> {
    let (width, height) = size(planned.videos().next()?);
    let step = (video.frame_rate.as_f64() / 2.0).round().max(1.0);
    Some(format!(
        "framestep={step},scale={width}:{height}:flags=bicubic:in_color_matrix={}:out_color_matrix=bt601:out_range=pc,setsar=1,format=yuvj420p,\
         blackframe=amount=0,metadata=mode=select:key=lavfi.blackframe.pblack:value=95:function=less,thumbnail=n=48",
        matrix(video.picture)
    ))
}

/// The output options of the poster.
pub(super) fn args() -> Vec<String> {
    let mut args = words(
        "-map [poster] -frames:v 1 -c:v mjpeg -q:v 4 -map_metadata -1 -fflags +bitexact -flags:v +bitexact -f image2 -update 1",
    );
    args.push(POSTER.to_owned());
    args
}

fn size(top: &VideoRendition) -> (u32, u32) {
    let longest = top.width.max(top.height);
    if longest <= LONGEST {
        return (top.width, top.height);
    }
    let even = |side: u32| (side * LONGEST / longest / 2 * 2).max(2);
    (even(top.width), even(top.height))
}
