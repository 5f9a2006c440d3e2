//! The options of a video encoder, pinned by the plan: two chunks of one rendition must not differ in anything a decoder is set up by.

use streams::plan::VideoRendition;

use super::words;

/// Capped constant quality, one closed GOP after the other on the grid, no scene cuts.
pub(super) fn args(rendition: &VideoRendition) -> Vec<String> {
    let VideoRendition {
        encoder,
        preset,
        profile,
        crf,
        maxrate,
        bufsize,
        gop_frames: gop,
        ..
    } = rendition;
    let mut args = words(&format!(
        "-c:v {encoder} -preset {preset} -profile:v {profile} -crf {crf} -maxrate {maxrate} -bufsize {bufsize} -g {gop} -keyint_min {gop}"
    ));
    args.extend(if encoder == "libx265" {
        // x265 opens its GOPs by default, and players know the parameter sets of `hvc1` from the init segment.
        words(&format!(
            "-tag:v hvc1 -x265-params scenecut=0:open-gop=0:keyint={gop}:min-keyint={gop}:info=0:log-level=warning"
        ))
    } else {
        words("-sc_threshold 0")
    });
    args.extend(words("-flags:v +bitexact"));
    args
}
