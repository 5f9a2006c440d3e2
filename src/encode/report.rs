//! Progress messages: at most one a second per task, last value only, and no harm if one is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use streams::plan::Planned;
use streams::progress::Progress;
use streams::subject;
use streams::task::{Duty, TaskName};
use tokio::sync::watch;

use crate::ffmpeg::Tick;
use crate::job::{Assignment, Jobs};

/// Share of a job that all sound together counts for, beside video.
const SOUND: f64 = 0.05;

/// What a task is worth, and what it starts from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Share {
    /// Share of the job that was done before.
    done: f64,
    /// Share of the job that this task is.
    own: f64,
    /// Seconds of the timeline the task covers, and where it begins.
    seconds: f64,
    start: f64,
}

impl Share {
    /// The share of `task`, given which tasks were done when it started: a lower bound, since others go on meanwhile.
    #[expect(clippy::cast_precision_loss, reason = "frame counts stay far below 2^52")]
    pub(super) fn of(plan: &Planned, done: &[TaskName], task: TaskName) -> Self {
        let weights: BTreeMap<TaskName, f64> = plan
            .tasks
            .iter()
            .map(|planned| (planned.task, weight(plan, planned.task)))
            .collect();
        let total: f64 = weights.values().sum::<f64>().max(f64::MIN_POSITIVE);
        let before: f64 = weights
            .iter()
            .filter(|(name, _)| done.contains(name))
            .map(|(_, weight)| weight)
            .sum();
        let (start, seconds) = match (task.duty, &plan.video) {
            (Duty::Video(k), Some(video)) => {
                let (first, end) = video.chunk_frames(k).unwrap_or((0, 1));
                let rate = video.frame_rate.as_f64();
                (first as f64 / rate, (end - first) as f64 / rate)
            }
            _ => (0.0, plan.source.duration),
        };
        Self {
            done: before / total,
            own: weights.get(&task.plain()).copied().unwrap_or(0.0) / total,
            seconds: seconds.max(0.001),
            start,
        }
    }

    /// How far task and job are when the task's output has come to `out_time` of the timeline.
    fn at(self, out_time: Duration) -> (f64, f64) {
        let task = ((out_time.as_secs_f64() - self.start) / self.seconds).clamp(0.0, 1.0);
        (task, (self.done + self.own * task).clamp(0.0, 1.0))
    }
}

#[expect(clippy::cast_precision_loss, reason = "frame counts stay far below 2^52")]
fn weight(plan: &Planned, task: TaskName) -> f64 {
    match (&plan.video, task.duty) {
        (Some(video), Duty::Video(k)) => video.chunk_frames(k).map_or(0.0, |(first, end)| (end - first) as f64),
        (Some(video), _) => video.frames as f64 * SOUND,
        (None, _) => 1.0,
    }
}

/// Publishes progress while ticks come; dropped with the work.
pub(super) async fn report(jobs: &Jobs, assignment: &Assignment, share: Share, mut ticks: watch::Receiver<Tick>) {
    let subject = subject::progress(&assignment.state.job_id, assignment.task);
    while ticks.changed().await.is_ok() {
        let tick = *ticks.borrow_and_update();
        let (task_progress, job_progress) = share.at(tick.out_time);
        let left = (1.0 - task_progress) * share.seconds;
        let progress = Progress {
            job_id: assignment.state.job_id.clone(),
            file_id: assignment.state.file_id().clone(),
            task: assignment.task,
            task_progress,
            job_progress,
            speed: tick.speed,
            eta_seconds: if tick.speed > 0.0 { left / tick.speed } else { 0.0 },
        };
        let body = serde_json::to_vec(&progress).unwrap_or_default();
        if let Err(error) = jobs.log.nats().client.publish(subject.clone(), body.into()).await {
            tracing::debug!(%error, "a progress message was not sent");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
