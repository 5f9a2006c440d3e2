//! One run of ffmpeg over the source of a task: the process with its limits, and what runs
//! concurrently until its last segment is in the bucket.

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use ffmpeg::{End, Limits, ProgressUpdate, ResourceLimits, Run, SandboxPolicy, argv};
use media::cmaf::{FragmentInfo, GateFailure, InitInfo};
use metrics::counter;
use streams::Code;
use streams::task::Duty;
use streams::work::{ObjectRef, RenditionOutput};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::failures::{RunError, or_disk_full};
use super::progress::{ProgressMode, publish_progress};
use super::ranges::RangePublisher;
use super::segments::{RenditionDir, UploadedSegment, rendition_output};
use super::task::{EncodeTask, TaskSource};
use super::upload_loop::upload_segments;
use crate::crash;
use crate::job::WorkCounter;
use crate::job::classify::classify_source_error;
use crate::job::failure::{Evidence, Failure};
use crate::worker::admission::{ResourceRequirements, used};

/// The least speed, as seconds of media for each second of wall time, below which a run counts as
/// hung.
const MIN_SPEED: f64 = 0.01;

/// The time a run has in addition to the time for its media.
const EXTRA_TIME: Duration = Duration::from_secs(300);

/// One run of ffmpeg that is about to start.
pub(super) struct FfmpegRun<'a> {
    /// The task it is a part of.
    pub(super) task: &'a EncodeTask<'a>,
    /// The source, opened for this run.
    pub(super) source: TaskSource,
    /// The arguments of ffmpeg.
    pub(super) argv: Vec<String>,
    /// What it encodes into segments.
    pub(super) renditions: &'a [RenditionDir],
    /// Whether its progress is published.
    pub(super) progress: ProgressMode,
    /// How many earlier runs over the same segments its task had, each with other renditions.
    pub(super) earlier_passes: u32,
}

/// What a run made. The directory still holds what is no segment.
pub(super) struct EncodedOutput {
    /// The directory of the task.
    pub(super) task_dir: TempDir,
    /// What was encoded, in the order of [`FfmpegRun::renditions`].
    pub(super) renditions: Vec<EncodedRendition>,
    /// What was run, and what it said.
    evidence: Evidence,
}

/// One rendition whose segments are in the bucket.
pub(super) struct EncodedRendition {
    dir: RenditionDir,
    segments: Vec<UploadedSegment>,
    /// The init segment, where a published range needed it already.
    init_object: Option<ObjectRef>,
}

/// What is in the bucket when a run has ended.
struct Uploads {
    /// One list for each rendition.
    segments: Vec<Vec<UploadedSegment>>,
    /// One for each rendition, or none at all.
    inits: Vec<ObjectRef>,
    /// The end of the output of ffmpeg.
    stderr: String,
}

impl FfmpegRun<'_> {
    /// Runs ffmpeg in `task_dir` and uploads every segment it closes.
    ///
    /// # Errors
    /// What failed, with the command line as evidence. `task_dir` is then removed.
    pub(super) async fn run(self, task_dir: TempDir) -> Result<EncodedOutput, RunError> {
        // On the heap, since the future is large and a task may hold two.
        let result = Box::pin(self.encode_and_upload(task_dir.path())).await;

        // To ffmpeg, a truncated source looks like one that ends there. So a failed read fails the
        // run, whatever the exit code.
        let server = &self.source.server;
        if let Some(fault) = server.fault() {
            let failure = classify_source_error(&self.task.context.jobs, &fault.error).await;
            return Err(failure.with_evidence(self.evidence(String::new())).into());
        }
        counter!("fluxhls_source_bytes_total").increment(server.bytes_read());

        let Uploads {
            segments,
            inits,
            stderr,
        } = match result {
            Ok(uploads) => uploads,
            Err(RunError::EnteredLate) => return Err(RunError::EnteredLate),
            Err(RunError::Failed(failure)) => {
                let failure = or_disk_full(task_dir.path(), failure);
                let stderr = failure.evidence.stderr.clone();
                return Err(failure.with_evidence(self.evidence(stderr)).into());
            }
        };

        let dirs = self.renditions.iter().zip(segments).enumerate();
        let renditions = dirs.map(|(i, (dir, segments))| EncodedRendition {
            dir: dir.clone(),
            segments,
            init_object: inits.get(i).cloned(),
        });
        Ok(EncodedOutput {
            task_dir,
            renditions: renditions.collect(),
            evidence: self.evidence(stderr),
        })
    }

    /// Runs ffmpeg to its end, with everything that runs concurrently.
    async fn encode_and_upload(&self, task_dir: &Path) -> Result<Uploads, RunError> {
        let (task, work_counter) = (self.task, &self.task.task_context.work_counter);
        let uploader = task.segment_uploader(task_dir);
        let mut ranges = RangePublisher::new(task, self.renditions, self.earlier_passes);
        let (ticks, seen_ticks) = watch::channel(ProgressUpdate::default());

        let encode = async {
            let stderr = self.run_process(task_dir, ticks).await?;
            crash::point("encode.ffmpeg");
            Ok::<_, RunError>(stderr)
        };
        let upload = upload_segments(
            &uploader,
            self.renditions,
            &self.source.server,
            seen_ticks.clone(),
            ranges.as_mut(),
        );
        let report = async {
            match self.progress {
                ProgressMode::Published => publish_progress(task, seen_ticks).await,
                ProgressMode::Hidden => {}
            }
        };
        let (stderr, segments) = tokio::select! {
            both = async { tokio::try_join!(encode, upload) } => both?,
            never = run_background(report, work_counter) => match never {},
            failure = detect_overflow(task_dir, task) => return Err(failure.into()),
        };

        Ok(Uploads {
            segments,
            inits: ranges.map(RangePublisher::into_inits).unwrap_or_default(),
            stderr,
        })
    }

    /// Runs the process to its end, and returns the end of its output. The sender of ticks is
    /// dropped with it, which signals the others that it ended.
    async fn run_process(
        &self,
        task_dir: &Path,
        ticks: watch::Sender<ProgressUpdate>,
    ) -> Result<String, Failure> {
        let wall_time = EXTRA_TIME + Duration::from_secs_f64(self.task.media_seconds() / MIN_SPEED);
        let exit = ffmpeg::run(Run {
            tool: &self.task.context.tool,
            args: &self.argv,
            policy: self.sandbox_policy(task_dir),
            limits: Limits::new(wall_time),
            stop: &CancellationToken::new(),
            external_work: &|| self.source.server.work(),
            ticks: &ticks,
        })
        .await
        .map_err(|error| Failure::of_host("ffmpeg could not be run", &error))?;
        counter!("fluxhls_ffmpeg_exits_total", "result" => exit_label(exit.end)).increment(1);

        match exit.code() {
            None => Ok(exit.stderr_tail),
            Some(code) => {
                let evidence = Evidence {
                    stderr: exit.stderr_tail,
                    ..Evidence::default()
                };
                Err(Failure::from_code(code).with_evidence(evidence))
            }
        }
    }

    /// What ffmpeg may reach and use.
    fn sandbox_policy(&self, task_dir: &Path) -> SandboxPolicy {
        let EncodeTask {
            plan, task_context, ..
        } = self.task;
        let limits = match task_context.task.duty {
            Duty::Video(_) => {
                ResourceLimits::chunk(plan, self.task.media_seconds(), ffmpeg::cores())
            }
            _ => ResourceLimits::tracks(plan),
        };
        SandboxPolicy::new(limits)
            .workdir(task_dir)
            .allow_input(&self.source.input)
            .with_devices(plan.videos().any(argv::needs_device))
    }

    /// What an operator needs to repeat the run.
    fn evidence(&self, stderr: String) -> Evidence {
        Evidence {
            argv: self.argv.clone(),
            stderr,
            probe: None,
        }
    }
}

