//! A storage that throttles, breaks off, stalls, is down or denies access costs time, but no job; a
//! source that is not what it was ends its job once.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use streams::fact::{Ended, Outcome};
use streams::task::TaskName;
use streams::work::WorkKind;
use streams::{Code, FactKind, JobId, subject, topology};

use crate::harness::clip::{Clip, moving};
use crate::harness::database::Engine;
use crate::harness::fault::{Mishap, Which};
use crate::harness::output::verify;
use crate::harness::process::Process;
use crate::harness::proxy::Fault;
use crate::harness::until;
use crate::harness::worker::{Worker, page, readiness};
use crate::harness::world::{World, file_of, job_of};

/// Three chunks of as little work as there can be.
pub(crate) async fn clip() -> Clip {
    moving("320x180", 40.0).rate("10").make().await
}

/// A worker that gives up a stalled transfer sooner than in production.
pub(crate) fn hasty<'a>(world: &'a World, name: &str) -> Worker<'a> {
    world.worker(name).setting("S3_STALL_TIMEOUT", 2)
}

pub(crate) fn all(percent: u64, mishaps: &'static [Mishap]) -> Fault {
    Fault::Strike {
        which: Which::All,
        percent,
        mishaps,
    }
}

const TROUBLES: &[Mishap] = &[
    Mishap::Answer(503, "SlowDown"),
    Mishap::Answer(500, "InternalError"),
    Mishap::CutRequest,
    Mishap::CutAnswer,
    Mishap::Trickle(Duration::from_millis(5)),
];

pub(crate) const REFUSED: &[Mishap] = &[Mishap::Answer(403, "AccessDenied")];

pub(crate) async fn verified(world: &World, job: &JobId, clip: &Clip) {
    let ended = world.completed(job).await;
    verify(&ended, &world.planned(job).await, &clip.path).await;
    assert_eq!(world.facts(job).await[&FactKind::Ended], 1);
}

/// Waits until the worker has sent tasks back to the queue so often without starting them.
pub(crate) async fn turned_back(worker: &Process, times: u64) {
    until("tasks wait for the storage", async || {
        let metrics = String::from_utf8(page(worker, "/metrics").await.body).unwrap();
        let waits = metrics
            .lines()
            .filter(|line| line.starts_with("fluxhls_storage_waits_total{"));
        let waits = waits.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        waits.sum::<u64>() >= times
    })
    .await;
}

/// How often attempts were given back for this reason.
pub(crate) async fn released(world: &World, job: &JobId, reason: &str) -> usize {
    let filter = format!("hls.v1.work.{job}.released.>");
    let messages = world.streams.all(topology::WORK, &filter).await;
    messages
        .iter()
        .filter(|message| message.json()["reason"] == reason)
        .count()
}

/// Starts of all tasks that count.
pub(crate) async fn counted(world: &World, job: &JobId) -> u64 {
    let counts = world
        .streams
        .counts(topology::WORK, &subject::work_of(job))
        .await;
    let sum = |wanted: WorkKind| -> u64 {
        let of_kind = counts.iter().filter(|(subject, _)| {
            subject::parse_work(subject).is_some_and(|(_, kind, _)| kind == wanted)
        });
        of_kind.map(|(_, count)| count).sum()
    };
    sum(WorkKind::Attempt) - sum(WorkKind::Released)
}

