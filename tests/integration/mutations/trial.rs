//! One file on the way every upload takes, up to its first chunk: first bytes, probe, plan, encode,
//! gate.

use std::path::Path;
use std::time::Duration;

use ffmpeg::argv::{self, Options};
use ffmpeg::{
    Input, Limits, ProbeLimits, ProgressUpdate, ResourceLimits, Run, SandboxPolicy, Tool, sniff,
};
use media::cmaf::{self, FragmentInfo, GateFailure, InitInfo};
use media::ladder::{self, Pin, Profiles, Settings};
use storage::{BlockCache, Bucket, ObjectKind, Source, SourceServer, SourceSettings};
use streams::Code;
use streams::fact::Head;
use streams::plan::Planned;
use streams::upload::Priority;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::harness::process::mentioning;

/// How far a file came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// Its first chunk, or its audio, was encoded and passed the gate.
    Sound,
    /// It was refused, or failed, with this word.
    Coded(&'static str),
}

/// Where files are tried.
pub(super) struct Bench {
    pub(super) bucket: Bucket,
    pub(super) tool: Tool,
}

impl Bench {
    /// Tries a file. A problem of the file ends in a code; a problem of fluxhls is an error.
    pub(super) async fn try_out(&self, key: &str, bytes: Vec<u8>) -> Result<Outcome, String> {
        let coded = |code: Code| Ok(Outcome::Coded(code.as_str()));
        let size = bytes.len() as u64;
        if let Some(code) = sniff::sniff(&bytes[..bytes.len().min(sniff::HEAD_BYTES)], size).code()
        {
            return coded(code);
        }
        let stored = self
            .bucket
            .put(key, bytes.into(), ObjectKind::private("video/mp4"))
            .await;
        let stored = stored.map_err(|error| error.to_string())?;
        let source = Source {
            bucket: self.bucket.clone(),
            key: key.to_owned(),
            etag: stored.etag,
            size,
        };
        let server = SourceServer::open(source, BlockCache::new(SourceSettings::default())).await;
        let server = server.map_err(|error| error.to_string())?;
        let outcome = self.follow(&Input::http(server.url()), size).await;
        if let Some(fault) = server.fault() {
            return Err(format!("a read of the source failed: {}", fault.error));
        }
        let left = mentioning(Path::new(server.url()));
        if !left.is_empty() {
            return Err(format!("these still run: {left:?}"));
        }
        match outcome? {
            Ok(()) => Ok(Outcome::Sound),
            Err(code) => coded(code),
        }
    }

    async fn follow(&self, input: &Input, size: u64) -> Result<Result<(), Code>, String> {
        let limits = ProbeLimits {
            look: Duration::from_secs(30),
            scan: Duration::from_secs(60),
            ..ProbeLimits::default()
        };
        let probe = match ffmpeg::probe(&self.tool, input, &limits).await {
            Ok(probe) => probe,
            Err(error) => return Ok(Err(error.code())),
        };
        let pin = Pin {
            bucket: "media".to_owned(),
            key: "key".to_owned(),
            etag: "etag".to_owned(),
            size,
        };
        let settings = Settings {
            profile: Profiles::shipped().get("fast").unwrap().clone(),
            priority: Priority::Normal,
            limits: ladder::Limits::default(),
            fleet: 1,
        };
        let head = Head::new("j".parse().unwrap(), "f".parse().unwrap());
        let planned = match ladder::plan(head, &probe, pin, &settings, "test") {
            Ok(planned) => planned,
            Err(refusal) => return Ok(Err(refusal.code)),
        };
        let folder = tempfile::tempdir().unwrap();
        for rendition in &planned.renditions {
            std::fs::create_dir(folder.path().join(rendition.name().as_str())).unwrap();
        }
        let options = Options {
            threads: Some(1),
            ..Options::default()
        };
        let args = match planned.video {
            Some(_) => argv::video_chunk(&planned, 0, input, options),
            None => argv::tracks(&planned, input, options, &argv::TrackSelection::default()),
        };
        // The service says so, too, where a plan has numbers no command line can be made of.
        let Some(args) = args else {
            return Ok(Err(Code::VerificationFailed));
        };
        // As the service confines it; no clip of these is longer.
        let resource_limits = match planned.video {
            Some(_) => ResourceLimits::chunk(&planned, 60.0, 1),
            None => ResourceLimits::tracks(&planned),
        };
        let policy = SandboxPolicy::new(resource_limits)
            .workdir(folder.path())
            .allow_input(input);
        self.encode(&args, policy, folder.path(), &planned).await
    }

    async fn encode(
        &self,
        args: &[String],
        policy: SandboxPolicy,
        folder: &Path,
        planned: &Planned,
    ) -> Result<Result<(), Code>, String> {
        let exit = ffmpeg::run(Run {
            tool: &self.tool,
            args,
            policy,
            limits: Limits::new(Duration::from_secs(90)),
            stop: &CancellationToken::new(),
            external_work: &|| 0,
            ticks: &watch::Sender::new(ProgressUpdate::default()),
        })
        .await;
        let exit = exit.map_err(|error| error.to_string())?;
        if let Some(code) = exit.code() {
            return Ok(Err(code));
        }
        for rendition in &planned.renditions {
            let joined = ffmpeg::surplus_segments::join(
                &folder.join(rendition.name().as_str()),
                planned.segment.last(),
            )
            .await;
            joined.map_err(|error| error.to_string())?;
        }
        Ok(gate(folder, planned).map_err(|_| Code::VerificationFailed))
    }
}

/// What prevents an encode from succeeding.
fn gate(folder: &Path, planned: &Planned) -> Result<(), String> {
    let said = |failure: GateFailure| failure.to_string();
    for rendition in planned.videos().filter(|_| planned.video.is_some()) {
        let (init, segments) = read(&folder.join(rendition.name.as_str()))?;
        cmaf::video_chunk(planned, rendition, 0, &init, &segments).map_err(said)?;
    }
    for rendition in planned.audios().filter(|_| planned.video.is_none()) {
        let (init, segments) = read(&folder.join(rendition.name.as_str()))?;
        cmaf::track(planned, rendition, &init, &segments).map_err(said)?;
    }
    Ok(())
}

fn read(folder: &Path) -> Result<(InitInfo, Vec<(u32, FragmentInfo)>), String> {
    let init = std::fs::read(folder.join(argv::INIT_FILE)).map_err(|error| error.to_string())?;
    let init = InitInfo::parse(&init).map_err(|error| error.to_string())?;
    let mut segments = Vec::new();
    while let Ok(bytes) = std::fs::read(folder.join(argv::segment_file(segments.len() as u32))) {
        let info = FragmentInfo::parse(&bytes, init.defaults).map_err(|error| error.to_string())?;
        segments.push((segments.len() as u32, info));
    }
    Ok((init, segments))
}
