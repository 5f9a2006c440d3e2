//! Processes, what reaches them, and what befalls them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fluxhls::job::cancel::cancel_job;
use fluxhls::job::{CircuitBreaker, JobSettings, Jobs, run};
use fluxhls::pipeline::intake::Intake;
use fluxhls::pipeline::project::sweep::sweep_job;
use jetstream::testing::model::{Model, Process, RequestOutcome, Turn};
use jetstream::{Delivery, Disposition, Log, OutboundMessage, StoredMessage};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use storage::{Bucket, Locator};
use streams::fact::FactKind;
use streams::task::TaskName;
use streams::{JobId, subject, topology};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::actor::Actor;
use super::behavior::JobBehavior;

/// Most processes at a time.
const PROCESSES: usize = 6;
/// Requests and starts of the time of misfortune.
const STEPS: usize = 400;
/// Requests after which a process that works on and on is killed.
const OLD: usize = 300;
/// Rounds within which everything must have come to an end once misfortune is over.
const ROUNDS: usize = 100;
/// Starts per task.
const MAX_ATTEMPTS: u32 = 3;

/// One server, the processes around it, and what befell them.
pub(super) struct World {
    pub(super) model: Model,
    pub(super) starts: u64,
    pub(super) deaths: u64,
    pub(super) lost_answers: u64,
    random: StdRng,
    seed: u64,
    bucket: Bucket,
    processes: Vec<Running>,
}

/// A process that waits for its turn.
struct Running {
    turns: UnboundedReceiver<Turn>,
    held: Turn,
    requests: usize,
    task: JoinHandle<()>,
}

impl World {
    /// A world with a few upload events: some of one file, some sent twice, some that no job can
    /// come of, some of files that are deleted.
    pub(super) fn new(seed: u64, bucket: Bucket) -> Self {
        let mut world = Self {
            model: Model::default(),
            starts: 0,
            deaths: 0,
            lost_answers: 0,
            random: StdRng::seed_from_u64(seed),
            seed,
            bucket,
            processes: Vec::new(),
        };
        for _ in 0..world.random.random_range(1..=4) {
            let event = world.event();
            for _ in 0..world.random.random_range(1..=2) {
                world.publish(subject::UPLOAD, &event);
            }
            if world.random.random_bool(0.15) {
                let file = world.file();
                world.publish(subject::DELETE, &json!({ "file_id": file }));
            }
        }
        world
    }

    fn publish(&self, subject: &str, event: &serde_json::Value) {
        let body = event.to_string().into_bytes();
        self.model
            .publish(&OutboundMessage::json(subject.to_owned(), body));
    }

    /// One of two files, so that jobs meet under one prefix.
    fn file(&mut self) -> String {
        format!("s{}f{}", self.seed, self.random.random_range(0..2))
    }

    fn event(&mut self) -> serde_json::Value {
        let file = self.file();
        let (seed, random) = (self.seed, &mut self.random);
        let mut event = json!({
            "file_id": file, "name": format!("{:?}", JobBehavior::any(random)), "file_url": "s3://media/uploads/a.mp4",
            "size": random.random_range(0..64), "settings": {"max_attempts": MAX_ATTEMPTS},
        });
        if random.random_bool(0.7) {
            event["job_id"] = json!(format!("s{seed}j{}", random.random_range(0..1000)));
        }
        match random.random_range(0..20) {
            0 => event["file_id"] = json!("not an id"),
            1 => event["file_url"] = json!("s3://elsewhere/a.mp4"),
            // It claims the place of the other file.
            2 => event["output_prefix"] = json!(format!("hls/s{seed}f0/")),
            _ => {}
        }
        event
    }

    /// Faults: anything may start, continue, die or get no answer, in any order.
    pub(super) async fn suffer(&mut self) {
        for _ in 0..STEPS {
            let resume = self.processes.len() >= PROCESSES || self.random.random_bool(0.8);
            if resume && !self.processes.is_empty() {
                let chosen = self.random.random_range(0..self.processes.len());
                let fate = match self.random.random_range(0..100) {
                    0..4 => RequestOutcome::Unheard,
                    4..8 => RequestOutcome::Unanswered,
                    8..11 => RequestOutcome::DiesBefore,
                    11..14 => RequestOutcome::DiesAfter,
                    14..24 => RequestOutcome::Sleeps,
                    _ => RequestOutcome::Goes,
                };
                self.resume(chosen, fate).await;
            } else {
                self.start_any().await;
            }
        }
    }

