//! A job's window on the queue: the first tasks in plan order that lack a result, or `finish` once
//! none does.

use std::collections::BTreeMap;

use jetstream::{Backlog, Enqueued, Refused};
use streams::task::TaskName;
use streams::{Class, JobId, Lane, TaskKey, subject, topology};

use super::Jobs;
use super::state::JobState;
use super::verdict::SettleError;

/// Tasks of one job that are on the queue at a time, at least and at most.
const WINDOW: (usize, usize) = (2, 256);

/// Tasks that a job may have on the queue: those in work, and as many that wait, so that no slot
/// waits for one. If other jobs already wait, it has one in work and one that waits, and jobs take
/// turns chunk by chunk.
fn window(backlog: Backlog) -> usize {
    let (least, most) = WINDOW;
    let plenty = 2 * backlog.capacity();
    if backlog.waiting > plenty {
        return least;
    }
    usize::try_from(plenty)
        .unwrap_or(most)
        .clamp(2 * least, most)
}

/// Puts what comes next for a planned job on the queue. Always safe to call again.
///
/// The caller has just published a result or found one: results are counted afresh, after that,
/// so that of all workers that finish tasks of a job at the same moment at least one sees them
/// all.
///
/// # Errors
/// [`SettleError`] when the server will never take a task, or the job cannot be read.
pub async fn enqueue_next_tasks(jobs: &Jobs, job: &JobId) -> Result<(), SettleError> {
    let Some(state) = jobs.state(job).await? else {
        return Ok(());
    };
    if state.planned.is_none() || !state.is_open() {
        return Ok(());
    }

    let pending = state.pending();
    if pending.is_empty() {
        let finish = state.key(TaskName::FINISH);
        return Ok(enqueue_tasks(jobs, &state, std::slice::from_ref(&finish)).await?);
    }

    // Two tasks fit into every window, so there is no need to ask how much is waiting.
    let window = if pending.len() > WINDOW.0 {
        let (hi, lo) = encode_backlogs(jobs).await;
        window(hi.and(lo))
    } else {
        pending.len()
    };

    let mut next = pending[..pending.len().min(window)].to_vec();
    // Before the first result there is nothing to list.
    if !state.work.done.is_empty() {
        next.push(state.key(TaskName::PLAYLIST));
    }
    Ok(enqueue_tasks(jobs, &state, &next).await?)
}

/// What waits to be encoded and what is, in the lanes hi and lo.
pub async fn encode_backlogs(jobs: &Jobs) -> (Backlog, Backlog) {
    futures::join!(
        jobs.log.backlog(Class::Encode, Lane::Hi),
        jobs.log.backlog(Class::Encode, Lane::Lo)
    )
}

/// Queues an update of the live playlists. One such task is on the queue at a time; a full queue is
/// not an error.
///
/// # Errors
/// [`Refused`] when the server will never take the task.
pub async fn enqueue_playlist_update(jobs: &Jobs, state: &JobState) -> Result<(), Refused> {
    let key = state.key(TaskName::PLAYLIST);
    jobs.log
        .enqueue(&key, state.traceparent.as_deref())
        .await
        .map(drop)
}

/// Puts missing tasks on the queue. A full queue is not an error: the sweep returns to the job.
async fn enqueue_tasks(jobs: &Jobs, state: &JobState, tasks: &[TaskKey]) -> Result<(), Refused> {
    // A list costs about as much as putting one task there in vain.
    let queued = if tasks.len() > 1 {
        let tasks = subject::tasks_of(&state.job_id);
        jobs.log.subjects(topology::TASKS, &tasks).await
    } else {
        BTreeMap::new()
    };

    for key in tasks {
        if queued.contains_key(&subject::task(key)) {
            continue;
        }
        if jobs.log.enqueue(key, state.traceparent.as_deref()).await? == Enqueued::Full {
            tracing::warn!(job.id = %state.job_id, "the queue is full; the job continues when the sweep finds it");
            return Ok(());
        }
    }
    Ok(())
}

/// Whether any task is on the queue that takes the job on: playlists only follow. One that only
/// a newer release knows may.
pub async fn is_queued(jobs: &Jobs, job: &JobId) -> bool {
    let queued = jobs
        .log
        .subjects(topology::TASKS, &subject::tasks_of(job))
        .await;
    let mut tasks = queued.keys().map(|subject| subject::read_task(subject));
    tasks.any(|key| key.map_or(true, |key| key.task != TaskName::PLAYLIST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_fills_the_fleet_where_it_is_alone_and_takes_turns_where_others_wait() {
        let backlog = |waiting, in_flight, pulls| Backlog {
            waiting,
            in_flight,
            pulls,
        };

        assert_eq!(window(backlog(0, 0, 1)), 4);
        assert_eq!(window(backlog(0, 0, 64)), 128);
        assert_eq!(window(backlog(60, 64, 0)), 128);
        assert_eq!(window(backlog(129, 64, 0)), 2);
        assert_eq!(window(backlog(0, 1000, 0)), 256);
    }
}
