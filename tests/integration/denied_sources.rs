//! A source that the storage denies is waited for like a missing one, and requested again in the
//! middle of its job: no single answer ends a job, no attempt is counted for it, and a wrong clock
//! is reported as such.

use serde_json::json;
use streams::code::Class;
use streams::fact::Ended;
use streams::task::TaskName;
use streams::{Code, FactKind, JobId};

use crate::harness::clip::moving;
use crate::harness::database::Engine;
use crate::harness::fault::{Mishap, Which};
use crate::harness::proxy::Fault;
use crate::harness::until;
use crate::harness::worker::readiness;
use crate::harness::world::{World, job_of};
use crate::storage_faults::{
    REFUSED, all, clip, counted, failed_once, hasty, key_of, released, turned_back, verified,
};

/// Why attempts are given back whose source could not be had.
const REASON: &str = "awaits_source";

/// Denials that a read in place survives: one, and three on end.
const FEW: [u64; 2] = [1, 3];

/// Denials on end that no read in place survives.
const MANY: u64 = 6;

fn denied(method: &'static str, key: &str, times: u64) -> Fault {
    Fault::First {
        which: Which::Method(method, key.to_owned()),
        times,
        mishap: Mishap::Answer(403, "AccessDenied"),
    }
}

fn denied_for_good(key: &str) -> Fault {
    Fault::Strike {
        which: Which::Path(key.to_owned()),
        percent: 100,
        mishaps: REFUSED,
    }
}

/// A job whose source is denied so often while it is planned, by all roles.
async fn planned_through(method: &'static str, times: u64) {
    let world = World::new(Engine::Sqlite).await;
    let clip = moving("320x180", 8.0).make().await;
    let event = world.event(&clip).await;
    world.proxy.set(denied(method, &key_of(&event), times));
    let _worker = hasty(&world, "one").setting("SOURCE_WAIT", 600).start();
    world.streams.upload(&event).await;
    let job = job_of(&event);
    verified(&world, &job, &clip).await;
    assert_eq!(
        world.proxy.cuts(),
        times,
        "{method} was to be denied {times} times"
    );
    counted_once(&world, &job).await;
}

/// Every task of the job counts one start: those given back do not.
async fn counted_once(world: &World, job: &JobId) {
    let tasks = u64::try_from(world.planned(job).await.tasks.len()).expect("a plan has few tasks");
    // The plan and the finish are no tasks of the plan.
    assert_eq!(counted(world, job).await, tasks + 2);
}

