//! The media half as a whole, on real media: probe, plan, encode every chunk over HTTP, gate, write playlists, and let other programs
//! judge the result.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use streams::fact::Head;
use streams::plan::{Planned, VideoRendition};
use streams::upload::Priority;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::testing::{Server, ask, make, tool};
use super::{Allowance, Confinement, End, Exit, Limits, ProbeLimits, Run, Tick, argv, probe, run};
use crate::cmaf::{self, FragmentInfo, GateFailure, InitInfo};
use crate::ladder::{self, Pin, Profile, Settings};
use crate::playlist::{AudioMedia, AudioStream, Bandwidth, MediaPlaylist, MediaSegment, Multivariant, Variant};

/// One source on its way to being output, in a folder of its own.
pub(super) struct Bench {
    pub(super) folder: tempfile::TempDir,
    pub(super) server: Server,
    pub(super) planned: Planned,
    /// Match hash of each rendition's init segment.
    inits: BTreeMap<String, String>,
}

impl Bench {
    pub(super) async fn of(name: &str, args: &str) -> Self {
        Self::by(Profile::standard(), name, args).await
    }

    pub(super) async fn by(profile: Profile, name: &str, args: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = make(folder.path(), name, args).await;
        Self::plan(folder, &source, profile).await
    }

    pub(super) async fn plan(folder: tempfile::TempDir, source: &Path, profile: Profile) -> Self {
        let server = Server::of(source).await;
        let probe = probe(&tool(), &server.input, &ProbeLimits::default()).await.unwrap();
        // Coarse, but with reordered frames: what is tested is where frames lie, not how they look.
        let profile = Profile {
            preset: "superfast".to_owned(),
            ..profile
        };
        let pin = Pin {
            bucket: "b".to_owned(),
            key: "k".to_owned(),
            etag: "e".to_owned(),
            size: 1,
        };
        let settings = Settings {
            profile,
            priority: Priority::Normal,
            limits: crate::ladder::Limits::default(),
        };
        let draft = ladder::plan(&probe, pin, &settings, "test").unwrap();
        let planned = draft.into_planned(Head::new("j".parse().unwrap(), "f".parse().unwrap()));
        for rendition in &planned.renditions {
            std::fs::create_dir(folder.path().join(rendition.name().as_str())).unwrap();
        }
        Self {
            folder,
            server,
            planned,
            inits: BTreeMap::new(),
        }
    }

    pub(super) async fn run(&self, args: &[String]) -> Tick {
        let (exit, tick) = self.try_run(args).await;
        assert_eq!(exit.end, End::Finished, "{}", exit.stderr_tail);
        tick
    }

    pub(super) async fn try_run(&self, args: &[String]) -> (Exit, Tick) {
        let (tool, stop, ticks) = (tool(), CancellationToken::new(), watch::Sender::new(Tick::default()));
        let exit = run(Run {
            tool: &tool,
            args,
            confinement: Confinement::new(Allowance::readback())
                .in_folder(self.folder.path())
                .reading(&self.server.input),
            limits: Limits::new(Duration::from_secs(300)),
            stop: &stop,
            external_work: &|| 0,
            ticks: &ticks,
        });
        let exit = exit.await.unwrap();
        (exit, ticks.borrow().to_owned())
    }

    pub(super) fn chunk_args(&self, chunk: u32) -> Vec<String> {
        argv::video_chunk(&self.planned, chunk, &self.server.input, argv::Options::default()).unwrap()
    }

    pub(super) fn path(&self, rendition: &str) -> PathBuf {
        self.folder.path().join(rendition)
    }

    pub(super) fn init(&self, rendition: &str) -> InitInfo {
        InitInfo::parse(&std::fs::read(self.path(rendition).join(argv::INIT)).unwrap()).unwrap()
    }

    /// The segments of a rendition that are there, from `first` on.
    pub(super) fn segments(&self, rendition: &str, first: u32) -> Vec<(u32, FragmentInfo, u64)> {
        let defaults = self.init(rendition).defaults;
        (first..)
            .map_while(|n| {
                let bytes = std::fs::read(self.path(rendition).join(argv::segment_file(n))).ok()?;
                Some((n, FragmentInfo::parse(&bytes, defaults).unwrap(), bytes.len() as u64))
            })
            .collect()
    }

    fn gate(&self, rendition: &VideoRendition, chunk: u32) -> Result<u64, GateFailure> {
        let first = self.planned.video.as_ref().unwrap().chunks[chunk as usize];
        let name = rendition.name.as_str();
        let segments: Vec<_> = self
            .segments(name, first)
            .into_iter()
            .map(|(n, info, _)| (n, info))
            .collect();
        cmaf::video_chunk(&self.planned, rendition, chunk, &self.init(name), &segments)
    }

