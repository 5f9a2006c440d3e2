//! A few short windows of a source, encoded at every rung and compared with each other.

use streams::plan::{Source, VideoPlan, VideoRendition};

use super::{picture, words};
use crate::input::Input;

/// The file the sizes of all packets are written to, as ffmpeg's framecrc muxer writes them.
pub const SIZES: &str = "sizes";

/// Frames of a window: one group of pictures.
pub const FRAMES: u32 = 8;

/// Frames from one compared frame to the next.
const COMPARED: u32 = 3;

/// The file the likeness of rung `i` to the next lower one is written to, as ffmpeg's ssim filter writes it.
#[must_use]
pub fn likeness_file(i: usize) -> String {
    format!("likeness-{i}")
}

/// The arguments that sample `video` from `input` at `times`, in seconds from the start of the container. Each window begins with the
/// key frame at or before its time, so that nothing is decoded in vain, and is one group of pictures of its own.
///
/// The preset is the fastest that has the tools the real ones have; the processor time it took is the last line of the log.
#[must_use]
pub fn sample(
    source: &Source,
    video: &VideoPlan,
    rungs: &[&VideoRendition],
    times: &[f64],
    input: &Input,
) -> Vec<String> {
    let mut args = words("-hide_banner -nostdin -y -v info -benchmark -progress pipe:1 -nostats");
    for time in times {
        // So few pictures are decoded no sooner by more threads, which would take memory for each window.
        args.extend(words("-noaccurate_seek -threads 1 -ss"));
        args.push(format!("{time:.6}"));
        args.extend(picture::input_options(source, video));
        args.extend(input.args());
    }
    args.extend(["-filter_complex".to_owned(), graph(video, rungs, times.len())]);
    for i in 0..rungs.len() {
        args.extend(words(&format!("-map [v{i}]")));
    }
    args.extend(words(&format!(
        "-fps_mode passthrough -c:v libx264 -preset superfast -g {FRAMES} -keyint_min {FRAMES} -sc_threshold 0"
    )));
    for (i, rung) in rungs.iter().enumerate() {
        args.extend([format!("-crf:{i}"), crf(rung).to_string()]);
    }
    args.extend(words(&format!("-f framecrc {SIZES}")));
    for i in 0..rungs.len().saturating_sub(1) {
        args.extend(words(&format!("-map [l{i}] -f null -")));
    }
    args
}

/// The factors of other encoders are on other scales: there the sample tells what an H.264 encode of usual quality would need.
fn crf(rung: &VideoRendition) -> f64 {
    if rung.encoder == "libx264" { rung.crf } else { 22.0 }
}

/// Windows, one after the other, to the labels `v<i>` of the rungs and `l<i>` of the comparisons of a rung with the next lower one.
fn graph(video: &VideoPlan, rungs: &[&VideoRendition], windows: usize) -> String {
    let cut = |i: usize| {
        format!(
            "[{i}:{}]{}setpts=PTS-STARTPTS,fps={},trim=end_frame={FRAMES}[w{i}];",
            video.track,
            picture::before_the_grid(video.picture),
            video.frame_rate
        )
    };
    let labels = |name: &str, count: usize| (0..count).map(|i| format!("[{name}{i}]")).collect::<String>();
    let last = rungs.len().saturating_sub(1);
    let mut graph: String = (0..windows).map(cut).collect();
    graph += &format!(
        "{}concat=n={windows}{},split={}{}",
        labels("w", windows),
        rungs
            .first()
            .map_or_else(String::new, |top| picture::on_the_grid(video.picture, top)),
        rungs.len(),
        labels("s", rungs.len())
    );
    for (i, rung) in rungs.iter().enumerate() {
        // `a` is compared as the higher rung, `b` as the lower one.
        let compared = [
            (i < last).then(|| format!("[a{i}]")),
            (i > 0).then(|| format!("[b{i}]")),
        ];
        let outputs: String = compared.into_iter().flatten().collect();
        graph += &format!(
            ";[s{i}]{},format=yuv420p,split={}[v{i}]{outputs}",
            picture::rung(video.picture, rung),
            1 + usize::from(i < last) + usize::from(i > 0)
        );
    }
    for (i, pair) in rungs.windows(2).enumerate() {
        graph += &format!(
            ";[a{i}]framestep={COMPARED}[c{i}];[b{}]framestep={COMPARED},scale={}:{}:flags=bicubic[d{i}];[c{i}][d{i}]ssim=stats_file={}[l{i}]",
            i + 1,
            pair[0].width,
            pair[0].height,
            likeness_file(i)
        );
    }
    graph
}
