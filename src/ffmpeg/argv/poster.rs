//! The poster: one picture out of the first chunk's frames, without another pass over the source.

use streams::plan::{Planned, VideoPlan, VideoRendition};

use super::picture::matrix;
use super::words;

/// The file the poster is written to, in the folder ffmpeg runs in.
pub const POSTER: &str = "poster.jpg";

/// Longest side of the poster, in pixels.
const LONGEST: u32 = 1280;

/// The filters from the label `sp`, the grid's frames, to the label `poster`. Of about two frames a second the black ones are
/// dropped, and of the others the most typical one is taken; the first frame of all follows it, for chunks that are black
/// throughout: newer versions of ffmpeg fail where an output gets no frame. JPEG files are full-range BT.601 (JFIF).
pub(super) fn filters(planned: &Planned, video: &VideoPlan) -> Option<String> {
    let (width, height) = size(planned.videos().next()?);
    let step = (video.frame_rate.as_f64() / 2.0).round().max(1.0);
    Some(format!(
        "[sp]framestep={step},scale={width}:{height}:flags=bicubic:in_color_matrix={}:out_color_matrix=bt601:out_range=pc,\
         setsar=1,format=yuvj420p,split=2[typical][any];\
         [typical]blackframe=amount=0,metadata=mode=select:key=lavfi.blackframe.pblack:value=95:function=less,thumbnail=n=24[best];\
         [any]trim=end_frame=1[first];[best][first]concat=n=2[poster]",
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
