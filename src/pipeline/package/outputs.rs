//! What the tasks of a job made: their `done` messages, and the objects that hold lists too long
//! for a message.

use storage::Digest;
use streams::task::TaskName;
use streams::work::{Done, DoneOutput, WorkKind};
use streams::{Unread, subject, topology, wire};

use crate::job::classify::classify_output_error;
use crate::job::commit::SMALL_OBJECT;
use crate::job::failure::Failure;
use crate::job::receipt::TaskResult;
use crate::job::{JobState, Jobs};

/// What prevents an output from being published.
#[derive(Debug)]
pub enum OutputFault {
    /// The output of these tasks has changed or is wrong: they must be repeated.
    Tasks(Vec<(TaskName, String)>),
    /// Nothing of the output is to blame.
    Other(Failure),
}

impl OutputFault {
    /// The output of one task is at fault.
    pub(super) fn task(task: TaskName, reason: String) -> Self {
        Self::Tasks(vec![(task, reason)])
    }
}

impl From<Failure> for OutputFault {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

/// The results that count, in the order of the plan.
///
/// # Errors
/// A task whose list has changed, or a result that is not in the log.
pub async fn read_task_results(
    jobs: &Jobs,
    state: &JobState,
) -> Result<Vec<TaskResult>, OutputFault> {
    let mut made = Vec::new();
    let plan = state
        .plan()
        .ok_or_else(|| Failure::internal("The job has no plan"))?;
    for planned in &plan.tasks {
        made.push(read_task_result(jobs, state, planned.task).await?);
    }
    Ok(made)
}

/// The result of one planned task that counts.
pub(super) async fn read_task_result(
    jobs: &Jobs,
    state: &JobState,
    task: TaskName,
) -> Result<TaskResult, OutputFault> {
    let name = state.work.effective(task);
    let subject = subject::work(&state.job_id, WorkKind::Done, name);
    let recorded = jobs.log.last(topology::WORK, &subject).await;
    let Some(recorded) = recorded else {
        // The set was complete when `finish` was queued. The work stream lost a message since: plan
        // again.
        return Err(Failure::internal(&format!("The result of {name} is not in the log")).into());
    };

    let done: Done = wire::read(&subject, &recorded.payload).map_err(Failure::from)?;
    open(jobs, task, done).await
}

async fn open(jobs: &Jobs, task: TaskName, done: Done) -> Result<TaskResult, OutputFault> {
    let attempt = done.attempt;
    let object = match done.output {
        DoneOutput::Inline(output) => {
            return Ok(TaskResult {
                task,
                attempt,
                output: *output,
                list: None,
                repair: false,
            });
        }
        DoneOutput::Object(object) => object,
    };

    let bytes = match jobs.output.get(&object.key, SMALL_OBJECT).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            return Err(OutputFault::task(
                task,
                format!("{} is missing.", object.key),
            ));
        }
        Err(error) => return Err(classify_output_error(jobs, &error).await.into()),
    };

    if Digest::of(&bytes).sha256 != object.sha256 {
        return Err(OutputFault::task(
            task,
            format!("The content of {} is not what was written.", object.key),
        ));
    }

    match wire::read(&object.key, &bytes) {
        Ok(output) => Ok(TaskResult {
            task,
            attempt,
            output,
            list: Some(object),
            repair: false,
        }),
        Err(unread @ Unread::Newer { .. }) => Err(Failure::from(unread).into()),
        // A list that no release writes is the fault of its task, which is done again.
        Err(unread @ Unread::Broken { .. }) => Err(OutputFault::task(task, format!("{unread}."))),
    }
}
