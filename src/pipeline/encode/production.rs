//! Production: one ffmpeg with its source, its uploads and its progress, from start to the last segment in the bucket.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ffmpeg::{End, Input, Limits, ResourceLimits, Run, SandboxPolicy, Tick, Tool, argv};
use media::ladder;
use metrics::counter;
use storage::{BlockCache, JobKeys, Source, SourceServer, Storage};
use streams::Code;
use streams::plan::Planned;
use streams::task::{Duty, TaskName};
use streams::work::ObjectRef;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::parts::Parts;
use super::report::{Share, report};
use super::shipping::{Shelf, Shipped, Shipper, Stopped, disk, or_full};
use crate::crash;
use crate::job::failure::{Evidence, Failure};
use crate::job::{Assignment, Jobs, Pulse};
use crate::worker::admission::{Need, used};

/// The least speed, as media seconds per second of wall time, below which a task counts as hung for good.
const SLOWEST: f64 = 0.01;

/// What a production needs to know.
pub(super) struct Order<'a> {
    pub(super) plan: &'a Planned,
    pub(super) assignment: &'a Assignment,
    /// The command line, given the source.
    pub(super) argv: &'a (dyn Fn(&Input) -> Option<Vec<String>> + Sync),
    /// What is made.
    pub(super) shelves: Vec<Shelf>,
    /// Seconds of media in it.
    pub(super) seconds: f64,
    /// What is told of it meanwhile.
    pub(super) view: View,
}

/// What is told of a production while it goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    /// Whether its progress is that of the task: not where it is the lesser part of it.
    pub(super) is_told: bool,
    /// How many passes over the same segments went before it in its task, each with other renditions.
    pub(super) pass: u32,
}

impl View {
    /// The usual one.
    pub(super) const USUAL: Self = Self { is_told: true, pass: 0 };
}

impl Order<'_> {
    /// What ffmpeg may reach and use.
    fn policy(&self, folder: &Path, input: &Input) -> SandboxPolicy {
        let resource_limits = match self.assignment.task.duty {
            Duty::Video(_) => ResourceLimits::chunk(self.plan, self.seconds, ffmpeg::cores()),
            _ => ResourceLimits::tracks(self.plan),
        };
        SandboxPolicy::new(resource_limits)
            .workdir(folder)
            .allow_input(input)
            .with_devices(self.plan.videos().any(argv::needs_device))
    }
}

/// What a production made. The folder still holds what is not a segment.
pub(super) struct Made {
    pub(super) folder: TempDir,
    pub(super) shipped: Vec<Vec<Shipped>>,
    /// The init segments that were shipped already; all or none.
    pub(super) inits: Vec<ObjectRef>,
    pub(super) evidence: Evidence,
}

/// What productions are done with.
pub(super) struct Plant<'a> {
    pub(super) jobs: &'a Jobs,
    pub(super) storage: &'a Storage,
    pub(super) cache: &'a BlockCache,
    pub(super) tool: &'a Tool,
    pub(super) keys: &'a JobKeys,
    pub(super) limits: &'a ladder::Limits,
}