    /// Whatever is queued is delivered, open jobs are swept, and nothing goes wrong any more but
    /// what is in the files. Whether everything came to an end.
    pub(super) async fn heal(&mut self) -> bool {
        for _ in 0..ROUNDS {
            while !self.processes.is_empty() {
                let chosen = self.random.random_range(0..self.processes.len());
                self.resume(chosen, RequestOutcome::Goes).await;
            }
            let events = self.unacknowledged();
            let tasks = self.model.messages(topology::TASKS);
            let open = self.open_jobs();
            if events.is_empty() && tasks.is_empty() && open.is_empty() {
                return true;
            }
            for event in events {
                self.take_in(event).await;
            }
            for task in tasks {
                self.work_on(task).await;
            }
            for job in open {
                self.sweep(job).await;
            }
        }
        false
    }

    /// As [`World::heal`], if the server refuses some messages: an open job that is a dead letter
    /// stays as it is.
    pub(super) async fn rest(&mut self) -> bool {
        for _ in 0..ROUNDS {
            while !self.processes.is_empty() {
                self.resume(0, RequestOutcome::Goes).await;
            }
            let (events, tasks) = (self.unacknowledged(), self.model.messages(topology::TASKS));
            let letters = self.model.messages(topology::DEAD);
            let is_dead = |job: &JobId| {
                letters
                    .iter()
                    .any(|letter| letter.subject.contains(&format!(".{job}.")))
            };
            let open: Vec<JobId> = self
                .open_jobs()
                .into_iter()
                .filter(|job| !is_dead(job))
                .collect();
            if events.is_empty() && tasks.is_empty() && open.is_empty() {
                return true;
            }
            for event in events {
                self.take_in(event).await;
            }
            for task in tasks {
                self.work_on(task).await;
            }
            for job in open {
                self.sweep(job).await;
            }
        }
        false
    }

    /// Every job there is.
    pub(super) fn jobs(&self) -> BTreeSet<JobId> {
        self.model
            .messages(topology::JOBS)
            .iter()
            .filter_map(|message| subject::parse_fact(&message.subject))
            .map(|(job, _)| job)
            .collect()
    }

    /// What the streams hold, for a failing test.
    pub(super) fn log(&self) -> String {
        let streams = [
            topology::UPLOADS,
            topology::JOBS,
            topology::WORK,
            topology::TASKS,
            topology::DEAD,
        ];
        let lines = streams.iter().flat_map(|stream| {
            let messages = self.model.messages(stream).into_iter();
            messages.map(move |message| {
                let body: String = String::from_utf8_lossy(&message.payload)
                    .chars()
                    .take(160)
                    .collect();
                format!("{stream} {} {} {body}\n", message.seq, message.subject)
            })
        });
        lines.collect()
    }

    fn open_jobs(&self) -> Vec<JobId> {
        let facts = self.model.messages(topology::JOBS);
        let ended = |job: &JobId| {
            facts
                .iter()
                .any(|fact| fact.subject == subject::fact(job, FactKind::Ended))
        };
        self.jobs().into_iter().filter(|job| !ended(job)).collect()
    }

    fn unacknowledged(&self) -> Vec<StoredMessage> {
        let mut events = self.model.messages(topology::UPLOADS);
        events.retain(|event| !self.model.is_acknowledged(topology::UPLOADS, event.seq));
        events
    }