fn denied_forever(ended: &Ended) {
    let error = ended.error.as_ref().expect("it failed");
    assert_eq!(error.class, Class::Permanent, "{error:?}");
    for word in [
        "does not allow this service to read",
        "403 AccessDenied",
        "s3:GetObject",
        "s3:ListBucket",
    ] {
        assert!(error.message.contains(word), "{word}: {}", error.message);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_denial_of_looking_the_source_up_costs_no_attempt() {
    for times in FEW {
        planned_through("HEAD", times).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_of_reading_the_source_while_planning_costs_no_attempt() {
    for times in [FEW[0], MANY] {
        planned_through("GET", times).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_of_reading_the_source_while_encoding_costs_no_attempt() {
    for times in [FEW[0], MANY] {
        let world = World::new(Engine::Sqlite).await;
        let clip = clip().await;
        let event = world.event(&clip).await;
        let job = world.plan_alone(&event).await;
        world.proxy.set(denied("GET", &key_of(&event), times));
        let _worker = hasty(&world, "one").setting("SOURCE_WAIT", 600).start();
        verified(&world, &job, &clip).await;
        assert_eq!(world.proxy.cuts(), times);
        counted_once(&world, &job).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_denied_for_good_ends_its_job_as_storage_denied_after_source_wait() {
    let world = World::new(Engine::Sqlite).await;
    let clip = clip().await;
    let (planned, unplanned) = (world.event(&clip).await, world.event(&clip).await);
    let encoded = world.plan_alone(&planned).await;
    // Both keys end so.
    world.proxy.set(Fault::Strike {
        which: Which::Uploaded,
        percent: 100,
        mishaps: REFUSED,
    });
    let worker = hasty(&world, "one").start();
    world.streams.upload(&unplanned).await;
    for job in [encoded, job_of(&unplanned)] {
        let ended = failed_once(&world, &job, Code::StorageDenied).await;
        denied_forever(&ended);
        assert!(
            released(&world, &job, REASON).await > 0,
            "the denial is on record"
        );
    }
    // Of the other job tasks may have been at work when one of them gave it up: their starts end
    // with it, and are not given back.
    assert_eq!(counted(&world, &job_of(&unplanned)).await, 0);
    assert_eq!(
        readiness(&worker).await.status,
        200,
        "one source is no obstacle to all others"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_comes_late_to_a_bucket_we_may_not_list_is_waited_for() {
    let world = World::new(Engine::Sqlite).await;
    let clip = moving("320x180", 8.0).make().await;
    let mut event = world.event(&clip).await;
    // Without s3:ListBucket, S3 reports a missing object as a denial.
    let key = format!("uploads/{}", cuid2::create_id());
    event["file_url"] = json!(world.url(&key));
    world.proxy.set(denied_for_good(&key));
    let _worker = hasty(&world, "one").setting("SOURCE_WAIT", 600).start();
    world.streams.upload(&event).await;
    let job = job_of(&event);
    until("the denial is on record", async || {
        released(&world, &job, REASON).await > 0
    })
    .await;
    world.upload_as(&key, &clip).await;
    world.proxy.set(Fault::None);
    verified(&world, &job, &clip).await;
    counted_once(&world, &job).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn since_when_a_source_is_denied_outlives_the_process_that_saw_it() {
    let world = World::new(Engine::Sqlite).await;
    let clip = clip().await;
    let event = world.event(&clip).await;
    world.proxy.set(denied_for_good(&key_of(&event)));
    let mut first = hasty(&world, "first").setting("SOURCE_WAIT", 600).start();
    world.streams.upload(&event).await;
    let job = job_of(&event);
    until("the denial is on record", async || {
        released(&world, &job, REASON).await > 0
    })
    .await;
    first.kill().await;
    let started = world.starts(&job).await;
    // It waits no longer than the record says, and starts nothing to find out.
    let _second = hasty(&world, "second").setting("SOURCE_WAIT", 0).start();
    denied_forever(&failed_once(&world, &job, Code::StorageDenied).await);
    assert_eq!(world.starts(&job).await, started);
    assert_eq!(started, [(TaskName::PLAN, 1)].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_clocks_differ_jobs_wait_and_readiness_says_by_how_much() {
    let world = World::new(Engine::Sqlite).await;
    let clip = moving("320x180", 8.0).make().await;
    let event = world.event(&clip).await;
    world
        .proxy
        .set(all(100, &[Mishap::Dated(403, "RequestTimeTooSkewed", -60)]));
    let worker = hasty(&world, "one").start();
    world.streams.upload(&event).await;
    let job = job_of(&event);
    let told = async || String::from_utf8(readiness(&worker).await.body).unwrap();
    until("readiness names the clock", async || {
        let told = told().await;
        told.contains("the clocks of this service and of the storage differ")
            && told.contains("60 min")
    })
    .await;
    assert_eq!(readiness(&worker).await.status, 503);
    turned_back(&worker, 2).await;
    let said = worker.said();
    assert!(
        said.lines().any(|line| line.contains("WARN")
            && line.contains("the clocks")
            && line.contains("60 min")),
        "{said}"
    );
    assert!(!world.facts(&job).await.contains_key(&FactKind::Ended));
    world.proxy.set(Fault::None);
    verified(&world, &job, &clip).await;
    counted_once(&world, &job).await;
    until("the worker is ready again", async || {
        readiness(&worker).await.status == 200
    })
    .await;
}
