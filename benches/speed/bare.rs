//! The fastest possible command line: one ffmpeg that writes the same ladder with the same settings
//! to the local disk. It checks nothing, makes no poster and no previews, and its output cannot be
//! played before it ends.

use std::path::Path;
use std::time::Instant;

use ffmpeg::Input;
use ffmpeg::argv::{Options, video_chunk};
use streams::fact::Planned;

use crate::harness::process::{command, output_of};

/// Wall and processor seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) wall: f64,
    pub(crate) processor: f64,
}

/// Runs it on these cores.
pub(crate) async fn run(plan: &Planned, source: &Path, cores: &str) -> Taken {
    let folder = tempfile::tempdir().unwrap();
    for rendition in &plan.renditions {
        std::fs::create_dir(folder.path().join(rendition.name().as_str())).unwrap();
    }
    let times = folder.path().join("times");
    let begun = Instant::now();
    let mut time = command("taskset");
    time.current_dir(folder.path())
        .args(["-c", cores, "/usr/bin/time", "-f", "%U %S", "-o"])
        .arg(&times)
        .arg("ffmpeg")
        .args(arguments(plan, source));
    output_of(&mut time).await;
    let wall = begun.elapsed().as_secs_f64();
    let times = std::fs::read_to_string(times).unwrap();
    Taken {
        wall,
        processor: times
            .split_whitespace()
            .map(|seconds| seconds.parse::<f64>().unwrap())
            .sum(),
    }
}

/// The encoders' and muxers' own arguments of the program, behind the simplest graph that feeds
/// them.
fn arguments(plan: &Planned, source: &Path) -> Vec<String> {
    let mut whole = plan.clone();
    let video = whole.video.as_mut().unwrap();
    video.chunks = vec![0];
    let input = Input::file(source);
    let ours = video_chunk(&whole, 0, &input, Options::default()).unwrap();
    let rungs: Vec<_> = whole.videos().collect();
    let mut args: Vec<String> = words("-hide_banner -nostdin -y -v error -i");
    args.push(source.display().to_string());
    let splits: String = (0..rungs.len()).map(|i| format!("[s{i}]")).collect();
    let scaled = rungs.iter().enumerate().map(|(i, rung)| {
        format!(
            "[s{i}]scale={}:{}:flags=bicubic,setsar=1,format=yuv420p[v{i}]",
            rung.width, rung.height
        )
    });
    let graph: Vec<String> = std::iter::once(format!("[0:v:0]split={}{splits}", rungs.len()))
        .chain(scaled)
        .collect();
    args.extend(["-filter_complex".to_owned(), graph.join(";")]);
    for i in 0..rungs.len() {
        let begin = ours
            .iter()
            .position(|arg| *arg == format!("[v{i}]"))
            .unwrap()
            - 1;
        let end = ours[begin + 1..]
            .iter()
            .position(|arg| arg == "-map")
            .unwrap()
            + begin
            + 1;
        args.extend(ours[begin..end].iter().cloned());
    }
    for audio in whole.audios() {
        let name = &audio.name;
        args.extend(words(&format!(
            "-map 0:{} -c:a aac -b:a {} -ac {} -f hls -hls_segment_type fmp4 -hls_time 4 -hls_playlist_type vod -hls_segment_filename {name}/%d.m4s {name}/index.m3u8",
            audio.track, audio.bitrate, audio.channels
        )));
    }
    args
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}
