//! The handler of chunk and tracks tasks.

use std::time::{Duration, Instant};

use media::ladder::audio;
use metrics::histogram;
use storage::Source;
use streams::plan::Planned;
use streams::task::{Duty, TaskName};

use super::chunk::encode_chunk;
use super::task::{EncodeTask, RungsAtOnce};
use super::tracks::encode_tracks;
use crate::job::denial::check_denied_source;
use crate::job::failure::Failure;
use crate::job::{JobState, Readiness, Stage, TaskContext, TaskOutcome, WorkerContext};
use crate::worker::admission::{Admission, ResourceRequirements};

/// How long a task waits that does not fit next to those in work, which take some seconds each.
const BUSY_PAUSE: Duration = Duration::from_secs(5);

/// How long a task waits that is too large for this worker: only others can take it in that time.
const TOO_LARGE_PAUSE: Duration = Duration::from_secs(20);

/// Encodes chunks and tracks.
#[derive(Debug, Clone)]
pub struct Encoder {
    /// What it works with.
    pub context: WorkerContext,
}

impl Stage for Encoder {
    async fn readiness(&self, state: &JobState, task: TaskName) -> Readiness {
        let WorkerContext {
            jobs,
            storage,
            budget,
            ..
        } = &self.context;
        let plan = plan_for_attempt(state, task);
        if let Some(plan) = &plan {
            let source = Source::planned(storage, &plan.source);
            if let Some(readiness) = check_denied_source(jobs, &source, state, task).await {
                return readiness;
            }
        }

        let need = plan.map(|plan| self.need(&plan, task)).unwrap_or_default();
        match budget.admit(&format!("{}/{task}", state.job_id), need) {
            Admission::Granted(room) => Readiness::Ready(room),
            Admission::Later => Readiness::Wait(BUSY_PAUSE),
            Admission::TooLargeForWorker => Readiness::Wait(TOO_LARGE_PAUSE),
        }
    }

    async fn work(&self, task_context: TaskContext) -> Result<TaskOutcome, Failure> {
        let started = Instant::now();
        let plan = plan_for_attempt(&task_context.state, task_context.task);
        let plan = plan.ok_or_else(|| Failure::internal("The job has no plan"))?;
        let jobs = &self.context.jobs;
        let keys = jobs.keys(
            &task_context.state.accepted.fact.output_prefix,
            &task_context.state.job_id,
        );
        let task = EncodeTask {
            context: &self.context,
            task_context: &task_context,
            plan: &plan,
            keys: &keys,
        };

        let (output, stage) = match task_context.task.duty {
            Duty::Video(chunk) => (Box::pin(encode_chunk(&task, chunk)).await?, "encode"),
            _ => (Box::pin(encode_tracks(&task)).await?, "tracks"),
        };
        let done = task.store_output(output).await?;
        histogram!("fluxhls_stage_duration_seconds", "stage" => stage).record(started.elapsed());
        Ok(TaskOutcome::Output(Box::new(done)))
    }
}

impl Encoder {
    /// What a task takes, as this worker does it.
    fn need(&self, plan: &Planned, task: TaskName) -> ResourceRequirements {
        match RungsAtOnce::for_task(&self.context.budget, plan, task) {
            RungsAtOnce::All => ResourceRequirements::of_task(plan, task, ffmpeg::cores()),
            RungsAtOnce::One => ResourceRequirements::of_one_rung(plan, task),
        }
    }
}

/// The plan as an attempt at a task carries it out. Audio that failed once may change its format at
/// a place that was not probed: the next attempt expects that.
fn plan_for_attempt(state: &JobState, task: TaskName) -> Option<Planned> {
    let mut plan = state.plan()?.clone();
    if task.duty == Duty::Tracks && (task == task.redone() || state.work.attempts(task) > 0) {
        audio::expect_changes(&mut plan);
    }
    Some(plan)
}
