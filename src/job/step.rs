//! The five steps of every task of every class. Acknowledgement comes last.
//!
//! 1. Read the job and the task's own history from the leader.
//! 2. Ended: acknowledge. Canceled or decided: carry that out, acknowledge. Too many attempts:
//!    fail.
//! 3. No result yet: publish an attempt, unless someone started meanwhile; work, publish the result
//!    as the first one.
//! 4. Always: put what comes next on the queue.
//! 5. Acknowledge.

use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use futures::FutureExt as _;
use jetstream::{CreateOutcome, Delivery, Disposition, OutboundMessage, Refused};
use metrics::histogram;
use streams::fact::{Decision, Fact};
use streams::task::{Duty, TaskName};
use streams::work::{Attempt, Done, Redo, WorkKind};
use streams::{Code, JobId, VERSION, subject, topology, wire};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use super::Jobs;
use super::circuit_breaker::storage_pause;
use super::failing::too_many;
use super::lease::{LeaseEnd, WorkCounter, hold_lease};
use super::meter;
use super::queue::enqueue_next_tasks;
use super::stage::{Readiness, Stage, TaskContext, TaskOutcome};
use super::state::JobState;
use super::task_run::Run;
use super::verdict::{SettleError, publish_verdict, settle_job};
use crate::crash;
use crate::job::failure::Failure;
use crate::telemetry::trace;

/// Takes one delivery of a task through the five steps.
///
/// `hand_back` fires when a shutting down worker's grace period is over: the attempt is released
/// and the task returned.
pub async fn run<S: Stage>(
    jobs: Jobs,
    stage: S,
    delivery: Arc<Delivery>,
    hand_back: CancellationToken,
) -> Disposition {
    let run = match Run::new(jobs, delivery) {
        Ok(run) => run,
        Err(disposition) => return disposition,
    };

    match run.steps(stage, hand_back).await {
        Ok(disposition) => disposition,
        Err(error) => run.stopped(error).await,
    }
}

/// Takes one delivery of a task that has no result and counts no attempts: `update` is the whole
/// work, and it is repeated whenever it is requested. Its error is what prevents the job from
/// continuing.
pub async fn run_update<F>(
    jobs: Jobs,
    delivery: Arc<Delivery>,
    update: impl FnOnce(JobId, Arc<Delivery>) -> F,
) -> Disposition
where
    F: Future<Output = Result<Disposition, SettleError>>,
{
    let run = match Run::new(jobs, delivery) {
        Ok(run) => run,
        Err(disposition) => return disposition,
    };
    if let Some(pause) = storage_pause(&run.jobs, run.key.class) {
        return Disposition::Retry(pause);
    }

    match update(run.key.job_id.clone(), Arc::clone(&run.delivery)).await {
        Ok(disposition) => disposition,
        Err(error) => run.stopped(error).await,
    }
}

/// How one attempt ended.
enum AttemptEnd {
    Completed(TaskOutcome),
    Failed(Failure),
    Interrupted(LeaseEnd),
}

impl Run {
    async fn steps<S: Stage>(
        &self,
        stage: S,
        hand_back: CancellationToken,
    ) -> Result<Disposition, SettleError> {
        let task = self.key.task;
        // Before the job itself: no one may have started the task after what is read of it here and
        // in between.
        let newest = self.jobs.newest_attempt(&self.key.job_id, task).await;
        let Some(state) = self.jobs.state(&self.key.job_id).await? else {
            tracing::error!(job.id = %self.key.job_id, %task, "a task of a job that was never accepted; removed from the queue");
            return Ok(Disposition::Ack);
        };
        crash::point("step.read");

        if !state.is_open() {
            return self.settle(&state).await;
        }

        if !has_result(&state, task) {
            let readiness = self.readiness(&state, &stage).await;
            // A worker that was frozen while it read the log has an old state: the task belongs to
            // the worker that started it meanwhile.
            if !matches!(readiness, Readiness::Ready(_))
                && self.jobs.newest_attempt(&state.job_id, task).await != newest
            {
                return Ok(Disposition::LeaveUnacked);
            }

            // The binding keeps the resources reserved until the work is done; `_` would free them
            // at once.
            let _room = match readiness {
                Readiness::Ready(room) => room,
                Readiness::Wait(pause) => return Ok(Disposition::Retry(pause)),
                Readiness::Never(failure) => return self.fail(&state, failure).await,
            };
            let next = self.work(&state, newest, stage, hand_back).await?;
            if let ControlFlow::Break(disposition) = next {
                return Ok(disposition);
            }
        }

        // Also if a result existed: the worker that published it may have died before this.
        enqueue_next_tasks(&self.jobs, &self.key.job_id).await?;
        crash::point("step.advanced");
        Ok(Disposition::Ack)
    }