impl EncodedOutput {
    /// Checks a rendition with its gate, which counts its frames or samples, and uploads its init
    /// segment if that is still missing.
    pub(super) async fn check_rendition(
        &self,
        task: &EncodeTask<'_>,
        rendition: &EncodedRendition,
        gate: impl FnOnce(&InitInfo, &[(u32, FragmentInfo)]) -> Result<u64, GateFailure>,
    ) -> Result<RenditionOutput, Failure> {
        let EncodedRendition { dir, segments, .. } = rendition;
        let uploader = task.segment_uploader(self.task_dir.path());
        let (init, init_object) = match &rendition.init_object {
            Some(object) => (uploader.read_init(dir).await?.0, object.clone()),
            None => uploader.upload_init(dir).await?,
        };

        let fragments: Vec<(u32, FragmentInfo)> = segments
            .iter()
            .map(|segment| (segment.output.n, segment.fragment.clone()))
            .collect();
        let units = gate(&init, &fragments).map_err(|failure| {
            let failure = Failure::new(
                Code::VerificationFailed,
                format!("{}: {failure}.", dir.name),
            );
            or_disk_full(
                self.task_dir.path(),
                failure.with_evidence(self.evidence.clone()),
            )
        })?;
        Ok(rendition_output(
            &dir.name,
            init,
            init_object,
            units,
            segments,
        ))
    }
}

/// Runs `report` concurrently with the work, and counts the seconds in which ffmpeg runs as work.
/// The watchdog of ffmpeg ends a run without frames, bytes or processor time, so a run that
/// continues is work.
async fn run_background(
    report: impl Future<Output = ()>,
    work_counter: &WorkCounter,
) -> Infallible {
    let count_seconds = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            work_counter.add(1);
        }
    };
    let ((), never) = tokio::join!(report, count_seconds);
    never
}

/// Looks each second whether the task has written twice what it said it would, and returns the
/// failure once it has: it is stopped before it takes the room of others.
async fn detect_overflow(task_dir: &Path, task: &EncodeTask<'_>) -> Failure {
    let declared =
        ResourceRequirements::of_task(task.plan, task.task_context.task, ffmpeg::cores()).disk;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let written = used(task_dir);
        if written > declared.saturating_mul(2) {
            let text = format!(
                "The task has {written} bytes in the work folder, more than twice the {declared} that it reserved."
            );
            return Failure::new(Code::DiskFull, text);
        }
    }
}

/// Makes the counter of each end of ffmpeg exist at zero, so that its first increase is seen.
pub fn register_metrics() {
    for end in [
        "finished",
        "failed",
        "stopped",
        "exceeded",
        "stalled",
        "timed_out",
    ] {
        counter!("fluxhls_ffmpeg_exits_total", "result" => end).increment(0);
    }
}

/// The metric label of an end.
const fn exit_label(end: End) -> &'static str {
    match end {
        End::Finished => "finished",
        End::Failed(_) => "failed",
        End::Stopped => "stopped",
        End::Exceeded => "exceeded",
        End::Stalled => "stalled",
        End::TimedOut => "timed_out",
    }
}
