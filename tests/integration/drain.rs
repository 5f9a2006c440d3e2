//! The end of a process has one deadline, whatever is away: `GRACE_PERIOD`, then ffmpeg is killed,
//! and five seconds later it leaves. What it leaves undone others do, as after `kill -9`.

use std::time::Duration;

use nix::sys::signal::Signal;
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use streams::task::Duty;
use streams::work::{Attempt, WorkKind};
use streams::{FactKind, JobId, subject, topology};

use crate::harness::clip::{Clip, long};
use crate::harness::database::Engine;
use crate::harness::output::verify;
use crate::harness::process::{Process, mentioning};
use crate::harness::proxy::Fault;
use crate::harness::until;
use crate::harness::worker::{readiness, work_dir};
use crate::harness::world::World;

/// Long enough for a process that ends by its deadline on a busy machine; what waited without one
/// never ended, or took minutes.
const BOUND: Duration = Duration::from_secs(60);

fn is_chunk(attempt: &Attempt) -> bool {
    matches!(attempt.task.duty, Duty::Video(_))
}

async fn is_ready(worker: &Process) {
    until("the worker is ready", async || {
        readiness(worker).await.status == 200
    })
    .await;
}

/// Waits for its end after a signal, and returns its exit code. No ffmpeg outlives it.
async fn ended(world: &World, worker: &mut Process, name: &str) -> Option<i32> {
    let status = worker.ended_within(BOUND).await;
    until("no ffmpeg of it is left", async || {
        mentioning(&work_dir(world, name)).is_empty()
    })
    .await;
    status.code()
}

/// Another worker ends the job, once.
async fn is_done_by_another(world: &World, job: &JobId, clip: &Clip) {
    let _other = world.worker("other").start();
    let ended = world.completed(job).await;
    verify(&ended, &world.planned(job).await, &clip.path).await;
    assert_eq!(world.facts(job).await[&FactKind::Ended], 1);
    world.queue_is_empty().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_process_leaves_while_nats_is_frozen() {
    let world = World::new(Engine::Sqlite).await;
    let mut worker = world.worker("idle").setting("GRACE_PERIOD", 10).start();
    is_ready(&worker).await;
    world.nats.signal(Signal::SIGSTOP);
    worker.signal(Signal::SIGTERM);
    assert_eq!(ended(&world, &mut worker, "idle").await, Some(0));
    world.nats.signal(Signal::SIGCONT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_process_leaves_while_nats_is_down() {
    let mut world = World::new(Engine::Sqlite).await;
    let mut worker = world.worker("idle").setting("GRACE_PERIOD", 10).start();
    is_ready(&worker).await;
    world.nats.kill().await;
    until("it has noticed", async || {
        readiness(&worker).await.status == 503
    })
    .await;
    worker.signal(Signal::SIGTERM);
    assert_eq!(ended(&world, &mut worker, "idle").await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_process_leaves_while_nats_is_frozen_and_its_job_is_done_by_another() {
    let world = World::new(Engine::Sqlite).await;
    let clip = long().make().await;
    let mut worker = world.worker("busy").setting("GRACE_PERIOD", 1).start();
    let job = world.submit(&clip).await;
    world.started(&job, is_chunk).await;
    world.nats.signal(Signal::SIGSTOP);
    worker.signal(Signal::SIGTERM);
    assert_eq!(
        ended(&world, &mut worker, "busy").await,
        Some(1),
        "it could release nothing"
    );
    assert!(
        worker
            .said()
            .contains("exited before all tasks were released"),
        "{}",
        worker.said()
    );
    world.nats.signal(Signal::SIGCONT);
    is_done_by_another(&world, &job, &clip).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_process_leaves_while_nats_is_down_and_its_job_is_done_by_another() {
    let mut world = World::new(Engine::Postgresql).await;
    let clip = long().make().await;
    let mut worker = world.worker("busy").setting("GRACE_PERIOD", 1).start();
    let job = world.submit(&clip).await;
    world.started(&job, is_chunk).await;
    world.nats.kill().await;
    worker.signal(Signal::SIGTERM);
    assert_eq!(
        ended(&world, &mut worker, "busy").await,
        Some(1),
        "it could release nothing"
    );
    world.nats.restart().await;
    is_done_by_another(&world, &job, &clip).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_leaves_while_the_storage_is_frozen_and_its_chunk_counts_no_attempt() {
    let world = World::new(Engine::Sqlite).await;
    let clip = long().make().await;
    let mut worker = world.worker("busy").setting("GRACE_PERIOD", 1).start();
    let job = world.submit(&clip).await;
    // From then on playlists grow, too, which go around the steps of other tasks.
    world.streams.fact(&job, FactKind::Playable).await;
    let chunk = world
        .started(&job, |attempt| {
            is_chunk(attempt) && attempt.task != streams::TaskName::video(0)
        })
        .await;
    world.proxy.set(Fault::Delay(Duration::from_secs(3600)));
    worker.signal(Signal::SIGTERM);
    let code = ended(&world, &mut worker, "busy").await;
    // Whether a playlist was being written at that moment is chance.
    assert!(matches!(code, Some(0 | 1)), "{code:?}");
    let released = subject::work(&job, WorkKind::Released, chunk.task);
    let released = world
        .streams
        .first(topology::WORK, &released, |_| true)
        .await;
    assert_eq!(released.json()["reason"], "shutdown");
    world.proxy.set(Fault::None);
    is_done_by_another(&world, &job, &clip).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_leaves_while_the_database_is_locked_idle_and_busy() {
    for busy in [false, true] {
        let world = World::new(Engine::Sqlite).await;
        let clip = long().make().await;
        let mut worker = world.worker("locked").setting("GRACE_PERIOD", 1).start();
        is_ready(&worker).await;
        let lock = world.database.connection().begin().await.unwrap();
        lock.execute_unprepared(
            "UPDATE files SET id = id WHERE 1 = 0; DELETE FROM seaql_migrations WHERE 1 = 0",
        )
        .await
        .unwrap();
        let job = if busy {
            let job = world.submit(&clip).await;
            world.started(&job, is_chunk).await;
            Some(job)
        } else {
            None
        };
        worker.signal(Signal::SIGTERM);
        assert_eq!(ended(&world, &mut worker, "locked").await, Some(0));
        lock.rollback().await.unwrap();
        if let Some(job) = job {
            is_done_by_another(&world, &job, &clip).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_leaves_at_once_and_the_job_is_done_by_another() {
    let world = World::new(Engine::Sqlite).await;
    let clip = long().make().await;
    let mut worker = world
        .worker("hurried")
        .setting("GRACE_PERIOD", 3600)
        .start();
    let job = world.submit(&clip).await;
    world.started(&job, is_chunk).await;
    worker.signal(Signal::SIGTERM);
    until("it is stopping", async || {
        worker.said().contains("stopping; tasks in work may finish")
    })
    .await;
    worker.signal(Signal::SIGINT);
    assert_eq!(ended(&world, &mut worker, "hurried").await, Some(1));
    is_done_by_another(&world, &job, &clip).await;
}
