//! A few short windows of a source, encoded at every rung and compared with each other.

use streams::plan::{Source, VideoPlan, VideoRendition};

use super::filter::{Chain, Filter, Graph};
use super::{picture, split_words};
use crate::input::Input;

/// The file the sizes of all packets are written to, as ffmpeg's framecrc muxer writes them.
pub const PACKET_SIZES_FILE: &str = "sizes";

/// Frames of a window: one group of pictures.
pub const WINDOW_FRAMES: u32 = 8;

/// Frames from one compared frame to the next.
const COMPARISON_STEP_FRAMES: u32 = 3;

/// The file the likeness of rung `i` to the next lower one is written to, as ffmpeg's ssim filter
/// writes it.
#[must_use]
pub fn likeness_file(i: usize) -> String {
    format!("likeness-{i}")
}

/// The arguments that sample `video` from `input` at `times`, in seconds from the start of the
/// container. Each window begins with the key frame at or before its time, so that nothing is
/// decoded in vain, and is one group of pictures of its own.
///
/// The preset is the fastest that has the tools the real ones have; the processor time it took is
/// the last line of the log.
#[must_use]
pub fn sample(
    source: &Source,
    video: &VideoPlan,
    rungs: &[&VideoRendition],
    times: &[f64],
    input: &Input,
) -> Vec<String> {
    let mut args =
        split_words("-hide_banner -nostdin -y -v info -benchmark -progress pipe:1 -nostats");

    for time in times {
        // So few pictures are decoded no sooner by more threads, which would take memory for each
        // window.
        args.extend(split_words("-noaccurate_seek -threads 1 -ss"));
        args.push(format!("{time:.6}"));
        args.extend(picture::input_options(source, video));
        args.extend(input.args());
    }

    args.extend(sample_graph(video, rungs, times.len()).args());
    for i in 0..rungs.len() {
        args.extend(split_words(&format!("-map [v{i}]")));
    }
    args.extend(split_words(&format!(
        "-fps_mode passthrough -c:v libx264 -preset superfast -g {WINDOW_FRAMES} -keyint_min {WINDOW_FRAMES} -sc_threshold 0"
    )));
    for (i, rung) in rungs.iter().enumerate() {
        args.extend([format!("-crf:{i}"), crf(rung).to_string()]);
    }

    args.extend(split_words(&format!("-f framecrc {PACKET_SIZES_FILE}")));
    // A label that is mapped nowhere is an error, so the comparisons end in an output that keeps
    // nothing.
    for i in 0..rungs.len().saturating_sub(1) {
        args.extend(split_words(&format!("-map [l{i}] -f null -")));
    }
    args
}

/// The factors of other encoders are on other scales: there the sample tells what an H.264 encode
/// of usual quality would need.
fn crf(rung: &VideoRendition) -> f64 {
    if rung.encoder == "libx264" {
        rung.crf
    } else {
        22.0
    }
}

/// Windows, one after the other, to the labels `v<i>` of the rungs and `l<i>` of the comparisons of
/// a rung with the next lower one.
fn sample_graph(video: &VideoPlan, rungs: &[&VideoRendition], windows: usize) -> Graph {
    let labels = |name: &str, count: usize| -> Vec<String> {
        (0..count).map(|i| format!("{name}{i}")).collect()
    };
    let mut graph = Graph::default();

    for (i, window) in labels("w", windows).iter().enumerate() {
        graph.push(
            Chain::of_stream(i, video.track)
                .then_all(picture::input_filters(video.picture))
                .then(Filter::new("setpts").value("PTS-STARTPTS"))
                .then(Filter::new("fps").value(video.frame_rate))
                .then(Filter::new("trim").arg("end_frame", WINDOW_FRAMES))
                .output(window),
        );
    }

    let top = rungs.first();
    let conversion = top.map(|top| picture::frame_grid_filters(video.picture, top));
    graph.push(
        Chain::of_labels(labels("w", windows))
            .then(Filter::new("concat").arg("n", windows))
            .then_all(conversion.unwrap_or_default())
            .split("split", &labels("s", rungs.len())),
    );

    let last = rungs.len().saturating_sub(1);
    for (i, rung) in rungs.iter().enumerate() {
        // `a` is compared as the higher rung, `b` as the lower one.
        let mut copies = vec![format!("v{i}")];
        copies.extend((i < last).then(|| format!("a{i}")));
        copies.extend((i > 0).then(|| format!("b{i}")));
        graph.push(
            Chain::of_label(format!("s{i}"))
                .then_all(picture::rung_filters(video.picture, rung))
                .then(Filter::new("format").value("yuv420p"))
                .split("split", &copies),
        );
    }

    for (i, pair) in rungs.windows(2).enumerate() {
        compare_with_lower_rung(&mut graph, i, pair[0]);
    }
    graph
}

/// Compares some frames of rung `i`, whose size is that of `higher`, with those of the next lower
/// one.
fn compare_with_lower_rung(graph: &mut Graph, i: usize, higher: &VideoRendition) {
    let some = || Filter::new("framestep").value(COMPARISON_STEP_FRAMES);
    let enlarge = Filter::new("scale")
        .value(higher.width)
        .value(higher.height)
        .arg("flags", "bicubic");
    let ssim = Filter::new("ssim").arg("stats_file", likeness_file(i));

    let (ours, below) = (format!("c{i}"), format!("d{i}"));
    graph.push(Chain::of_label(format!("a{i}")).then(some()).output(&ours));
    graph.push(
        Chain::of_label(format!("b{}", i + 1))
            .then(some())
            .then(enlarge)
            .output(&below),
    );
    graph.push(
        Chain::of_labels([ours, below])
            .then(ssim)
            .output(format!("l{i}")),
    );
}
