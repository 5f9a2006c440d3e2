//! Progress messages: at most one a second for each task, the last value only, and no harm where
//! one is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use ffmpeg::ProgressUpdate;
use streams::plan::Planned;
use streams::progress::Progress;
use streams::subject;
use streams::task::{Duty, TaskName};
use streams::wire;
use tokio::sync::watch;
use tokio::time::Instant;

use super::task::EncodeTask;

/// The share of a job that all audio together counts for, if there is video.
const AUDIO_WEIGHT: f64 = 0.05;

/// Whether the progress of one run of ffmpeg is published as that of its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProgressMode {
    /// It is.
    Published,
    /// It does not: a later run of the task goes over the same media, and is the larger part of the
    /// work.
    Hidden,
}

impl ProgressMode {
    /// The mode of pass `n` of this many. Each goes over all of the media, so the progress of the
    /// task is that of the last one only.
    pub(super) const fn of_pass(n: u32, passes: usize) -> Self {
        if n as usize + 1 == passes {
            Self::Published
        } else {
            Self::Hidden
        }
    }
}

/// What share of its job a task is, and what was done when it started.
#[derive(Debug, Clone, Copy, PartialEq)]
struct TaskShare {
    /// The share of the job that was done before.
    done: f64,
    /// The share of the job that this task is.
    own: f64,
    /// The seconds of the timeline that the task covers.
    seconds: f64,
    /// The frames of a video task. They show the progress sooner than the times of what was
    /// written.
    frames: Option<u64>,
}

impl TaskShare {
    /// The share of `task`, given which tasks were done when it started: a lower bound, because
    /// others continue meanwhile.
    #[expect(
        clippy::cast_precision_loss,
        reason = "frame counts stay far below 2^52"
    )]
    fn new(plan: &Planned, done: &[TaskName], task: TaskName) -> Self {
        let weights: BTreeMap<TaskName, f64> = plan
            .tasks
            .iter()
            .map(|planned| (planned.task, weight(plan, planned.task)))
            .collect();
        // Never zero, since it is divided by.
        let total: f64 = weights.values().sum::<f64>().max(f64::MIN_POSITIVE);
        let before: f64 = weights
            .iter()
            .filter(|(name, _)| done.contains(name))
            .map(|(_, weight)| weight)
            .sum();

        let (frames, seconds) = match (task.duty, &plan.video) {
            (Duty::Video(k), Some(video)) => {
                let (first, end) = video.chunk_frames(k).unwrap_or((0, 1));
                (
                    Some(end - first),
                    (end - first) as f64 / video.frame_rate.as_f64(),
                )
            }
            _ => (None, plan.source.duration),
        };
        Self {
            done: before / total,
            own: weights.get(&task.plain()).copied().unwrap_or(0.0) / total,
            seconds: seconds.max(0.001),
            frames,
        }
    }

    /// How far the task and the job are at a tick, each from 0 to 1.
    #[expect(
        clippy::cast_precision_loss,
        reason = "frame counts stay far below 2^52"
    )]
    fn progress_at(self, tick: ProgressUpdate) -> (f64, f64) {
        let task = match self.frames {
            Some(frames) => tick.frames as f64 / frames.max(1) as f64,
            None => tick.out_time.as_secs_f64() / self.seconds,
        };
        let task = task.clamp(0.0, 1.0);
        (task, (self.done + self.own * task).clamp(0.0, 1.0))
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "frame counts stay far below 2^52"
)]
fn weight(plan: &Planned, task: TaskName) -> f64 {
    match (&plan.video, task.duty) {
        (Some(video), Duty::Video(k)) => video
            .chunk_frames(k)
            .map_or(0.0, |(first, end)| (end - first) as f64),
        (Some(video), _) => video.frames as f64 * AUDIO_WEIGHT,
        (None, _) => 1.0,
    }
}

/// Publishes progress while ticks come. It may be dropped at any moment.
pub(super) async fn publish_progress(
    task: &EncodeTask<'_>,
    mut ticks: watch::Receiver<ProgressUpdate>,
) {
    let state = &task.task_context.state;
    let done: Vec<TaskName> = state.work.done.iter().copied().collect();
    let share = TaskShare::new(task.plan, &done, task.task_context.task);
    let subject = subject::progress(&state.job_id, task.task_context.task);
    let client = &task.context.jobs.log.nats().client;
    let started = Instant::now();

    while ticks.changed().await.is_ok() {
        let tick = *ticks.borrow_and_update();
        let (task_progress, job_progress) = share.progress_at(tick);
        // ffmpeg's own figure counts from zero of the timeline, not from where this task begins.
        let speed = task_progress * share.seconds / started.elapsed().as_secs_f64().max(0.001);
        let left = (1.0 - task_progress) * share.seconds;

        let progress = Progress {
            job_id: state.job_id.clone(),
            file_id: state.file_id().clone(),
            task: task.task_context.task,
            task_progress,
            job_progress,
            speed,
            eta_seconds: if speed > 0.0 { left / speed } else { 0.0 },
        };
        let body = wire::encode(&progress);
        if let Err(error) = client.publish(subject.clone(), body.into()).await {
            tracing::debug!(%error, "a progress message was not sent");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(frames: Option<u64>) -> TaskShare {
        TaskShare {
            done: 0.5,
            own: 0.25,
            seconds: 10.0,
            frames,
        }
    }

    #[test]
    fn a_chunk_is_as_far_as_its_frames_and_sound_as_far_as_its_time() {
        let tick = ProgressUpdate {
            frames: 125,
            out_time: Duration::from_secs(2),
            ..ProgressUpdate::default()
        };
        assert_eq!(share(Some(250)).progress_at(tick), (0.5, 0.625));
        assert_eq!(share(None).progress_at(tick), (0.2, 0.55));
    }

    #[test]
    fn no_count_leads_beyond_the_task() {
        let tick = ProgressUpdate {
            frames: 999,
            ..ProgressUpdate::default()
        };
        assert_eq!(share(Some(250)).progress_at(tick), (1.0, 0.75));
    }
}