    /// Delivers something again or for the first time, sweeps, or cancels.
    async fn start_any(&mut self) {
        let tasks = self.model.messages(topology::TASKS);
        let jobs: Vec<_> = self.jobs().into_iter().collect();
        match self.random.random_range(0..20) {
            0 if !jobs.is_empty() => {
                let job = self.one_of(jobs);
                self.sweep(job).await;
            }
            1 if !jobs.is_empty() && self.random.random_bool(0.1) => {
                let job = self.one_of(jobs);
                self.cancel(job).await;
            }
            // A server that was killed may deliver again what was acknowledged long ago.
            2 => {
                let event = self.one_of(self.model.messages(topology::UPLOADS));
                self.take_in(event).await;
            }
            3..9 if !self.unacknowledged().is_empty() => {
                let event = self.one_of(self.unacknowledged());
                self.take_in(event).await;
            }
            _ if !tasks.is_empty() => {
                let task = self.one_of(tasks);
                self.work_on(task).await;
            }
            _ => {}
        }
    }

    fn one_of<T>(&mut self, mut things: Vec<T>) -> T {
        things.swap_remove(self.random.random_range(0..things.len()))
    }

    async fn take_in(&mut self, event: StoredMessage) {
        self.start(async |jobs, process| {
            let locator = Locator::new(None, vec!["media".to_owned()], "media", None)
                .expect("no URL, no error");
            let delivery = Arc::new(Delivery::over(event, process));
            let disposition = Intake { jobs, locator }.take(Arc::clone(&delivery)).await;
            delivery.settle(disposition).await;
        })
        .await;
    }

    async fn work_on(&mut self, task: StoredMessage) {
        self.start(async |jobs, process| {
            let delivery = Arc::new(Delivery::over(task, process));
            let key = subject::parse_task(delivery.subject());
            let disposition = if key.is_some_and(|key| key.task == TaskName::PLAYLIST) {
                Disposition::Ack
            } else {
                let actor = Actor { jobs: jobs.clone() };
                run(jobs, actor, Arc::clone(&delivery), CancellationToken::new()).await
            };
            delivery.settle(disposition).await;
        })
        .await;
    }

    async fn sweep(&mut self, job: JobId) {
        self.start(async move |jobs, _| sweep_job(&jobs, &job).await)
            .await;
    }

    async fn cancel(&mut self, job: JobId) {
        self.start(async move |jobs, _| drop(cancel_job(&jobs, &job, "a person", None).await))
            .await;
    }

    async fn start<F>(&mut self, act: impl FnOnce(Jobs, Process) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (process, turns) = self.model.process();
        self.starts += 1;
        let jobs = Jobs {
            log: Log::new(process.clone()),
            output: self.bucket.clone(),
            settings: JobSettings {
                worker: format!("process-{}", self.starts),
                public_base_url: "https://cdn.example/".to_owned(),
                live_base_url: "https://store.example/".to_owned(),
                output_root: "hls/".to_owned(),
                source_wait: Duration::ZERO,
                retry_delay: Duration::ZERO,
            },
            breaker: CircuitBreaker::default(),
        };
        let task = tokio::spawn(act(jobs, process));
        self.wait(turns, task, 0).await;
    }

    async fn resume(&mut self, chosen: usize, fate: RequestOutcome) {
        let Running {
            turns,
            held,
            requests,
            task,
        } = self.processes.swap_remove(chosen);
        let fate = if requests > OLD {
            RequestOutcome::DiesAfter
        } else {
            fate
        };
        let _ = held.send(fate);
        match fate {
            RequestOutcome::DiesBefore | RequestOutcome::DiesAfter => {
                self.deaths += 1;
                // Whether it has been carried out is only certain once the process is idle.
                tokio::task::yield_now().await;
                task.abort();
            }
            RequestOutcome::Unheard | RequestOutcome::Unanswered => {
                self.lost_answers += 1;
                self.wait(turns, task, requests).await;
            }
            RequestOutcome::Goes | RequestOutcome::Sleeps => self.wait(turns, task, requests).await,
        }
    }

    /// Lets a process continue to its next request, or to its end.
    async fn wait(
        &mut self,
        mut turns: UnboundedReceiver<Turn>,
        task: JoinHandle<()>,
        requests: usize,
    ) {
        match turns.recv().await {
            Some(held) => self.processes.push(Running {
                turns,
                held,
                requests: requests + 1,
                task,
            }),
            None => task.await.expect("no process panics"),
        }
    }
}
