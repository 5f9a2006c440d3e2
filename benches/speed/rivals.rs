//! A job compared with other ways to make the same ladder, each on all cores: the old worker's
//! procedure, and shaka-streamer as it is shipped.

use std::path::Path;
use std::time::Instant;

use storage::ObjectKind;
use streams::FactKind;

use crate::harness::clip::Clip;
use crate::harness::database::Engine;
use crate::harness::process::{command, output_of, tool};
use crate::harness::world::World;
use crate::page::Section;
use crate::timing::{fact, median, ready, seconds, stop, uploaded};
use crate::{machine, source};

/// Runs of each, in turns.
const RUNS: usize = 2;

/// Seconds between two polls of the old worker: on average, an upload waits half of that.
const POLL: f64 = 10.0;

/// The old ladder: height, size, bits per second.
const OLD: [(u32, &str, &str); 3] = [
    (1080, "1920:1080", "5000k"),
    (720, "1280:720", "3000k"),
    (480, "854:480", "1500k"),
];

/// One run of fluxhls.
#[derive(Clone, Copy)]
struct Ours {
    playable: f64,
    whole: f64,
}

pub(crate) async fn run() -> Section {
    machine::pin_ourselves("0,1").await;
    let world = World::new(Engine::Sqlite).await;
    let clip = source::full(60).await;
    let (mut ours, mut olds, mut shakas) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..RUNS {
        let own = own(&world, &clip, run).await;
        let old = old(&world, &clip).await;
        let shaka = shaka(&clip).await;
        eprintln!(
            "rivals: ours {:.1} s, playable {:.1} s; old {old:.1} s; shaka {shaka:.1} s",
            own.whole, own.playable
        );
        ours.push(own);
        olds.push(old);
        shakas.push(shaka);
    }
    let ratio = |theirs: &[f64]| {
        median(
            ours.iter()
                .zip(theirs)
                .map(|(own, theirs)| theirs / own.whole),
        )
    };
    let sooner = |theirs: &[f64]| {
        median(
            ours.iter()
                .zip(theirs)
                .map(|(own, theirs)| theirs / own.playable),
        )
    };
    let text = format!(
        "| | complete output after, s | fluxhls is faster by | first playable after, s | fluxhls is sooner by |\n|---|---:|---:|---:|---:|\n\
         | fluxhls, `standard` | {:.1} | | {:.1} | |\n\
         | old worker | {:.1} | **{:.2} x** | {:.1} | **{:.1} x** |\n\
         | shaka-streamer 1.5.1 | {:.1} | **{:.2} x** | {:.1} | **{:.1} x** |\n\n\
         The old worker encodes three rungs with x264 `medium` at fixed rates. They take a fifth more bytes than those of `standard`, and their VMAF is \
         higher by about one ([quality](quality.md)). Its time includes {:.0} s, the mean wait for its next poll. shaka-streamer writes the four rungs of \
         `standard` to the local disk; it uses x264 `slow`, which cannot be changed.\n",
        median(ours.iter().map(|own| own.whole)),
        median(ours.iter().map(|own| own.playable)),
        median(olds.iter().copied()),
        ratio(&olds),
        median(olds.iter().copied()),
        sooner(&olds),
        median(shakas.iter().copied()),
        ratio(&shakas),
        median(shakas.iter().copied()),
        sooner(&shakas),
        POLL / 2.0,
    );
    Section {
        name: "rivals",
        title: "Compared with other systems",
        text,
    }
}

async fn own(world: &World, clip: &Clip, run: usize) -> Ours {
    let worker = ready(world.worker(&format!("rivals-{run}"))).await;
    let job = world.submit(clip).await;
    let ended = fact(world, &job, FactKind::Ended).await;
    let begun = uploaded(world, &job).await;
    let playable = fact(world, &job, FactKind::Playable).await;
    stop(worker).await;
    Ours {
        playable: seconds(begun, playable),
        whole: seconds(begun, ended),
    }
}

/// Download, three rungs in one ffmpeg, then one upload after the other, each file whole in memory.
async fn old(world: &World, clip: &Clip) -> f64 {
    let key = world.upload(clip).await;
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let bytes = world.bucket.get(&key, u64::MAX).await.unwrap().unwrap();
    let source = folder.path().join("source.mp4");
    tokio::fs::write(&source, bytes).await.unwrap();
    let output = folder.path().join("out");
    std::fs::create_dir(&output).unwrap();
    output_of(
        command("ffmpeg")
            .current_dir(&output)
            .args(old_arguments(&source)),
    )
    .await;
    for entry in std::fs::read_dir(&output).unwrap() {
        let path = entry.unwrap().path();
        let bytes = tokio::fs::read(&path).await.unwrap();
        let key = format!("old/{}", path.file_name().unwrap().to_string_lossy());
        let kind = ObjectKind::private("video/MP2T");
        world.bucket.put(&key, bytes.into(), kind).await.unwrap();
    }
    begun.elapsed().as_secs_f64() + POLL / 2.0
}

fn old_arguments(source: &Path) -> Vec<String> {
    let split: String = (0..OLD.len()).map(|i| format!("[s{i}]")).collect();
    let scaled: String = OLD
        .iter()
        .enumerate()
        .map(|(i, (_, size, _))| format!(";[s{i}]scale={size}[v{i}]"))
        .collect();
    let mut args = words("-hide_banner -nostdin -y -v error -i");
    args.push(source.display().to_string());
    args.extend([
        "-filter_complex".to_owned(),
        format!("[0:v]split={}{split}{scaled}", OLD.len()),
    ]);
    for (i, (_, _, rate)) in OLD.iter().enumerate() {
        args.extend(words(&format!(
            "-map [v{i}] -c:v:{i} libx264 -preset medium -b:v:{i} {rate}"
        )));
    }
    args.extend(words("-map 0:a -map 0:a -map 0:a -c:a aac -b:a 128k"));
    let streams = (0..OLD.len())
        .map(|i| format!("v:{i},a:{i}"))
        .collect::<Vec<_>>()
        .join(" ");
    args.extend(["-var_stream_map".to_owned(), streams]);
    args.extend(words("-f hls -hls_time 6 -hls_playlist_type vod -master_pl_name master.m3u8 -hls_segment_filename %v_%03d.ts %v.m3u8"));
    args
}

/// shaka-streamer with its own binaries; the rungs and rates of `standard`.
async fn shaka(clip: &Clip) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    let inputs = [("video", 0), ("audio", 0)].map(|(kind, track)| {
        let path = clip.path.display();
        format!("  - name: {path}\n    media_type: {kind}\n    track_num: {track}\n")
    });
    write("input.yaml", format!("inputs:\n{}", inputs.concat()));
    write(
        "pipeline.yaml",
        "streaming_mode: vod\nresolutions: [1080p, 720p, 480p, 360p]\naudio_codecs: [aac]\nvideo_codecs: [h264]\n\
         manifest_format: [hls]\nsegment_size: 4\nsegment_per_file: true\nquiet: true\n"
            .to_owned(),
    );
    let begun = Instant::now();
    let mut streamer = command(tool("python"));
    let script = tool("shaka-streamer");
    streamer.current_dir(folder.path()).arg(script).args([
        "-i",
        "input.yaml",
        "-p",
        "pipeline.yaml",
        "-o",
        "output",
    ]);
    output_of(&mut streamer).await;
    let seconds = begun.elapsed().as_secs_f64();
    let made = std::fs::read_dir(folder.path().join("output"))
        .unwrap()
        .count();
    assert!(made > 0, "shaka-streamer made nothing");
    seconds
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}