/// The job failed once, with this code. Each task that failed left one dead letter: two may fail
/// before either knows of the other.
pub(crate) async fn failed_once(world: &World, job: &JobId, code: Code) -> Ended {
    let ended = world.ended(job).await;
    assert_eq!(ended.outcome, Outcome::Failed);
    assert_eq!(
        ended.error.as_ref().unwrap().code,
        code,
        "{:?}",
        ended.error
    );
    world.queue_is_empty().await;
    assert_eq!(world.facts(job).await[&FactKind::Ended], 1);
    let letters = world
        .streams
        .counts(topology::DEAD, &format!("hls.v1.dead.*.{job}.*"))
        .await;
    assert!(!letters.is_empty(), "no task of {job} left a dead letter");
    assert!(letters.values().all(|of_task| *of_task == 1), "{letters:?}");
    ended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_of_which_a_third_of_the_answers_fail_costs_few_attempts() {
    let world = World::new(Engine::Sqlite).await;
    let clip = clip().await;
    world.proxy.set(all(30, TROUBLES));
    let _worker = hasty(&world, "one").start();
    let job = world.submit(&clip).await;
    world.streams.fact(&job, FactKind::Ended).await;
    let struck = world.proxy.cuts();
    world.proxy.set(Fault::None);
    verified(&world, &job, &clip).await;
    assert!(struck > 10, "only {struck} requests were struck");
    // Plan, three chunks, tracks and finish.
    let counted = counted(&world, &job).await;
    assert!((6..=16).contains(&counted), "{counted} attempts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_that_stand_still_are_noticed_and_sent_again() {
    let mut world = World::new(Engine::Sqlite).await;
    let clip = clip().await;
    let job = world.plan_alone(&world.event(&clip).await).await;
    world.proxy.set(Fault::Strike {
        which: Which::Uploads,
        percent: 100,
        mishaps: &[Mishap::StallRequest],
    });
    let _worker = hasty(&world, "one").start();
    // The second one is the first one sent again, or another that is under way: then the connection
    // of the first is still open.
    world.proxy.has_cut(6).await;
    world.proxy.set(Fault::None);
    verified(&world, &job, &clip).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_stands_still_is_noticed_and_read_again() {
    let mut world = World::new(Engine::Sqlite).await;
    let clip = clip().await;
    let event = world.event(&clip).await;
    let job = world.plan_alone(&event).await;
    world.proxy.set(Fault::Strike {
        which: Which::Path(key_of(&event)),
        percent: 100,
        mishaps: &[Mishap::StallAnswer],
    });
    let worker = hasty(&world, "one").start();
    until("the server of the source gives up", async || {
        worker.said().contains("source fault")
    })
    .await;
    world.proxy.has_cut(1).await;
    world.proxy.set(Fault::None);
    verified(&world, &job, &clip).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_storage_is_away_tasks_wait_without_attempts() {
    let world = World::new(Engine::Postgresql).await;
    let clip = clip().await;
    let job = world.plan_alone(&world.event(&clip).await).await;
    world.proxy.set(Fault::Refuse);
    let worker = hasty(&world, "one").start();
    until("a task failed and the circuit opened", async || {
        worker
            .said()
            .contains("no task is started until this is fixed")
    })
    .await;
    let before = counted(&world, &job).await;
    turned_back(&worker, 4).await;
    let after = counted(&world, &job).await;
    assert!(
        after <= before + 2,
        "{before} attempts, {after} after a while"
    );
    world.proxy.set(Fault::None);
    verified(&world, &job, &clip).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_credentials_make_jobs_wait_and_the_worker_unready_until_they_are_good_again() {
    let world = World::new(Engine::Sqlite).await;
    let clip = clip().await;
    let mut event = world.event(&clip).await;
    event["settings"] = json!({ "max_attempts": 2 });
    let job = world.plan_alone(&event).await;
    // Nothing is encoded yet: the first chunk is started with rights that are gone.
    let worker = hasty(&world, "one").pauses_at("step.attempt").start();
    worker.has_stopped().await;
    world.proxy.set(all(100, REFUSED));
    worker.signal(Signal::SIGCONT);
    let told = async || String::from_utf8(readiness(&worker).await.body).unwrap();
    until("the worker reports what is refused", async || {
        let told = told().await;
        told.contains("the storage refuses this service") && told.contains("403 AccessDenied")
    })
    .await;
    assert_eq!(readiness(&worker).await.status, 503);
    let starts = || async { world.starts(&job).await.values().sum::<u64>() };
    let before = starts().await;
    turned_back(&worker, 4).await;
    assert!(
        starts().await <= before + 2,
        "tasks are started in vain: {before} and then {}",
        starts().await
    );
    assert!(!world.facts(&job).await.contains_key(&FactKind::Ended));
    world.proxy.set(Fault::None);
    verified(&world, &job, &clip).await;
    until("the worker is ready again", async || {
        readiness(&worker).await.status == 200
    })
    .await;
    assert!(
        released(&world, &job, "operator").await > 0,
        "an attempt was given back"
    );
    assert!(
        counted(&world, &job).await <= 5 + 1,
        "no attempt was counted twice"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_replaced_or_deleted_in_mid_job_ends_its_job_once() {
    let world = World::new(Engine::Sqlite).await;
    let (clip, other) = (clip().await, moving("320x180", 8.0).make().await);
    let (replaced, deleted) = (world.event(&clip).await, world.event(&clip).await);
    let jobs = [
        world.plan_alone(&replaced).await,
        world.plan_alone(&deleted).await,
    ];
    world.upload_as(&key_of(&replaced), &other).await;
    world.bucket.delete(&[key_of(&deleted)]).await.unwrap();
    let _worker = hasty(&world, "one").start();
    failed_once(&world, &jobs[0], Code::SourceChanged).await;
    failed_once(&world, &jobs[1], Code::SourceNotFound).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_lost_between_done_and_finish_is_made_again_once() {
    let world = World::new(Engine::Sqlite).await;
    let clip = clip().await;
    let event = world.event(&clip).await;
    let job = job_of(&event);
    let _makers: Process = world
        .worker("makers")
        .roles("intake,plan,encode,project")
        .start();
    world.streams.upload(&event).await;
    for task in world.planned(&job).await.tasks {
        let done = subject::work(&job, WorkKind::Done, task.task);
        world.streams.first(topology::WORK, &done, |_| true).await;
    }
    let segment = objects(&world, &event)
        .await
        .into_iter()
        .find(|key| key.ends_with(".m4s"))
        .unwrap();
    world
        .bucket
        .delete(std::slice::from_ref(&segment))
        .await
        .unwrap();
    let _packager = world.worker("packager").roles("package").start();
    verified(&world, &job, &clip).await;
    let starts = world.starts(&job).await;
    let redone: Vec<TaskName> = starts
        .keys()
        .copied()
        .filter(|task| task.plain() != *task)
        .collect();
    assert_eq!(redone.len(), 1, "{starts:?}");
    assert!(
        starts
            .iter()
            .all(|(task, starts)| *starts == 1 || *task == TaskName::FINISH),
        "{starts:?}"
    );
}

async fn objects(world: &World, event: &Value) -> Vec<String> {
    let prefix = format!("hls/{}/{}/", file_of(event), job_of(event));
    let objects = world.bucket.list(&prefix).await.unwrap();
    objects.into_iter().map(|object| object.key).collect()
}

pub(crate) fn key_of(event: &Value) -> String {
    event["file_url"]
        .as_str()
        .unwrap()
        .split_once("/uploads/")
        .map(|(_, key)| format!("uploads/{key}"))
        .unwrap()
}
