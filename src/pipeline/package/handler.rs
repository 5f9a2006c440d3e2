//! The handler of the class `package`: `playlist` tasks, and `finish`.

use std::collections::BTreeSet;
use std::sync::Arc;

use jetstream::{Delivery, Disposition};
use metrics::histogram;
use streams::task::TaskName;
use streams::work::{Redo, WorkKind};
use streams::{Code, JobId, subject, topology, wire};
use tokio_util::sync::CancellationToken;

use super::live_playlists::{seal_live_playlists, update_live_playlists};
use super::outputs::{OutputFault, read_task_results};
use super::publication::Publication;
use crate::job::commit::ensure_prefix_free;
use crate::job::failure::Failure;
use crate::job::{self, JobState, Jobs, Stage, TaskContext, TaskOutcome};

/// Takes one delivery of a task of the class. A `playlist` task only updates the live playlists, so
/// it does not use the five steps.
pub async fn handle(
    jobs: Jobs,
    delivery: Arc<Delivery>,
    hand_back: CancellationToken,
) -> Disposition {
    let key = subject::parse_task(delivery.subject());
    if key.is_some_and(|key| key.task == TaskName::PLAYLIST) {
        let update = async |job: JobId, delivery: Arc<Delivery>| {
            Box::pin(update_live_playlists(&jobs, &job, &delivery)).await
        };
        return job::run_update(jobs.clone(), delivery, update).await;
    }

    let packager = Packager { jobs: jobs.clone() };
    job::run(jobs, packager, delivery, hand_back).await
}

/// Checks outputs and prepares them to become public.
#[derive(Debug, Clone)]
struct Packager {
    jobs: Jobs,
}

impl Stage for Packager {
    async fn work(&self, task_context: TaskContext) -> Result<TaskOutcome, Failure> {
        let started = std::time::Instant::now();
        let result = self.finish(&task_context).await;
        histogram!("fluxhls_stage_duration_seconds", "stage" => "package")
            .record(started.elapsed());
        result
    }
}

impl Packager {
    async fn finish(&self, task_context: &TaskContext) -> Result<TaskOutcome, Failure> {
        let state = &task_context.state;
        ensure_prefix_free(&self.jobs, state).await?;
        match self.publish_output(task_context).await {
            Ok(()) => Ok(TaskOutcome::Commit),
            Err(OutputFault::Other(failure)) => Err(failure),
            Err(OutputFault::Tasks(tasks)) => self.decide_redo(state, tasks).await,
        }
    }

    async fn publish_output(&self, task_context: &TaskContext) -> Result<(), OutputFault> {
        let state = &task_context.state;
        let plan = state
            .plan()
            .ok_or_else(|| Failure::internal("The job has no plan"))?;
        let publication = Publication {
            jobs: &self.jobs,
            plan,
            prefix: &state.accepted.fact.output_prefix,
            accepted_seq: state.accepted.seq,
            made: &read_task_results(&self.jobs, state).await?,
            revision: 0,
            intact: &[],
            given_up: &BTreeSet::new(),
            work_counter: &task_context.work_counter,
        };

        publication.publish().await?;
        Box::pin(seal_live_playlists(&self.jobs, state, plan))
            .await
            .map_err(Failure::from)?;
        Ok(())
    }

    /// A bad task is done again once; a second failure is final.
    async fn decide_redo(
        &self,
        state: &JobState,
        tasks: Vec<(TaskName, String)>,
    ) -> Result<TaskOutcome, Failure> {
        let Some((task, reason)) = tasks
            .iter()
            .find(|(task, _)| state.work.redo.contains(task))
        else {
            return Ok(TaskOutcome::Redo(tasks));
        };

        let text = format!("Task {task} failed its check twice: {reason}");
        let failure = Failure::new(Code::VerificationFailed, text).ending_job();

        let subject = subject::work(&state.job_id, WorkKind::Redo, *task);
        let first = self.jobs.log.last(topology::WORK, &subject).await;
        let first: Option<Redo> = first
            .map(|first| wire::read(&first.subject, &first.payload))
            .transpose()?;

        // A check that fails twice with equal figures has a cause that another try does not remove.
        if first.is_some_and(|first| first.reason == *reason) {
            return Err(failure.measured_again());
        }

        Err(failure)
    }
}
