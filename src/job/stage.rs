//! The handler of one class of tasks: its input and its output.

use std::future::Future;
use std::time::Duration;

use jetstream::Slot;
use streams::fact::Planned;
use streams::task::TaskName;
use streams::work::DoneOutput;

use super::lease::WorkCounter;
use super::state::JobState;
use crate::job::failure::Failure;
use crate::worker::admission::Reservation;

/// What a stage is asked to do.
#[derive(Debug, Clone)]
pub struct TaskContext {
    /// The job as it was when the task was taken.
    pub state: JobState,
    /// The task.
    pub task: TaskName,
    /// The stream sequence of this start: it goes into every key the task writes.
    pub attempt: u64,
    /// Counts the work, so that the lease is kept only while there is progress.
    pub work_counter: WorkCounter,
    /// The worker's slot that the task takes.
    pub slot: Slot,
}

/// What a stage made of a task.
#[derive(Debug)]
pub enum TaskOutcome {
    /// The plan of the job.
    Plan(Box<Planned>),
    /// Objects in the bucket.
    Output(Box<DoneOutput>),
    /// The output passed its check; playlists and receipt are in the bucket.
    Commit,
    /// Tasks whose output failed its check, each with one sentence.
    Redo(Vec<(TaskName, String)>),
}

/// Whether a task can be started.
#[derive(Debug)]
pub enum Readiness {
    /// It can, with the resources it needs reserved until it is done.
    Ready(Reservation),
    /// Not yet; check again after this pause. No attempt is counted.
    Wait(Duration),
    /// It never can.
    Never(Failure),
}

/// The work of one class of tasks.
pub trait Stage: Clone + Send + Sync + 'static {
    /// Whether everything the task needs is available. Checked before an attempt is counted.
    fn readiness(
        &self,
        _state: &JobState,
        _task: TaskName,
    ) -> impl Future<Output = Readiness> + Send {
        std::future::ready(Readiness::Ready(Reservation::default()))
    }

    /// Does the work. The future is dropped when the lease ends; what it started must stop with it.
    fn work(
        &self,
        task_context: TaskContext,
    ) -> impl Future<Output = Result<TaskOutcome, Failure>> + Send;
}
