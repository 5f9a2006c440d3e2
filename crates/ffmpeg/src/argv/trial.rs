//! A few pictures of our own through an encoder, to nowhere.

use streams::plan::VideoRendition;

use super::{encoder, words};

/// The arguments that show whether the encoder of `rendition` works, by the exit code.
#[must_use]
pub fn trial(rendition: &VideoRendition) -> Vec<String> {
    let mut args = words("-hide_banner -nostdin -v error");
    args.extend(encoder::device(rendition));
    args.extend(words(&format!(
        "-f lavfi -i color=gray:s={}x{}:r=25 -frames:v {} -vf format={}{}",
        rendition.width,
        rendition.height,
        rendition.gop_frames,
        rendition.pixel_format,
        encoder::upload(rendition)
    )));
    args.extend(encoder::args(rendition));
    args.extend(words("-f null -"));
    args
}
