//! The options of a video encoder, pinned by the plan: two chunks of one rendition must not differ
//! in anything a decoder is set up by.
//!
//! Each is asked for constant quality under a cap, with one closed GOP after the other on the grid
//! and no key frames elsewhere. The scale of hardware encoders is not that of x264: the factor of
//! the profile is given as it is (`VideoToolbox`: turned round), and a profile for one wants
//! numbers of its own. What hardware makes was never looked at here: there is none in the tests.

use streams::plan::VideoRendition;

use super::filter::Filter;
use super::split_words;

/// The device VAAPI encodes on.
const VAAPI_DEVICE: &str = "/dev/dri/renderD128";

/// How strongly x264 moves bits from detail to flat parts. Its own strength is 1; at this one,
/// which x264 itself takes for animation, VMAF is 0.4 higher at equal bytes (`docs/quality.md` says
/// on which clips).
const AQ_STRENGTH: f64 = 0.6;

/// The options of the output.
pub(crate) fn args(rendition: &VideoRendition) -> Vec<String> {
    let VideoRendition {
        encoder,
        preset,
        subme,
        profile,
        maxrate,
        bufsize,
        gop_frames: gop,
        ..
    } = rendition;

    let mut args = split_words(&format!("-c:v {encoder}"));
    if !preset.is_empty() {
        args.extend(split_words(&format!("-preset {preset}")));
    }
    if let Some(subme) = subme {
        args.extend(split_words(&format!("-subq {subme}")));
    }

    args.extend(split_words(&format!("-profile:v {profile}")));
    args.extend(split_words(&quality_args(rendition)));
    args.extend(split_words(&format!(
        "-maxrate {maxrate} -bufsize {bufsize} -g {gop} -keyint_min {gop}"
    )));
    args.extend(split_words(&closed_gop_args(encoder, *gop)));

    // Players know the parameter sets of `hvc1` from the init segment (ISO/IEC 14496-15).
    if encoder.starts_with("hevc") {
        args.extend(split_words("-tag:v hvc1"));
    }

    args.extend(split_words("-flags:v +bitexact"));
    args
}

/// How the encoder is asked for constant quality.
fn quality_args(rendition: &VideoRendition) -> String {
    let VideoRendition {
        crf,
        maxrate,
        encoder,
        ..
    } = rendition;
    match encoder_family(encoder) {
        "nvenc" => format!("-tune hq -rc vbr -cq {crf} -b:v 0"),
        // Quality-defined variable bit rate wants a target, too: two thirds of the cap.
        "qsv" => format!("-global_quality {crf:.0} -b:v {}", maxrate * 2 / 3),
        "vaapi" => format!(
            "-rc_mode QVBR -global_quality {crf:.0} -b:v {}",
            maxrate * 2 / 3
        ),
        // From 1, worst, to 100.
        "videotoolbox" => format!("-q:v {:.0}", (100.0 - crf * 100.0 / 51.0).clamp(1.0, 100.0)),
        _ => format!("-crf {crf}"),
    }
}

/// How the encoder is told to close its GOPs and to begin none between them.
fn closed_gop_args(encoder: &str, gop: u32) -> String {
    match encoder_family(encoder) {
        "nvenc" => "-no-scenecut 1 -forced-idr 1 -strict_gop 1".to_owned(),
        "qsv" => "-forced_idr 1 -idr_interval 0 -adaptive_i 0".to_owned(),
        "vaapi" => "-idr_interval 0".to_owned(),
        "videotoolbox" => "-allow_sw 0 -realtime 0".to_owned(),
        // x265 opens its GOPs by default, and players know the parameter sets of `hvc1` from the
        // init segment. Its psychovisual options keep grain by spending a third of the bits on it.
        "libx265" => format!(
            "-tag:v hvc1 -x265-params scenecut=0:open-gop=0:keyint={gop}:min-keyint={gop}:info=0:log-level=warning:psy-rd=0:psy-rdoq=0"
        ),
        "libx264" => format!("-sc_threshold 0 -aq-strength {AQ_STRENGTH}"),
        _ => "-sc_threshold 0".to_owned(),
    }
}

/// What runs the encoder: the part of its name behind the codec, or all of it.
fn encoder_family(encoder: &str) -> &str {
    encoder
        .strip_prefix("h264_")
        .or_else(|| encoder.strip_prefix("hevc_"))
        .unwrap_or(encoder)
}

/// Whether the encoder runs on a device of the machine.
#[must_use]
pub fn needs_device(rendition: &VideoRendition) -> bool {
    matches!(
        encoder_family(&rendition.encoder),
        "nvenc" | "qsv" | "vaapi"
    )
}

/// The options that open the encoder's device, before any input.
pub(crate) fn device_args(rendition: &VideoRendition) -> Vec<String> {
    match encoder_family(&rendition.encoder) {
        "vaapi" => split_words(&format!("-vaapi_device {VAAPI_DEVICE}")),
        _ => Vec::new(),
    }
}

/// The filters from planar frames to what the encoder takes.
pub(crate) fn upload_filters(rendition: &VideoRendition) -> Vec<Filter> {
    let nv12 = || Filter::new("format").value("nv12");
    match encoder_family(&rendition.encoder) {
        "vaapi" => vec![nv12(), Filter::new("hwupload")],
        "qsv" => vec![nv12()],
        _ => Vec::new(),
    }
}
