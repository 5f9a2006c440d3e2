//! Running ffmpeg, measuring its processor time, and scoring what it made.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ffmpeg::{End, Limits, ProgressUpdate, ResourceLimits, Run, SandboxPolicy, Tool};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::clips::{packages, words};

/// One frame in this many is scored.
const SCORED: u32 = 4;

/// Where everything is.
pub(crate) struct Bench {
    /// The ffmpeg that encodes, as in production.
    pub(crate) tool: Tool,
    /// An ffmpeg with libvmaf.
    judge: Tool,
    /// Clips, results and unfinished files.
    pub(crate) folder: PathBuf,
}

impl Bench {
    pub(crate) fn open() -> Result<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "a bench uses the tool of the developer's PATH"
        )]
        let path = std::env::var_os("PATH").unwrap_or_default();
        let tool = Tool::locate(None, None, &path)?;
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools");
        let judge = Tool {
            ffmpeg: tools.join("venv/bin/ffmpeg-vmaf"),
            ..tool.clone()
        };
        ensure!(
            judge.ffmpeg.exists(),
            "there is no ffmpeg with libvmaf: run `make bench-quality`"
        );
        let folder = tools.join("quality");
        std::fs::create_dir_all(&folder)?;
        Ok(Self {
            tool,
            judge,
            folder,
        })
    }

    /// Runs ffmpeg in `folder`; returns the processor seconds it took.
    pub(crate) async fn ffmpeg(&self, args: &[String], folder: &Path) -> Result<f64> {
        run(&self.tool, args, (folder, &self.folder)).await
    }

    /// Makes `file` by `args`, whole or not at all.
    pub(crate) async fn make(&self, args: Vec<String>, file: &Path) -> Result<()> {
        let part = file.with_extension("part.mp4");
        let mut all = words("-hide_banner -nostdin -y -v error -progress pipe:1 -nostats");
        all.extend(args);
        all.push(part.display().to_string());
        self.ffmpeg(&all, &self.folder).await?;
        Ok(std::fs::rename(part, file)?)
    }

    /// The mean VMAF of `file`, scaled up to the size of `source` as players do, against `source`.
    /// Frames are paired by number.
    pub(crate) async fn vmaf(&self, file: &Path, source: &Path, folder: &Path) -> Result<f64> {
        // Both get the same tags first: between different ones ffmpeg would convert.
        let same = "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709";
        let graph = format!(
            "[0:v]{same},scale=1920:1080:flags=bicubic,format=yuv420p,setpts=N/25/TB,settb=1/25[a];\
             [1:v]{same},format=yuv420p,setpts=N/25/TB,settb=1/25[b];\
             [a][b]libvmaf=n_threads=2:n_subsample={SCORED}:log_fmt=json:log_path=vmaf.json"
        );
        let mut args = words("-hide_banner -nostdin -y -v error -progress pipe:1 -nostats");
        for input in [file, source] {
            args.extend(["-i".to_owned(), input.display().to_string()]);
        }
        args.extend(["-filter_complex".to_owned(), graph]);
        args.extend(words("-f null -"));
        run(&self.judge, &args, (folder, &self.folder)).await?;
        let log: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("vmaf.json"))?)?;
        let score = log
            .pointer("/pooled_metrics/vmaf/mean")
            .and_then(serde_json::Value::as_f64);
        score.context("libvmaf wrote no mean")
    }
}

/// Runs ffmpeg in `folder`; it may read `clips` and films, too.
async fn run(tool: &Tool, args: &[String], (folder, clips): (&Path, &Path)) -> Result<f64> {
    let before = children()?;
    let exit = ffmpeg::run(Run {
        tool,
        args,
        policy: SandboxPolicy::new(ResourceLimits::readback())
            .workdir(folder)
            .allow_read(clips)
            .allow_read(&packages()),
        limits: Limits::new(Duration::from_secs(3600)),
        stop: &CancellationToken::new(),
        external_work: &|| 0,
        ticks: &watch::Sender::new(ProgressUpdate::default()),
    })
    .await?;
    ensure!(
        exit.end == End::Finished,
        "ffmpeg {}: {:?}\n{}",
        args.join(" "),
        exit.end,
        exit.stderr_tail
    );
    Ok(children()? - before)
}

/// Processor seconds, user and system, of all children that have ended (proc(5): `cutime` and
/// `cstime`, in hundredths).
fn children() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat
        .rsplit_once(')')
        .context("/proc/self/stat is not as proc(5) says")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |i: usize| -> Result<f64> {
        Ok(fields.get(i).context("a short /proc/self/stat")?.parse()?)
    };
    Ok((ticks(13)? + ticks(14)?) / 100.0)
}
