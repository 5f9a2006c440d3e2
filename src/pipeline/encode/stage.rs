//! The handlers of chunk and tracks tasks.

use std::time::Duration;

use media::ladder::sound;
use metrics::histogram;
use storage::Source;
use streams::Code;
use streams::plan::Planned;
use streams::task::{Duty, TaskName};

use super::shift::Shift;
use crate::job::failure::Failure;
use crate::job::{Assignment, JobState, Product, Readiness, Stage, WorkerContext};
use crate::worker::admission::{Admission, Need, Resource};

/// Encodes chunks and tracks.
#[derive(Debug, Clone)]
pub struct Encoder {
    /// What it works with.
    pub context: WorkerContext,
}

/// How long a task waits that does not fit beside those in work, which take some seconds each.
const LATER: Duration = Duration::from_secs(5);

/// How long a task waits that is too large for this worker: so long it is for others to take alone.
const ELSEWHERE: Duration = Duration::from_secs(20);

impl Stage for Encoder {
    async fn readiness(&self, state: &JobState, task: TaskName) -> Readiness {
        let plan = plan_of_attempt(state, task);
        if let Some(plan) = &plan {
            let source = Source::planned(&self.context.storage, &plan.source);
            if let Some(readiness) = self.context.jobs.look_at_denied_source(&source, state, task).await {
                return readiness;
            }
        }
        let need = plan.map(|plan| self.need(&plan, task)).unwrap_or_default();
        match self.context.ledger.admit(&format!("{}/{task}", state.job_id), need) {
            Admission::Granted(room) => Readiness::Ready(room),
            Admission::Later => Readiness::Wait(LATER),
            Admission::Elsewhere => Readiness::Wait(ELSEWHERE),
        }
    }

    async fn work(&self, assignment: Assignment) -> Result<Product, Failure> {
        let started = std::time::Instant::now();
        let plan = plan_of_attempt(&assignment.state, assignment.task);
        let plan = plan.ok_or_else(|| Failure::plain(Code::TooManyAttempts))?;
        let keys = self
            .context
            .jobs
            .keys(&assignment.state.accepted.fact.output_prefix, &assignment.state.job_id);
        let shift = Shift {
            encoder: self,
            assignment: &assignment,
            plan: &plan,
            keys: &keys,
        };
        let (output, stage) = match assignment.task.duty {
            Duty::Video(chunk) => (Box::pin(shift.video(chunk)).await?, "encode"),
            _ => (Box::pin(shift.tracks()).await?, "tracks"),
        };
        let done = shift.list(output).await?;
        histogram!("fluxhls_stage_duration_seconds", "stage" => stage).record(started.elapsed());
        Ok(Product::Output(Box::new(done)))
    }
}

/// The plan as an attempt at a task carries it out. Sound that went wrong once may change on the way where nobody looked: the next
/// attempt expects it.
fn plan_of_attempt(state: &JobState, task: TaskName) -> Option<Planned> {
    let mut plan = state.plan()?.clone();
    if task.duty == Duty::Tracks && (task == task.redone() || state.work.attempts(task) > 0) {
        sound::expect_changes(&mut plan);
    }
    Some(plan)
}

impl Encoder {
    /// What a task takes, as this worker does it.
    fn need(&self, plan: &Planned, task: TaskName) -> Need {
        if self.is_tight(plan, task) {
            Need::of_one_rung(plan, task)
        } else {
            Need::of_task(plan, task, ffmpeg::cores())
        }
    }

    /// Whether the rungs of a task together take more memory than there is on this worker.
    pub(super) fn is_tight(&self, plan: &Planned, task: TaskName) -> bool {
        let need = Need::of_task(plan, task, ffmpeg::cores());
        matches!(task.duty, Duty::Video(_))
            && self
                .context
                .ledger
                .room()
                .is_ok_and(|room| room.too_small_for(need) == Some(Resource::Memory))
    }
}