    /// Encodes every chunk, and gates it.
    pub(super) async fn encode_video(&mut self) {
        let chunks = self.planned.video.as_ref().map_or(0, |video| video.chunks.len() as u32);
        for chunk in 0..chunks {
            let tick = self.run(&self.chunk_args(chunk)).await;
            let mut frames = Vec::new();
            for rendition in self.planned.videos() {
                frames.push(self.gate(rendition, chunk).unwrap());
                let name = rendition.name.to_string();
                let hash = self.init(&name).match_hash();
                assert_eq!(
                    *self.inits.entry(name).or_insert_with(|| hash.clone()),
                    hash,
                    "chunk {chunk}"
                );
            }
            assert_eq!(tick.frames, frames[0]);
        }
    }

    async fn encode_sound(&self) {
        let Some(args) = argv::tracks(
            &self.planned,
            &self.server.input,
            argv::Options::default(),
            &argv::Choice::default(),
        ) else {
            return;
        };
        self.run(&args).await;
        for rendition in self.planned.audios() {
            let name = rendition.name.as_str();
            let segments: Vec<_> = self
                .segments(name, 0)
                .into_iter()
                .map(|(n, info, _)| (n, info))
                .collect();
            cmaf::track(rendition, &self.init(name), &segments).unwrap();
        }
    }

    /// Writes the media playlist of a rendition.
    fn media(&self, name: &str) -> Bandwidth {
        let target_duration = self.planned.segment.target_duration;
        let segments = self.segments(name, 0).into_iter().map(|(n, info, bytes)| MediaSegment {
            uri: argv::segment_file(n),
            duration: info.duration,
            bytes,
        });
        let playlist = MediaPlaylist {
            target_duration,
            timescale: self.init(name).timescale,
            init_uri: argv::INIT.to_owned(),
            segments: segments.collect(),
        };
        hls_m3u8::MediaPlaylist::try_from(playlist.to_string().as_str()).unwrap();
        std::fs::write(self.path(name).join("index.m3u8"), playlist.to_string()).unwrap();
        Bandwidth::measure(&playlist.segments, playlist.timescale, target_duration)
    }

    fn write_playlists(&self) {
        let uri = |name: &str| format!("{name}/index.m3u8");
        let variants = self.planned.videos().map(|rendition| Variant {
            uri: uri(rendition.name.as_str()),
            width: rendition.width,
            height: rendition.height,
            frame_rate: rendition.frame_rate,
            codecs: self.init(rendition.name.as_str()).codec.text,
            bandwidth: self.media(rendition.name.as_str()),
        });
        let audios = self.planned.audios().map(|rendition| AudioMedia {
            name: rendition.label.clone(),
            language: rendition.language.clone(),
            default: rendition.default,
            describes_video: rendition.describes_video,
            commentary: rendition.commentary,
            stereo: AudioStream {
                uri: uri(rendition.name.as_str()),
                channels: rendition.channels,
                codecs: self.init(rendition.name.as_str()).codec.text,
                bandwidth: self.media(rendition.name.as_str()),
            },
            surround: None,
        });
        let playlist = Multivariant {
            variants: variants.collect(),
            audios: audios.collect(),
            ..Multivariant::default()
        }
        .to_string();
        hls_m3u8::MasterPlaylist::try_from(playlist.as_str()).unwrap();
        std::fs::write(self.path("master.m3u8"), playlist).unwrap();
    }

    /// Decodes everything, and looks at every time stamp.
    async fn judge(&self) {
        let (tool, folder) = (tool(), self.folder.path());
        ask(
            &tool.ffmpeg,
            folder,
            "-v error -xerror -nostdin -i master.m3u8 -map 0 -f null -",
        )
        .await;
        let starts = ask(
            &tool.ffprobe,
            folder,
            "-v error -show_entries stream=start_time -of csv=p=0 master.m3u8",
        )
        .await;
        let starts: Vec<f64> = starts
            .lines()
            .filter_map(|line| line.trim_end_matches(',').parse().ok())
            .collect();
        assert!(
            !starts.is_empty() && starts.iter().all(|start| *start == 0.0),
            "{starts:?}"
        );
        for rendition in self.planned.videos() {
            self.judge_steps(rendition).await;
        }
    }

