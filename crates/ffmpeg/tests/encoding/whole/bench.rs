//! One source on its way to being output: probe, plan, encode every chunk over HTTP, gate, write
//! playlists, and let other programs judge the result.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ffmpeg::testing::{Server, ask, make, tool};
use ffmpeg::{
    End, Exit, Limits, ProbeLimits, ProgressUpdate, ResourceLimits, Run, SandboxPolicy, argv,
    probe, run, surplus_segments,
};
use media::cmaf::{self, FragmentInfo, GateFailure, InitInfo};
use media::ladder::{self, Pin, Profile, Settings};
use media::playlist::{
    AudioMedia, AudioStream, Bandwidth, MediaPlaylist, MediaSegment, Multivariant, Variant,
};
use streams::fact::Head;
use streams::plan::{Planned, VideoRendition};
use streams::upload::Priority;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// One source while it is encoded, in its own folder.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) server: Server,
    pub(crate) planned: Planned,
    /// Match hash of each rendition's init segment.
    inits: BTreeMap<String, String>,
}

impl Bench {
    pub(crate) async fn of(name: &str, args: &str) -> Self {
        Self::by(Profile::standard(), name, args).await
    }

    pub(crate) async fn by(profile: Profile, name: &str, args: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = make(folder.path(), name, args).await;
        Self::plan(folder, &source, profile).await
    }

    pub(crate) async fn plan(folder: tempfile::TempDir, source: &Path, profile: Profile) -> Self {
        let server = Server::of(source).await;
        let probe = probe(&tool(), &server.input, &ProbeLimits::default())
            .await
            .unwrap();

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
            limits: media::ladder::Limits::default(),
            fleet: 1,
        };

        let head = Head::new("j".parse().unwrap(), "f".parse().unwrap());
        let planned = ladder::plan(head, &probe, pin, &settings, "test").unwrap();
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

    pub(crate) async fn run(&self, args: &[String]) -> ProgressUpdate {
        let (exit, tick) = self.try_run(args).await;
        assert_eq!(exit.end, End::Finished, "{}", exit.stderr_tail);
        tick
    }

    pub(crate) async fn try_run(&self, args: &[String]) -> (Exit, ProgressUpdate) {
        let (tool, stop, ticks) = (
            tool(),
            CancellationToken::new(),
            watch::Sender::new(ProgressUpdate::default()),
        );
        let exit = run(Run {
            tool: &tool,
            args,
            policy: SandboxPolicy::new(ResourceLimits::readback())
                .workdir(self.folder.path())
                .allow_input(&self.server.input),
            limits: Limits::new(Duration::from_secs(300)),
            stop: &stop,
            external_work: &|| 0,
            ticks: &ticks,
        });
        let exit = exit.await.unwrap();
        (exit, ticks.borrow().to_owned())
    }

    pub(crate) fn chunk_args(&self, chunk: u32) -> Vec<String> {
        argv::video_chunk(
            &self.planned,
            chunk,
            &self.server.input,
            argv::Options::default(),
        )
        .unwrap()
    }

    pub(crate) fn path(&self, rendition: &str) -> PathBuf {
        self.folder.path().join(rendition)
    }

    pub(crate) fn init(&self, rendition: &str) -> InitInfo {
        InitInfo::parse(&std::fs::read(self.path(rendition).join(argv::INIT_FILE)).unwrap())
            .unwrap()
    }

    /// The segments of a rendition that are there, from `first` on.
    pub(crate) fn segments(&self, rendition: &str, first: u32) -> Vec<(u32, FragmentInfo, u64)> {
        let defaults = self.init(rendition).defaults;
        (first..)
            .map_while(|n| {
                let bytes = std::fs::read(self.path(rendition).join(argv::segment_file(n))).ok()?;
                Some((
                    n,
                    FragmentInfo::parse(&bytes, defaults).unwrap(),
                    bytes.len() as u64,
                ))
            })
            .collect()
    }

    pub(super) fn gate(&self, rendition: &VideoRendition, chunk: u32) -> Result<u64, GateFailure> {
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
    pub(crate) async fn encode_video(&mut self) {
        let chunks = self
            .planned
            .video
            .as_ref()
            .map_or(0, |video| video.chunks.len() as u32);
        for chunk in 0..chunks {
            let tick = self.run(&self.chunk_args(chunk)).await;
            let mut frames = Vec::new();
            let last = self.planned.segment.last();

            for rendition in self.planned.videos() {
                if self.planned.video.as_ref().unwrap().is_last(chunk) {
                    surplus_segments::join(&self.path(rendition.name.as_str()), last)
                        .await
                        .unwrap();
                }
                frames.push(self.gate(rendition, chunk).unwrap());

                let name = rendition.name.to_string();
                // One init segment serves all chunks, so that of each chunk has to match the first
                // one.
                let hash = self.init(&name).match_hash();
                assert_eq!(
                    *self.inits.entry(name).or_insert_with(|| hash.clone()),
                    hash,
                    "chunk {chunk}"
                );
            }

            // Progress counts the frames of the first output, which is the top rung.
            assert_eq!(tick.frames, frames[0]);
        }
    }

    async fn encode_sound(&self) {
        let Some(args) = argv::tracks(
            &self.planned,
            &self.server.input,
            argv::Options::default(),
            &argv::TrackSelection::default(),
        ) else {
            return;
        };

        self.run(&args).await;
        for rendition in self.planned.audios() {
            let name = rendition.name.as_str();
            surplus_segments::join(&self.path(name), self.planned.segment.last())
                .await
                .unwrap();
            let segments: Vec<_> = self
                .segments(name, 0)
                .into_iter()
                .map(|(n, info, _)| (n, info))
                .collect();
            cmaf::track(&self.planned, rendition, &self.init(name), &segments).unwrap();
        }
    }

    /// Writes the media playlist of a rendition.
    fn media(&self, name: &str) -> Bandwidth {
        let target_duration = self.planned.segment.target_duration;
        let segments = self
            .segments(name, 0)
            .into_iter()
            .map(|(n, info, bytes)| MediaSegment {
                uri: argv::segment_file(n),
                duration: info.duration,
                bytes,
            });

        let playlist = MediaPlaylist {
            target_duration,
            timescale: self.init(name).timescale,
            init_uri: argv::INIT_FILE.to_owned(),
            segments: segments.collect(),
        };

        // An independent parser has to accept it as well.
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
            captions: self
                .planned
                .video
                .as_ref()
                .is_some_and(|video| video.picture.captions),
            ..Multivariant::default()
        }
        .to_string();

        hls_m3u8::MasterPlaylist::try_from(playlist.as_str()).unwrap();
        std::fs::write(self.path("master.m3u8"), playlist).unwrap();
    }

    /// Decodes everything, and looks at every time stamp.
    async fn judge(&self) {
        let (tool, folder) = (tool(), self.folder.path());
        // Without `-xerror` ffmpeg ends with exit code 0 in spite of errors.
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
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        let mut joined = std::fs::read(self.path(name).join(argv::INIT_FILE)).unwrap();
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
        // Packets come in the order in which they are decoded.
        times.sort_unstable();

        let steps: BTreeSet<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(steps.len() <= 1, "{name}: {steps:?}");
        assert_eq!(times[0], 0, "{name}");
    }

    pub(crate) async fn whole(&mut self) {
        self.encode_video().await;
        self.encode_sound().await;
        self.write_playlists();
        self.judge().await;
    }
}