impl Plant<'_> {
    /// Runs ffmpeg over the source and ships every segment it closes. A source read that failed fails the whole, whatever
    /// ffmpeg's exit code: a source cut short looks to ffmpeg like one that ends there.
    pub(super) async fn produce(&self, order: Order<'_>, folder: TempDir) -> Result<Made, Stopped> {
        let source = Source::planned(self.storage, &order.plan.source);
        let server = SourceServer::open(source, self.cache.clone()).await;
        let server = Arc::new(server.map_err(|error| disk(folder.path(), &error))?);
        let input = Input::http(server.url()).decoding(self.limits.pixels);
        let argv = (order.argv)(&input.looking(order.plan.source.deep));
        let argv =
            argv.ok_or_else(|| Failure::new(Code::VerificationFailed, "The plan does not say how to do this task."))?;
        let made = self.run(&order, &argv, &folder, &server).await;
        if let Some(fault) = server.fault() {
            return Err(self
                .jobs
                .blame_source(&fault.error)
                .await
                .with_evidence(Evidence {
                    argv,
                    ..Evidence::default()
                })
                .into());
        }
        counter!("fluxhls_source_bytes_total").increment(server.bytes_read());
        let (shipped, inits, stderr) = made.map_err(|stopped| match stopped {
            Stopped::EnteredLate => Stopped::EnteredLate,
            Stopped::Failed(failure) => {
                let failure = or_full(folder.path(), failure);
                let stderr = failure.evidence.stderr.clone();
                let evidence = Evidence {
                    argv: argv.clone(),
                    stderr,
                    probe: None,
                };
                Stopped::Failed(failure.with_evidence(evidence))
            }
        })?;
        Ok(Made {
            folder,
            shipped,
            inits,
            evidence: Evidence {
                argv,
                stderr,
                probe: None,
            },
        })
    }

    async fn run(
        &self,
        order: &Order<'_>,
        argv: &[String],
        folder: &TempDir,
        server: &Arc<SourceServer>,
    ) -> Result<(Vec<Vec<Shipped>>, Vec<ObjectRef>, String), Stopped> {
        let assignment = order.assignment;
        let (ticks, seen) = watch::channel(Tick::default());
        let shipper = Shipper {
            jobs: self.jobs,
            keys: self.keys,
            attempt: assignment.attempt,
            folder: folder.path(),
            pulse: &assignment.pulse,
        };
        let done: Vec<TaskName> = assignment.state.work.done.iter().copied().collect();
        let share = Share::of(order.plan, &done, assignment.task);
        let encode = async {
            let exit = self.encode(order, argv, folder, server, ticks).await?;
            crash::point("encode.ffmpeg");
            Ok::<_, Stopped>(exit)
        };
        let mut parts = Parts::of(self.jobs, order);
        let ship = shipper.follow(&order.shelves, seen.clone(), |held| server.hold(held), parts.as_mut());
        let told = async {
            if order.view.is_told {
                report(self.jobs, assignment, share, seen).await;
            }
        };
        let (stderr, shipped) = tokio::select! {
            both = async { tokio::try_join!(encode, ship) } => both?,
            never = beside(told, &assignment.pulse) => match never {},
            failure = overflow(folder.path(), order) => return Err(failure.into()),
        };
        Ok((shipped, parts.map(|parts| parts.inits).unwrap_or_default(), stderr))
    }

    /// Runs ffmpeg to its end. The sender of ticks is dropped with it, which tells the others that it ended.
    async fn encode(
        &self,
        order: &Order<'_>,
        argv: &[String],
        folder: &TempDir,
        server: &Arc<SourceServer>,
        ticks: watch::Sender<Tick>,
    ) -> Result<String, Failure> {
        let bytes = Arc::clone(server);
        let exit = ffmpeg::run(Run {
            tool: self.tool,
            args: argv,
            policy: order.policy(folder.path(), &Input::http(server.url())),
            limits: Limits::new(Duration::from_secs(300) + Duration::from_secs_f64(order.seconds / SLOWEST)),
            stop: &CancellationToken::new(),
            external_work: &move || bytes.work(),
            ticks: &ticks,
        })
        .await
        .map_err(|error| Failure::new(Code::FfmpegCrashed, format!("ffmpeg could not be run: {error}.")))?;
        counter!("fluxhls_ffmpeg_exits_total", "result" => word(exit.end)).increment(1);
        match exit.code() {
            None => Ok(exit.stderr_tail),
            Some(code) => {
                let evidence = Evidence {
                    stderr: exit.stderr_tail,
                    ..Evidence::default()
                };
                Err(Failure::plain(code).with_evidence(evidence))
            }
        }
    }
}

/// What goes on beside the work: progress messages, and a count of the seconds ffmpeg runs. ffmpeg's own watchdog ends a run
/// without frames, bytes or processor time, so that a run that goes on is work.
async fn beside(report: impl Future<Output = ()>, pulse: &Pulse) -> Infallible {
    let beat = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            pulse.add(1);
        }
    };
    let ((), never) = tokio::join!(report, beat);
    never
}

/// Looks each second whether the task has written twice what it said it would: then it is stopped, before it takes the room of others.
async fn overflow(folder: &Path, order: &Order<'_>) -> Failure {
    let declared = Need::of_task(order.plan, order.assignment.task, ffmpeg::cores()).disk;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let written = used(folder);
        if written > declared.saturating_mul(2) {
            let text = format!(
                "The task has {written} bytes in the work folder, more than twice the {declared} it was given."
            );
            return Failure::new(Code::DiskFull, text);
        }
    }
}

/// Makes the counter of each end of ffmpeg exist at zero, so that its first increase is seen.
pub fn touch_metrics() {
    for end in ["finished", "failed", "stopped", "exceeded", "stalled", "timed_out"] {
        counter!("fluxhls_ffmpeg_exits_total", "result" => end).increment(0);
    }
}

/// The metric label of an end.
const fn word(end: End) -> &'static str {
    match end {
        End::Finished => "finished",
        End::Failed(_) => "failed",
        End::Stopped => "stopped",
        End::Exceeded => "exceeded",
        End::Stalled => "stalled",
        End::TimedOut => "timed_out",
    }
}
