//! Workers whose encoder is a pause of fixed length: the queue, the storage and the log are the
//! real ones, and only ffmpeg is not there.

use std::sync::Arc;
use std::time::Duration;

use fluxhls::job::failure::Failure;
use fluxhls::job::receipt::Receipt;
use fluxhls::job::{Jobs, Stage, TaskContext, TaskOutcome, run};
use jetstream::{Delivery, Disposition, Lanes, pull};
use metrics::Gauge;
use storage::ObjectKind;
use streams::fact::Planned;
use streams::task::{Class, Duty, Lane, TaskName};
use streams::work::{DoneOutput, TaskOutput};
use streams::{subject, topology};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::world::World;

/// What does the work of every class.
#[derive(Debug, Clone)]
pub(crate) struct StandIn {
    jobs: Jobs,
    cost: Duration,
    /// The plan of every job; where there is none, planning is left to others.
    pub(crate) plan: Option<Arc<Planned>>,
}

/// A worker in this process. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct StandInWorker {
    stop: CancellationToken,
    loops: Vec<JoinHandle<()>>,
}

impl StandIn {
    /// One that takes so long for a chunk.
    pub(crate) async fn new(world: &World, cost: Duration) -> Self {
        Self {
            jobs: world.access().await,
            cost,
            plan: None,
        }
    }

    /// Starts it, with so many slots for chunks.
    pub(crate) fn start(self, name: &str, slots: usize) -> StandInWorker {
        let stop = CancellationToken::new();
        let mut classes = vec![
            (Class::Encode, &[Lane::Hi, Lane::Lo][..], slots),
            (Class::Tracks, &[Lane::Hi][..], 1),
            (Class::Package, &[Lane::Hi][..], slots.max(2)),
        ];
        if self.plan.is_some() {
            classes.push((Class::Plan, &[Lane::Hi][..], slots.max(2)));
        }

        let mut stage = self;
        name.clone_into(&mut stage.jobs.settings.worker);

        let loops = classes
            .into_iter()
            .map(|(class, lanes, slots)| {
                let lanes = Lanes {
                    stream: topology::TASKS,
                    durables: lanes
                        .iter()
                        .map(|lane| topology::durable(class, *lane))
                        .collect(),
                    slots,
                    busy: Gauge::noop(),
                };

                let (stage, stop) = (stage.clone(), stop.clone());
                tokio::spawn(async move {
                    let nats = stage.jobs.log.nats().clone();
                    let handle = move |delivery: Arc<Delivery>| {
                        let stage = stage.clone();
                        async move {
                            let key = subject::parse_task(delivery.subject());
                            if key.is_some_and(|key| key.task == TaskName::PLAYLIST) {
                                return Disposition::Ack;
                            }
                            let stop = CancellationToken::new();
                            run(stage.jobs.clone(), stage, delivery, stop).await
                        }
                    };
                    pull(&nats, lanes, || async { true }, handle, stop).await;
                })
            })
            .collect();

        StandInWorker { stop, loops }
    }
}

impl Drop for StandInWorker {
    fn drop(&mut self) {
        self.stop.cancel();
        for task in &self.loops {
            task.abort();
        }
    }
}

impl Stage for StandIn {
    async fn work(&self, task_context: TaskContext) -> Result<TaskOutcome, Failure> {
        let state = &task_context.state;
        match task_context.task.duty {
            Duty::Plan => {
                let mut plan = Planned::clone(self.plan.as_ref().unwrap());
                plan.head.job_id = state.job_id.clone();
                plan.head.file_id = state.file_id().clone();
                Ok(TaskOutcome::Plan(Box::new(plan)))
            }
            Duty::Video(_) | Duty::Tracks => {
                tokio::time::sleep(self.cost).await;

                let keys = self
                    .jobs
                    .keys(&state.accepted.fact.output_prefix, &state.job_id);
                let key = keys.parts(&task_context.task.to_string(), task_context.attempt);
                let kind = ObjectKind::private("application/octet-stream");
                self.jobs
                    .output
                    .put(&key, "a chunk".into(), kind)
                    .await
                    .unwrap();
                let made = Box::<TaskOutput>::default();
                Ok(TaskOutcome::Output(Box::new(DoneOutput::Inline(made))))
            }
            Duty::Playlist => unreachable!("playlists go around the steps"),
            Duty::Finish => {
                self.publish(&task_context).await;
                Ok(TaskOutcome::Commit)
            }
        }
    }
}

impl StandIn {
    /// Writes what a commit needs.
    async fn publish(&self, task_context: &TaskContext) {
        let state = &task_context.state;
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
            planned: state.plan().unwrap().clone(),
            made: Vec::new(),
            seal: String::new(),
        };

        let (output, receipt_key, commit_key) = (&self.jobs.output, keys.receipt(), keys.commit());
        let written = futures::try_join!(
            output.put(
                &receipt_key,
                receipt.encode(),
                ObjectKind::private("application/json")
            ),
            output.put(&commit_key, "#EXTM3U\n".into(), ObjectKind::Master),
        );
        written.unwrap();
    }
}
