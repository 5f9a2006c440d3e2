//! Several workers on one job: they share it, and the death or the leaving of one costs little and
//! changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use fluxhls::job::failure::Failure;
use fluxhls::job::{self, JobState, Jobs, Readiness, Stage, TaskContext, TaskOutcome};
use fluxhls::worker::admission::Reservation;
use futures::StreamExt as _;
use jetstream::{Delivery, Disposition};
use nix::sys::signal::Signal;
use streams::task::{Duty, TaskName};
use streams::work::{Attempt, WorkKind};
use streams::{Class, Code, FactKind, JobId, subject, topology};
use tokio_util::sync::CancellationToken;

use crate::harness::clip::{Clip, long, moving};
use crate::harness::database::Engine;
use crate::harness::output::{Published, verify};
use crate::harness::world::World;

/// A chunk of pictures started by `worker`.
fn chunk_of(worker: &'static str) -> impl FnMut(&Attempt) -> bool {
    move |attempt| attempt.worker == worker && matches!(attempt.task.duty, Duty::Video(_))
}

async fn verify_whole(world: &World, job: &JobId, clip: &Clip) -> Published {
    let ended = world.completed(job).await;
    let published = verify(&ended, &world.planned(job).await, &clip.path).await;
    assert_eq!(world.facts(job).await[&FactKind::Ended], 1);
    published
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_share_one_video_and_it_ends_once() {
    let world = World::new(Engine::Postgresql).await;
    let clip = moving("640x360", 60.0).rate("12").make().await;
    let (_one, _two) = (world.worker("one").start(), world.worker("two").start());
    let job = world.submit(&clip).await;
    verify_whole(&world, &job, &clip).await;

    let results = world.results(&job).await;
    let chunks = |worker: &str| {
        results
            .iter()
            .filter(|done| done.worker == worker && matches!(done.task.duty, Duty::Video(_)))
            .count()
    };
    assert!(
        chunks("one") > 0 && chunks("two") > 0,
        "one encoded {} chunks, two {}",
        chunks("one"),
        chunks("two")
    );
    assert!(world.starts(&job).await.values().all(|starts| *starts == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_fails_no_segment_is_written_twice() {
    let world = World::new(Engine::Sqlite).await;
    let clip = moving("640x360", 60.0).rate("12").make().await;
    let (_one, _two) = (world.worker("one").start(), world.worker("two").start());
    let job = world.submit(&clip).await;
    let published = verify_whole(&world, &job, &clip).await;

    let writes = world.proxy.segment_writes();
    let listed: usize = published.tracks().map(|track| track.segments.len()).sum();
    assert_eq!(writes.len(), listed, "{writes:?}");
    assert!(writes.values().all(|count| *count == 1), "{writes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_costs_at_most_the_chunks_it_held() {
    let world = World::new(Engine::Sqlite).await;
    let clip = long().make().await;
    let mut target = world.worker("target").start();
    let job = world.submit(&clip).await;
    world.started(&job, chunk_of("target")).await;
    target.kill().await;
    let _survivor = world.worker("survivor").start();
    verify_whole(&world, &job, &clip).await;

    let held = held_by(&world, &job, "target").await;
    let again: Vec<TaskName> = world
        .starts(&job)
        .await
        .into_iter()
        .filter(|(_, starts)| *starts > 1)
        .map(|(task, _)| task)
        .collect();
    assert!(!again.is_empty(), "the kill hit a task in work");
    assert!(
        again.iter().all(|task| held.contains(task)),
        "{again:?} were done again, {held:?} were held"
    );
}

/// Chunks and tracks that a worker started and gave no result of.
async fn held_by(world: &World, job: &JobId, worker: &str) -> Vec<TaskName> {
    let starts = world
        .streams
        .all(topology::WORK, &format!("hls.v1.work.{job}.attempt.>"))
        .await;
    let starts = starts
        .iter()
        .map(|message| serde_json::from_slice::<Attempt>(&message.payload).unwrap());
    let results = world.results(job).await;
    let gave = |task| {
        results
            .iter()
            .any(|done| done.task == task && done.worker == worker)
    };
    let encodes = |task: TaskName| matches!(task.class(), Class::Encode | Class::Tracks);
    starts
        .filter(|start| start.worker == worker && encodes(start.task) && !gave(start.task))
        .map(|start| start.task)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_must_stop_at_once_hands_its_task_back_and_nothing_is_counted() {
    let world = World::new(Engine::Postgresql).await;
    let clip = long().make().await;
    let mut leaving = world.worker("leaving").setting("GRACE_PERIOD", 0).start();
    let job = world.submit(&clip).await;
    let start = world.started(&job, chunk_of("leaving")).await;
    leaving.signal(Signal::SIGTERM);
    let status = leaving.ended_within(Duration::from_secs(20)).await;
    assert_eq!(status.code(), Some(0), "{status}");
    let released = subject::work(&job, WorkKind::Released, start.task);
    let released = world
        .streams
        .first(topology::WORK, &released, |_| true)
        .await;
    assert_eq!(released.json()["reason"], "shutdown");

    let _staying = world.worker("staying").start();
    // Well before the thirty seconds after which the server itself would have given the task to
    // another.
    let begun = std::time::Instant::now();
    let again = world
        .started(&job, |again| {
            again.worker == "staying" && again.task == start.task
        })
        .await;
    assert!(
        begun.elapsed() < topology::ACK_WAIT,
        "{again:?} came only after {:?}",
        begun.elapsed()
    );
    verify_whole(&world, &job, &clip).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_may_take_its_time_finishes_its_task_and_takes_no_other() {
    let world = World::new(Engine::Sqlite).await;
    let clip = long().make().await;
    let mut leaving = world.worker("leaving").setting("GRACE_PERIOD", 120).start();
    let job = world.submit(&clip).await;
    let start = world.started(&job, chunk_of("leaving")).await;
    leaving.signal(Signal::SIGTERM);
    let status = leaving.ended_within(Duration::from_secs(120)).await;
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(
        held_by(&world, &job, "leaving").await.is_empty(),
        "everything it started has a result"
    );
    assert!(
        world
            .results(&job)
            .await
            .iter()
            .any(|done| done.task == start.task)
    );

    let _staying = world.worker("staying").start();
    verify_whole(&world, &job, &clip).await;
    assert!(world.starts(&job).await.values().all(|starts| *starts == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_frozen_wakes_up_and_changes_nothing() {
    let world = World::new(Engine::Postgresql).await;
    let clip = long().make().await;
    let frozen = world.worker("frozen").roles("intake,plan,encode").start();
    let job = world.submit(&clip).await;
    let start = world.started(&job, chunk_of("frozen")).await;
    frozen.signal(Signal::SIGSTOP);
    let _awake = world.worker("awake").start();
    let again = world
        .started(&job, |again| {
            again.worker == "awake" && again.task == start.task
        })
        .await;
    frozen.signal(Signal::SIGCONT);
    verify_whole(&world, &job, &clip).await;
    assert_eq!(again.task, start.task);
    let once = BTreeMap::from(
        [
            FactKind::Accepted,
            FactKind::Planned,
            FactKind::Verdict,
            FactKind::Ended,
        ]
        .map(|kind| (kind, 1)),
    );
    assert_eq!(world.facts(&job).await, once);
    let results = world.results(&job).await;
    assert_eq!(
        results
            .iter()
            .filter(|done| done.task == start.task)
            .count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_survives_the_death_of_the_nats_server() {
    let mut world = World::new(Engine::Sqlite).await;
    let clip = long().make().await;
    let _worker = world.worker("one").start();
    let job = world.submit(&clip).await;
    world.started(&job, chunk_of("one")).await;
    world.nats.kill().await;
    world.nats.restart().await;
    verify_whole(&world, &job, &clip).await;
}

/// A stage that another worker outruns while it looks whether it can start, and what it then finds.
#[derive(Debug, Clone)]
struct Outrun(Jobs, fn() -> Readiness);

impl Stage for Outrun {
    async fn readiness(&self, state: &JobState, task: TaskName) -> Readiness {
        let other = Attempt::new(state.job_id.clone(), task, "other");
        let subject = subject::work(&state.job_id, WorkKind::Attempt, task);
        let body = serde_json::to_vec(&other).unwrap();
        let sent = self
            .0
            .log
            .nats()
            .js
            .publish(subject, body.into())
            .await
            .unwrap();
        sent.await.unwrap();
        self.1()
    }

    async fn work(&self, task_context: TaskContext) -> Result<TaskOutcome, Failure> {
        panic!("{task_context:?} was started though another worker had it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_sleeps_before_its_start_leaves_the_task_to_who_started_it() {
    let world = World::new(Engine::Sqlite).await;
    let mut intake = world.worker("intake").roles("intake").start();
    let job = world.submit(&moving("320x180", 2.0).make().await).await;
    let tasks = world.streams.js.get_stream(topology::TASKS).await.unwrap();
    let plan: PullConsumer = tasks.get_consumer("plan").await.unwrap();
    let message = plan
        .messages()
        .await
        .unwrap()
        .next()
        .await
        .unwrap()
        .unwrap();
    intake.kill().await;
    let jobs = world.access().await;
    let delivery = Arc::new(Delivery::new(message, jobs.log.nats()).unwrap());
    let finds: [fn() -> Readiness; 3] = [
        || Readiness::Ready(Reservation::default()),
        || Readiness::Wait(Duration::ZERO),
        || Readiness::Never(Failure::from_code(Code::SourceNotFound)),
    ];
    for (find, starts) in finds.into_iter().zip(1..) {
        let stage = Outrun(jobs.clone(), find);
        let stop = CancellationToken::new();
        let disposition = job::run(jobs.clone(), stage, Arc::clone(&delivery), stop).await;
        assert_eq!(
            disposition,
            Disposition::LeaveUnacked,
            "the task is the other's, who started it {starts} times"
        );
        assert_eq!(
            world.starts(&job).await,
            BTreeMap::from([(TaskName::PLAN, starts)])
        );
    }
    assert_eq!(
        world.facts(&job).await,
        BTreeMap::from([(FactKind::Accepted, 1)])
    );
}