    /// A file of all segments of a rendition.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        let mut joined = std::fs::read(self.path(name).join(argv::INIT)).unwrap();
        for (n, ..) in self.segments(name, 0) {
            joined.extend(std::fs::read(self.path(name).join(argv::segment_file(n))).unwrap());
        }
        let file = self.path("joined.mp4");
        std::fs::write(&file, joined).unwrap();
        file
    }

    /// Every frame of a rendition is there, one step after the other, over all joints.
    async fn judge_steps(&self, rendition: &VideoRendition) {
        let name = rendition.name.as_str();
        self.join(name);
        let packets = ask(
            &tool().ffprobe,
            self.folder.path(),
            "-v error -select_streams v -show_entries packet=pts -of csv=p=0 joined.mp4",
        )
        .await;
        let mut times: Vec<i64> = packets
            .lines()
            .filter_map(|line| line.trim_end_matches(',').parse().ok())
            .collect();
        times.sort_unstable();
        let steps: BTreeSet<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(steps.len() <= 1, "{name}: {steps:?}");
        assert_eq!(times[0], 0, "{name}");
    }

    pub(super) async fn whole(&mut self) {
        self.encode_video().await;
        self.encode_sound().await;
        self.write_playlists();
        self.judge().await;
    }
}

fn pictures(rate: &str, seconds: u32) -> String {
    format!(
        "-f lavfi -i testsrc2=s=400x304:r={rate}:d={seconds} -f lavfi -i sine=f=440:d={seconds} -c:v libx264 -preset ultrafast -bf 2 -g 50 -c:a aac"
    )
}

#[tokio::test]
async fn chunks_of_usual_rates_join_without_a_trace() {
    for (rate, name) in [("25", "a.mp4"), ("30000/1001", "a.mkv"), ("24000/1001", "a.mp4")] {
        let mut bench = Bench::of(name, &pictures(rate, 34)).await;
        assert_eq!(bench.planned.video.as_ref().unwrap().chunks, [0, 3, 6], "{rate}");
        bench.whole().await;
    }
}

#[tokio::test]
async fn chunks_of_h265_join_without_a_trace() {
    let hevc = Profile::named("hevc").unwrap();
    let mut bench = Bench::by(hevc, "a.mp4", &pictures("25", 34)).await;
    assert_eq!(bench.planned.video.as_ref().unwrap().chunks, [0, 3, 6]);
    bench.whole().await;
    let top = bench.planned.videos().next().unwrap().name.to_string();
    assert!(bench.init(&top).codec.text.starts_with("hvc1."));
}

#[tokio::test]
async fn fast_sources_are_halved_on_the_same_grid() {
    let mut bench = Bench::of("a.mp4", &pictures("60000/1001", 34)).await;
    let rates: Vec<String> = bench
        .planned
        .videos()
        .map(|rendition| rendition.frame_rate.to_string())
        .collect();
    assert_eq!(rates, ["30000/1001"]);
    bench.whole().await;
}

#[tokio::test]
async fn a_source_without_an_index_is_one_chunk_with_every_frame() {
    let mut bench = Bench::of("a.ts", &pictures("25", 34)).await;
    assert_eq!(bench.planned.video.as_ref().unwrap().chunks, [0]);
    bench.whole().await;
}

#[tokio::test]
async fn sound_that_begins_first_moves_zero_and_the_first_picture_fills_the_gap() {
    let args = "-itsoffset 1.5 -f lavfi -i testsrc2=s=160x120:r=25:d=6 -f lavfi -i sine=d=7 -c:v libx264 -preset ultrafast -c:a aac";
    let mut bench = Bench::of("a.mkv", args).await;
    let video = bench.planned.video.as_ref().unwrap();
    assert!((187..=189).contains(&video.frames), "{}", video.frames);
    bench.whole().await;
}

#[tokio::test]
async fn sound_alone_plays() {
    let mut bench = Bench::of("a.mp3", "-f lavfi -i sine=d=9:r=44100").await;
    assert_eq!(bench.planned.video, None);
    bench.whole().await;
}

#[tokio::test]
async fn odd_turned_anamorphic_and_one_frame_sources_come_out_even_and_upright() {
    for (args, wanted) in [
        (
            "-f lavfi -i testsrc2=s=179x101:r=25:d=1 -c:v libx264 -pix_fmt yuv444p",
            (178, 100),
        ),
        (
            "-f lavfi -i testsrc2=s=180x144:r=25:d=1 -vf setsar=64/45 -c:v libx264",
            (256, 144),
        ),
        (
            "-f lavfi -i testsrc2=s=160x120:r=25 -frames:v 1 -c:v libx264",
            (160, 120),
        ),
        (
            "-f lavfi -i testsrc2=s=160x120:r=25:d=1 -vf tinterlace=interleave_top,fieldorder=tff -flags +ildct+ilme -c:v mpeg4",
            (160, 120),
        ),
    ] {
        let mut bench = Bench::of("a.mp4", args).await;
        let size = bench
            .planned
            .videos()
            .next()
            .map(|rendition| (rendition.width, rendition.height));
        assert_eq!(size, Some(wanted), "{args}");
        bench.whole().await;
    }
}

