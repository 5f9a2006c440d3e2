//! A stage that makes nothing but messages and two objects: what its behavior says.

use std::panic::resume_unwind;

use fluxhls::job::failure::Failure;
use fluxhls::job::receipt::Receipt;
use fluxhls::job::{JobState, Jobs, Stage, TaskContext, TaskOutcome};
use storage::ObjectKind;
use streams::Code;
use streams::fact::Head;
use streams::plan::{Planned, PlannedTask};
use streams::task::{Duty, TaskName};
use streams::testing::planned;
use streams::work::{DoneOutput, TaskOutput};

use super::behavior::JobBehavior;

/// Does the tasks of all classes.
#[derive(Debug, Clone)]
pub(super) struct Actor {
    pub(super) jobs: Jobs,
}

impl Stage for Actor {
    async fn work(&self, task_context: TaskContext) -> Result<TaskOutcome, Failure> {
        let TaskContext {
            state,
            task,
            attempt,
            ..
        } = &task_context;
        let behavior = JobBehavior::of(&state.accepted.fact.upload.name);
        match (task.duty, behavior) {
            (Duty::Plan, JobBehavior::Rejected) => Err(Failure::from_code(Code::NotMedia)),
            (Duty::Plan, _) => Ok(TaskOutcome::Plan(Box::new(plan(state)))),
            (Duty::Video(1), JobBehavior::Doomed) => Err(Failure::from_code(Code::ForbiddenSource)),
            (Duty::Video(0), JobBehavior::Wrong) => Err(Failure::new(
                Code::VerificationFailed,
                "A frame is missing.",
            )),
            // As a panic does, but without a line on standard error.
            (Duty::Tracks, JobBehavior::Panicking) => resume_unwind(Box::new("it panicked")),
            (Duty::Video(0), JobBehavior::Killer) => loop {
                // It is busy until its process dies.
                drop(self.jobs.work(&state.job_id).await);
            },
            (Duty::Video(_) | Duty::Tracks, JobBehavior::Shaky) if attempt % 3 == 0 => {
                Err(Failure::from_code(Code::StorageUnavailable))
            }
            (Duty::Video(_) | Duty::Tracks, _) => {
                let made = Box::<TaskOutput>::default();
                Ok(TaskOutcome::Output(Box::new(DoneOutput::Inline(made))))
            }
            (Duty::Finish, JobBehavior::Damaged | JobBehavior::Rotten) => {
                self.redo_or_commit(state, behavior).await
            }
            (Duty::Finish | Duty::Playlist, _) => self.commit(state).await,
        }
    }
}

impl Actor {
    async fn redo_or_commit(
        &self,
        state: &JobState,
        behavior: JobBehavior,
    ) -> Result<TaskOutcome, Failure> {
        let first = TaskName::video(0);
        if !state.work.redo.contains(&first) {
            return Ok(TaskOutcome::Redo(vec![(
                first,
                "It is not sound.".to_owned(),
            )]));
        }
        if behavior == JobBehavior::Rotten {
            return Err(Failure::from_code(Code::VerificationFailed).ending_job());
        }
        self.commit(state).await
    }

    /// Writes what a commit needs, as a pure function of the job.
    async fn commit(&self, state: &JobState) -> Result<TaskOutcome, Failure> {
        let prefix = &state.accepted.fact.output_prefix;
        let keys = self.jobs.keys(prefix, &state.job_id);
        let receipt = Receipt {
            v: 1,
            job_id: state.job_id.clone(),
            file_id: state.file_id().clone(),
            output_prefix: prefix.clone(),
            accepted_seq: state.accepted.seq,
            revision: 0,
            duration_seconds: 1.0,
            renditions: Vec::new(),
            poster: None,
            storyboard: None,
            warnings: Vec::new(),
            objects: Vec::new(),
            checks: Vec::new(),
            planned: state
                .plan()
                .cloned()
                .ok_or_else(|| Failure::from_code(Code::NoTracks))?,
            made: Vec::new(),
            seal: String::new(),
        };
        for (key, bytes, kind) in [
            (
                keys.commit(),
                state.job_id.to_string().into(),
                ObjectKind::Playlist,
            ),
            (keys.receipt(), receipt.encode(), ObjectKind::Receipt),
        ] {
            let put = self.jobs.output.put(&key, bytes, kind).await;
            put.map_err(|error| Failure::from_error(Code::StorageUnavailable, &error))?;
        }
        Ok(TaskOutcome::Commit)
    }
}

/// A plan of a few chunks and tracks; now and then of more chunks than the queue takes of one job
/// at a time.
fn plan(state: &JobState) -> Planned {
    let chunks = match state.accepted.fact.upload.size % 16 {
        0 => 40,
        size => u32::try_from(size % 3 + 2).unwrap_or(2),
    };
    let tasks = (0..chunks).map(TaskName::video).chain([TaskName::TRACKS]);
    let tasks = tasks.map(|task| PlannedTask {
        task,
        class: task.class(),
        lane: state.default_lane(),
    });
    Planned {
        head: Head::new(state.job_id.clone(), state.file_id().clone()),
        tasks: tasks.collect(),
        ..planned()
    }
}