    /// Whether the task can be started, by the storage, by the starts it has behind it, and by its
    /// stage.
    async fn readiness<S: Stage>(&self, state: &JobState, stage: &S) -> Readiness {
        let task = self.key.task;
        if let Some(pause) = storage_pause(&self.jobs, self.key.class) {
            return Readiness::Wait(pause);
        }
        // Attempts are counted before the work, so that a file that kills its worker reaches the
        // limit, too.
        if state.work.attempts(task) >= u64::from(state.accepted.fact.upload.settings.max_attempts)
        {
            return Readiness::Never(too_many(state, task, None));
        }
        stage.readiness(state, task).await
    }

    /// The third step. It breaks off if the task does not continue to the fourth.
    async fn work<S: Stage>(
        &self,
        state: &JobState,
        newest: Option<u64>,
        stage: S,
        hand_back: CancellationToken,
    ) -> Result<ControlFlow<Disposition>, SettleError> {
        let Some(attempt) = self.start(state, newest).await? else {
            return Ok(ControlFlow::Break(Disposition::LeaveUnacked));
        };
        crash::point("step.attempt");
        let span = self.span(state, attempt);
        self.attempt(state, attempt, stage, hand_back)
            .instrument(span)
            .await
    }

    /// What log lines and traces say of the work of one attempt.
    fn span(&self, state: &JobState, attempt: u64) -> Span {
        let trace = state.traceparent.as_deref();
        // At the highest level, so that no filter removes the span from the lines that it lets
        // through.
        let span = tracing::error_span!(
            "task",
            otel.name = self.key.class.as_str(),
            otel.kind = "consumer",
            job.id = %state.job_id,
            file.id = %state.file_id(),
            task = %self.key.task,
            attempt,
            worker = self.jobs.settings.worker,
            trace.id = trace::id(trace),
        );
        trace::continued(span, trace)
    }

    /// The third step from the attempt on.
    async fn attempt<S: Stage>(
        &self,
        state: &JobState,
        attempt: u64,
        stage: S,
        hand_back: CancellationToken,
    ) -> Result<ControlFlow<Disposition>, SettleError> {
        let work_counter = WorkCounter::default();
        let task_context = TaskContext {
            state: state.clone(),
            task: self.key.task,
            attempt,
            work_counter: work_counter.clone(),
            slot: self.delivery.slot.clone(),
        };

        // The branch that ends first drops the others: a lease that is lost stops the work.
        let end = tokio::select! {
            result = AssertUnwindSafe(stage.work(task_context)).catch_unwind() => match result {
                Ok(Ok(outcome)) => AttemptEnd::Completed(outcome),
                Ok(Err(failure)) => AttemptEnd::Failed(failure),
                // The attempt counts, and the worker continues with other jobs.
                Err(panic) => AttemptEnd::Failed(Failure::of_panic(&*panic)),
            },
            end = hold_lease(&self.jobs, &self.delivery, &self.key, attempt, &work_counter) => AttemptEnd::Interrupted(end),
            () = hand_back.cancelled() => AttemptEnd::Interrupted(LeaseEnd::HandedBack),
        };
        crash::point("step.worked");

        match end {
            AttemptEnd::Completed(outcome) => self.publish(state, attempt, outcome).await,
            AttemptEnd::Failed(failure) => self
                .failed(state, attempt, failure)
                .await
                .map(ControlFlow::Break),
            AttemptEnd::Interrupted(LeaseEnd::HandedBack) => {
                self.release(attempt, "shutdown", None).await?;

                // Only the newest attempt may return the message: another worker may hold it by
                // now.
                let is_ours = self
                    .jobs
                    .is_newest_attempt(&state.job_id, self.key.task, attempt)
                    .await;
                let disposition = if is_ours {
                    Disposition::Retry(Duration::ZERO)
                } else {
                    Disposition::LeaveUnacked
                };
                Ok(ControlFlow::Break(disposition))
            }
            AttemptEnd::Interrupted(LeaseEnd::Lost) => {
                tracing::warn!(job.id = %self.key.job_id, task = %self.key.task, "lost the task to another worker; stopped");
                self.release(attempt, "lost_lease", None).await?;
                Ok(ControlFlow::Break(Disposition::LeaveUnacked))
            }
            AttemptEnd::Interrupted(LeaseEnd::Stalled) => {
                let failure = Failure::new(
                    Code::FfmpegStalled,
                    "The work made no progress and was stopped.",
                );
                self.failed(state, attempt, failure)
                    .await
                    .map(ControlFlow::Break)
            }
            AttemptEnd::Interrupted(LeaseEnd::JobDecided) => {
                meter::attempt(self.key.class, "overruled");
                match self.jobs.state(&self.key.job_id).await? {
                    Some(state) => self.settle(&state).await.map(ControlFlow::Break),
                    None => Ok(ControlFlow::Break(Disposition::Ack)),
                }
            }
        }
    }