#[tokio::test]
async fn output_is_tagged_as_what_it_is() {
    let args = "-f lavfi -i testsrc2=s=160x120:r=25:d=1 -pix_fmt yuv420p10le -c:v libx265 -x265-params log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc";
    let mut bench = Bench::of("hdr.mp4", args).await;
    assert!(bench.planned.warnings.contains(&"tone_mapped".to_owned()));
    bench.whole().await;
    let entries = "-v error -show_entries stream=pix_fmt,color_range,color_space,color_transfer,color_primaries,profile -of csv=p=0 120p/index.m3u8";
    let said = ask(&tool().ffprobe, bench.folder.path(), entries).await;
    let line = said.lines().find(|line| !line.is_empty()).unwrap();
    assert_eq!(line.trim_end_matches(','), "High,yuv420p,tv,bt709,bt709,bt709");
}

#[tokio::test]
async fn all_languages_are_kept_and_lie_where_they_lay() {
    let args = "-f lavfi -i testsrc2=s=160x120:r=25:d=6 -f lavfi -i sine=d=6 -itsoffset 0.75 -f lavfi -i sine=d=5 \
                -map 0 -map 1 -map 2 -metadata:s:a:0 language=eng -metadata:s:a:1 language=ger -c:v libx264 -c:a aac";
    let mut bench = Bench::of("a.mkv", args).await;
    let languages: Vec<Option<String>> = bench.planned.audios().map(|audio| audio.language.clone()).collect();
    assert_eq!(languages, [Some("en".to_owned()), Some("de".to_owned())]);
    bench.whole().await;
}

/// A chunk 1 made with one argument of its command line changed.
async fn damaged(change: impl Fn(&str) -> String) -> Result<u64, GateFailure> {
    let bench = Bench::of("a.mp4", &pictures("25", 50)).await;
    let args: Vec<String> = bench.chunk_args(1).iter().map(|arg| change(arg)).collect();
    bench.run(&args).await;
    bench.gate(bench.planned.videos().next().unwrap(), 1)
}

#[tokio::test]
async fn lost_frames_and_a_shifted_chunk_are_caught_though_ffmpeg_finishes() {
    assert_eq!(damaged(str::to_owned).await, Ok(300));
    let lost = damaged(|arg| arg.replace("end_pts=300", "end_pts=299")).await;
    assert_eq!(
        lost,
        Err(GateFailure::Frames {
            found: 299,
            wanted: 300
        })
    );
    let hole = damaged(|arg| {
        arg.replace(
            "trim=start_pts=0:end_pts=300",
            "trim=start_pts=0:end_pts=300,select='not(eq(n,150))'",
        )
    })
    .await;
    assert!(hole.is_err(), "{hole:?}");
    let shifted = damaged(|arg| arg.replace("12.000000", "12.080000")).await;
    assert!(matches!(shifted, Err(GateFailure::Start { .. })), "{shifted:?}");
}

#[tokio::test]
async fn a_chunk_behind_the_end_of_its_source_is_caught_though_ffmpeg_finishes() {
    let mut bench = Bench::of("a.mp4", &pictures("25", 4)).await;
    let video = bench.planned.video.as_mut().unwrap();
    (video.frames, video.chunks) = (2000, vec![0, 4, 8]);
    bench.run(&bench.chunk_args(1)).await;
    let rendition = bench.planned.videos().next().unwrap();
    let folder = bench.path(rendition.name.as_str());
    // What ffmpeg leaves behind differs by version: no init segment, an init segment without a picture, or an empty segment.
    let init = std::fs::read(folder.join(argv::INIT)).unwrap_or_default();
    let segment = std::fs::read(folder.join(argv::segment_file(4))).unwrap_or_default();
    let read = InitInfo::parse(&init).and_then(|init| Ok((FragmentInfo::parse(&segment, init.defaults)?, init)));
    if let Ok((segment, init)) = read {
        cmaf::video_chunk(&bench.planned, rendition, 1, &init, &[(4, segment)]).unwrap_err();
    }
}
