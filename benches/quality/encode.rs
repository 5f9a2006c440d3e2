//! Encoding a clip: by the product's own plan and command lines, and by the system it replaces.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use ffmpeg::{Input, ProbeLimits, argv, probe, sample};
use media::ladder::{self, Pin, Profile, Settings, per_title};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use streams::fact::Head;
use streams::plan::{Planned, VideoRendition};
use streams::upload::Priority;

use super::clips::words;
use super::run::Bench;

/// What came out of one encode of one clip.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Encoded {
    /// Processor seconds of ffmpeg.
    pub(crate) cpu: f64,
    /// The rungs, from the top down.
    pub(crate) rungs: Vec<Scored>,
}

impl fmt::Display for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} CPU s", self.cpu)?;
        for rung in &self.rungs {
            write!(
                f,
                ", {}: {:.2} at {:.2} MB",
                rung.height,
                rung.vmaf,
                rung.bytes as f64 / 1e6
            )?;
        }
        Ok(())
    }
}

/// One rung of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Scored {
    /// Lines.
    pub(crate) height: u32,
    /// Bytes of all its objects.
    pub(crate) bytes: u64,
    /// Mean VMAF at the source's size.
    pub(crate) vmaf: f64,
}

/// Lines, size and rate of the rungs of the old worker, which had neither caps nor a key frame
/// grid.
const OLD: [(u32, &str, &str); 3] = [
    (1080, "1920:1080", "5000k"),
    (720, "1280:720", "3000k"),
    (480, "854:480", "1500k"),
];

/// The plan of a clip, as the plan stage makes it before sampling.
pub(crate) async fn plan(bench: &Bench, clip: &Path, profile: Profile) -> Result<Planned> {
    let probe = probe(&bench.tool, &Input::file(clip), &ProbeLimits::default()).await?;
    let pin = Pin {
        bucket: "bench".to_owned(),
        key: "clip".to_owned(),
        etag: "1".to_owned(),
        size: clip.metadata()?.len(),
    };
    let settings = Settings {
        profile,
        priority: Priority::Normal,
        limits: media::ladder::Limits::default(),
        fleet: 1,
    };
    let head = Head::new("bench".parse()?, "bench".parse()?);
    Ok(ladder::plan(head, &probe, pin, &settings, "bench")?)
}

/// The plan fitted to the content of the clip.
pub(crate) async fn per_title(bench: &Bench, clip: &Path, plan: Planned) -> Result<Planned> {
    let folder = tempfile::tempdir_in(&bench.folder)?;
    let samples = sample(&bench.tool, &Input::file(clip), folder.path(), &plan).await?;
    Ok(per_title::refine(plan, &samples))
}

/// Encodes the video of a plan chunk by chunk, as workers do.
pub(crate) async fn encode(bench: &Bench, clip: &Path, planned: Planned) -> Result<Encoded> {
    let chunks = planned
        .video
        .as_ref()
        .context("a clip has video")?
        .chunks
        .len();
    let input = Input::file(clip);
    let args = (0..u32::try_from(chunks)?)
        .map(|chunk| argv::video_chunk(&planned, chunk, &input, argv::Options::default()));
    let args = args
        .collect::<Option<Vec<_>>>()
        .context("the plan has no such chunk")?;
    cached(bench, &args.concat(), clip, async |folder| {
        for rendition in planned.videos() {
            std::fs::create_dir(folder.join(rendition.name.as_str()))?;
        }
        let mut cpu = 0.0;
        for args in &args {
            cpu += bench.ffmpeg(args, folder).await?;
        }
        let mut rungs = Vec::new();
        for rendition in planned.videos() {
            let bytes = join(&planned, rendition, folder)?;
            let vmaf = bench.vmaf(&folder.join("joined.mp4"), clip, folder).await?;
            rungs.push(Scored {
                height: rendition.height,
                bytes,
                vmaf,
            });
        }
        Ok(Encoded { cpu, rungs })
    })
    .await
}

/// Writes a rendition's objects one after the other into `joined.mp4`; returns their bytes.
fn join(planned: &Planned, rendition: &VideoRendition, folder: &Path) -> Result<u64> {
    let of = folder.join(rendition.name.as_str());
    let mut joined = std::fs::read(of.join(argv::INIT_FILE))?;
    let video = planned.video.as_ref().context("a clip has video")?;
    for n in 0..u32::try_from(video.frames.div_ceil(u64::from(video.segment_frames)))? {
        joined.extend(std::fs::read(of.join(argv::segment_file(n)))?);
    }
    std::fs::write(folder.join("joined.mp4"), &joined)?;
    Ok(joined.len() as u64)
}

/// Encodes a clip as the old worker did.
pub(crate) async fn old(bench: &Bench, clip: &Path) -> Result<Encoded> {
    let split: String = (0..OLD.len()).map(|i| format!("[s{i}]")).collect();
    let scaled = OLD.iter().enumerate();
    let scaled: String = scaled
        .map(|(i, (_, size, _))| format!(";[s{i}]scale={size}[v{i}]"))
        .collect();
    let mut args = words("-hide_banner -nostdin -y -v error -progress pipe:1 -nostats -i");
    args.push(clip.display().to_string());
    args.extend([
        "-filter_complex".to_owned(),
        format!("[0:v]split={}{split}{scaled}", OLD.len()),
    ]);
    for (i, (height, _, rate)) in OLD.iter().enumerate() {
        args.extend(words(&format!(
            "-map [v{i}] -c:v libx264 -preset medium -b:v {rate} {height}.mp4"
        )));
    }
    cached(bench, &args, clip, async |folder| {
        let cpu = bench.ffmpeg(&args, folder).await?;
        let mut rungs = Vec::new();
        for (height, ..) in OLD {
            let file = folder.join(format!("{height}.mp4"));
            rungs.push(Scored {
                height,
                bytes: file.metadata()?.len(),
                vmaf: bench.vmaf(&file, clip, folder).await?,
            });
        }
        Ok(Encoded { cpu, rungs })
    })
    .await
}

/// The result of `encode` for these arguments and this clip, from an earlier run if there was one.
async fn cached(
    bench: &Bench,
    args: &[String],
    clip: &Path,
    encode: impl AsyncFnOnce(&Path) -> Result<Encoded>,
) -> Result<Encoded> {
    let mut hash = Sha256::new();
    for arg in args {
        hash.update(arg.as_bytes());
        hash.update([0]);
    }
    hash.update(std::fs::read(clip)?);
    let key: String = hash
        .finalize()
        .iter()
        .take(12)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let file = bench.folder.join(format!("{key}.json"));
    if let Ok(text) = std::fs::read(&file) {
        return Ok(serde_json::from_slice(&text)?);
    }
    let folder = tempfile::tempdir_in(&bench.folder)?;
    let encoded = encode(folder.path()).await?;
    std::fs::write(file, serde_json::to_vec(&encoded)?)?;
    Ok(encoded)
}