    /// Publishes an attempt, unless another worker did so after this one read that the newest one
    /// is `newest`. This worker was frozen then, its state of the job is old, and it no longer
    /// holds the task.
    async fn start(&self, state: &JobState, newest: Option<u64>) -> Result<Option<u64>, Refused> {
        // The time is that of the message, so a later start would count earlier attempts as
        // waiting.
        if state.work.attempts(self.key.task) == 0 {
            let waited = (Utc::now() - self.delivery.time)
                .to_std()
                .unwrap_or_default();
            histogram!("fluxhls_queue_wait_seconds", "class" => self.key.class.as_str())
                .record(waited);
        }

        let attempt = Attempt::new(
            state.job_id.clone(),
            self.key.task,
            &self.jobs.settings.worker,
        );
        let body = wire::encode(&attempt);
        let message = OutboundMessage::json(
            subject::work(&state.job_id, WorkKind::Attempt, self.key.task),
            body,
        );
        let message = message
            .with_id(attempt.id)
            .traced(state.traceparent.as_deref());

        let started = self
            .jobs
            .log
            .replace(topology::WORK, message, newest.unwrap_or(0));
        let CreateOutcome::Created(seq) = started.await? else {
            tracing::warn!(job.id = %state.job_id, task = %self.key.task, "another worker started the task first; skipped");
            return Ok(None);
        };

        meter::attempt(self.key.class, "started");
        tracing::info!(job.id = %state.job_id, file.id = %state.file_id(), task = %self.key.task, attempt = seq, "started {}", self.key.task);
        Ok(Some(seq))
    }

    /// Publishes the output as the first result of the task. The output of a losing attempt is
    /// removed later.
    async fn publish(
        &self,
        state: &JobState,
        attempt: u64,
        outcome: TaskOutcome,
    ) -> Result<ControlFlow<Disposition>, SettleError> {
        meter::attempt(self.key.class, "completed");
        tracing::info!(job.id = %state.job_id, file.id = %state.file_id(), task = %self.key.task, attempt, "finished {}", self.key.task);
        let trace = state.traceparent.as_deref();

        match outcome {
            TaskOutcome::Plan(planned) => {
                self.jobs.announce(&Fact::Planned(*planned), trace).await?;
            }
            TaskOutcome::Output(output) => {
                let (job_id, task, worker) = (
                    state.job_id.clone(),
                    self.key.task,
                    self.jobs.settings.worker.clone(),
                );
                let done = Done {
                    v: VERSION,
                    job_id,
                    task,
                    attempt,
                    worker,
                    output: *output,
                };

                let subject = subject::work(&state.job_id, WorkKind::Done, task);
                let body = wire::encode(&done);
                self.jobs
                    .log
                    .create(
                        topology::WORK,
                        OutboundMessage::json(subject, body).traced(trace),
                    )
                    .await?;
            }
            TaskOutcome::Commit => {
                let verdict = publish_verdict(&self.jobs, state, Decision::Commit, None).await?;
                // The first verdict counts, so this may be the verdict of another worker.
                let decided = JobState {
                    verdict,
                    ..state.clone()
                };
                return self.settle(&decided).await.map(ControlFlow::Break);
            }
            TaskOutcome::Redo(tasks) => {
                return self.redo(state, tasks).await.map(ControlFlow::Break);
            }
        }

        crash::point("step.published");
        Ok(ControlFlow::Continue(()))
    }

    /// Requests that tasks are repeated, then acknowledges `finish` before it can be needed again.
    async fn redo(
        &self,
        state: &JobState,
        tasks: Vec<(TaskName, String)>,
    ) -> Result<Disposition, SettleError> {
        for (task, reason) in tasks {
            tracing::warn!(job.id = %state.job_id, file.id = %state.file_id(), %task, reason, "the output of a task failed its check; the task is repeated");
            let redo = Redo {
                v: VERSION,
                task,
                reason,
            };

            let subject = subject::work(&state.job_id, WorkKind::Redo, task);
            let body = wire::encode(&redo);
            self.jobs
                .log
                .create(topology::WORK, OutboundMessage::json(subject, body))
                .await?;
        }

        // While this `finish` is on the queue no other can be put there. The redone task may be the
        // last one missing, and quick.
        self.delivery.settle(Disposition::Ack).await;
        crash::point("step.redo");
        enqueue_next_tasks(&self.jobs, &state.job_id).await?;
        Ok(Disposition::LeaveUnacked)
    }

    /// Brings a decided or canceled job to its end.
    async fn settle(&self, state: &JobState) -> Result<Disposition, SettleError> {
        settle_job(&self.jobs, state).await?;
        Ok(Disposition::Ack)
    }
}

/// Whether the task's own result exists already.
fn has_result(state: &JobState, task: TaskName) -> bool {
    match task.duty {
        Duty::Plan => state.planned.is_some(),
        Duty::Video(_) | Duty::Tracks => state.work.done.contains(&task),
        // Playlists never come here.
        Duty::Playlist => true,
        // The result of `finish` is the verdict, and a job with one is not open. Before all tasks
        // are done there is nothing to finish: the fourth step puts what is missing on the queue.
        Duty::Finish => !state.pending().is_empty() || state.planned.is_none(),
    }
}
