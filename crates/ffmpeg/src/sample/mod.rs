//! Sampling a source: a few short windows, encoded at every rung of a plan in one supervised run.

use std::io;
use std::path::Path;
use std::time::Duration;

use media::ladder::per_title::{self, Measured, Samples};
use streams::plan::{Planned, Rendition, VideoRendition};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::argv::sample as argv;
use super::input::Input;
use super::process::{End, Limits, ProgressUpdate, Run, run};
use super::sandbox::{ResourceLimits, SandboxPolicy};
use super::tool::Tool;
use crate::cores;

/// A sample takes a second or two; one that takes longer than this is given up.
const SAMPLE_LIMITS: Limits = Limits {
    wall: Duration::from_secs(60),
    stall: Duration::from_secs(20),
};

/// Why there is no sample. None of these means that the source cannot be encoded: the plan is made
/// without a sample.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// It does not pay, or the source cannot be entered.
    #[error("{0}")]
    Unfit(String),
    /// ffmpeg did not start, or what it wrote cannot be read.
    #[error("No sample was taken: {0}.")]
    Broken(#[from] io::Error),
    /// ffmpeg did not finish successfully.
    #[error("No sample was taken: ffmpeg did not finish the sampled windows ({0:?}).")]
    Failed(End),
    /// Not every rung has a whole window.
    #[error("No sample was taken: the sampled windows have too few frames.")]
    TooShort,
}

/// Samples the source of a plan, for [`per_title::refine`], and leaves its files in `folder`, which
/// the caller removes. A failed read looks like a short source here: the caller must check its
/// source server for faults.
///
/// # Errors
/// [`SampleError`] when there is no sample; the plan is then to be made without, which
/// [`per_title::unsampled`] notes.
pub async fn sample(
    tool: &Tool,
    input: &Input,
    folder: &Path,
    plan: &Planned,
) -> Result<Samples, SampleError> {
    let times = per_title::windows(plan).map_err(SampleError::Unfit)?;
    let Some(video) = &plan.video else {
        return Err(SampleError::TooShort);
    };
    let rungs: Vec<&VideoRendition> = plan
        .renditions
        .iter()
        .filter_map(Rendition::video)
        .collect();

    let exit = run(Run {
        tool,
        args: &argv::sample(&plan.source, video, &rungs, &times, input),
        policy: SandboxPolicy::new(ResourceLimits::sample(
            (&plan.source, video),
            rungs.iter().copied(),
            (times.len(), SAMPLE_LIMITS.wall),
            cores(),
        ))
        .workdir(folder)
        .allow_input(input),
        limits: SAMPLE_LIMITS,
        stop: &CancellationToken::new(),
        external_work: &|| 0,
        ticks: &watch::Sender::new(ProgressUpdate::default()),
    })
    .await?;
    if exit.end != End::Finished {
        return Err(SampleError::Failed(exit.end));
    }

    let sizes = Sizes::parse(
        &std::fs::read_to_string(folder.join(argv::PACKET_SIZES_FILE))?,
        rungs.len(),
    );
    let measured = rungs.iter().enumerate().map(|(i, rung)| {
        let windows = sizes.windows(i, rung);
        let likeness = parse_ssim(&folder.join(argv::likeness_file(i)));
        (!windows.is_empty()).then_some(Measured { windows, likeness })
    });

    Ok(Samples {
        rungs: measured
            .collect::<Option<_>>()
            .ok_or(SampleError::TooShort)?,
        seconds: sizes.frames() as f64 / video.frame_rate.as_f64(),
        cpu_seconds: cpu_seconds(&exit.stderr_tail).unwrap_or(0.0),
    })
}

/// Bytes of every packet of every rung, in the order of decoding.
struct Sizes(Vec<Vec<u64>>);

impl Sizes {
    /// Reads what ffmpeg's framecrc muxer writes: stream, decode time, presentation time, duration,
    /// size, checksum.
    fn parse(text: &str, rungs: usize) -> Self {
        let mut sizes = vec![Vec::new(); rungs];

        for line in text.lines() {
            let mut fields = line.split(',').map(str::trim);
            let stream = fields.next().and_then(|field| field.parse::<usize>().ok());
            let size = fields.nth(3).and_then(|field| field.parse().ok());
            if let Some((rung, size)) = stream.and_then(|stream| sizes.get_mut(stream)).zip(size) {
                rung.push(size);
            }
        }

        Self(sizes)
    }

    fn frames(&self) -> usize {
        self.0.first().map_or(0, Vec::len)
    }

    /// Bits per second of each whole window of a rung. A window is shorter than a group of pictures
    /// of the plan: its key frame counts once, and its other frames as often as there are such.
    fn windows(&self, rung: usize, rendition: &VideoRendition) -> Vec<f64> {
        let windows = self.0.get(rung).map_or(&[][..], Vec::as_slice);
        let gop = f64::from(rendition.gop_frames.max(1));
        let windows = windows
            .chunks_exact(argv::WINDOW_FRAMES as usize)
            .map(|window| {
                let (key, others) = (window[0] as f64, window[1..].iter().sum::<u64>() as f64);
                let bytes = key + others * (gop - 1.0) / (window.len() - 1) as f64;
                bytes * 8.0 * rendition.frame_rate.as_f64() / gop
            });
        windows.collect()
    }
}

/// The likeness of each compared frame's luma, from what ffmpeg's ssim filter writes; none for the
/// lowest rung, which has no such file.
fn parse_ssim(file: &Path) -> Vec<f64> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let luma = |line: &str| {
        line.split_whitespace()
            .find_map(|field| field.strip_prefix("Y:")?.parse().ok())
    };
    text.lines().filter_map(luma).collect()
}

/// The processor time ffmpeg says at its end that it took.
fn cpu_seconds(log: &str) -> Option<f64> {
    let line = log
        .lines()
        .rev()
        .find(|line| line.starts_with("bench: utime="))?;
    let field = |name: &str| -> Option<f64> {
        let value = line
            .split_whitespace()
            .find_map(|field| field.strip_prefix(name))?;
        value.trim_end_matches('s').parse().ok()
    };
    Some(field("utime=")? + field("stime=")?)
}

#[cfg(test)]
mod tests;
