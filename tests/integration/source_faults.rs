//! A source that cannot be read to its end is never taken for a shorter one, whatever ffmpeg makes
//! of it.

use serde_json::json;
use streams::fact::Outcome;
use streams::task::TaskName;
use streams::{Code, FactKind, JobId};

use crate::harness::clip::{Clip, long, moving};
use crate::harness::database::Engine;
use crate::harness::output::verify;
use crate::harness::proxy::Fault;
use crate::harness::world::World;

async fn long_enough() -> Clip {
    long().make().await
}

/// Has a job planned while all is well, then breaks every read beyond the middle of its source.
async fn planned_then_cut(world: &World, clip: &Clip) -> JobId {
    let mut event = world.event(clip).await;
    event["settings"] = json!({ "max_attempts": 2 });
    let job = world.plan_alone(&event).await;
    let path = event["file_url"]
        .as_str()
        .unwrap()
        .trim_start_matches("s3:/")
        .to_owned();
    world.proxy.set(Fault::CutReads {
        path,
        at: clip.size() / 2,
    });
    job
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_breaks_off_never_becomes_a_result() {
    let mut world = World::new(Engine::Sqlite).await;
    let clip = long_enough().await;
    let job = planned_then_cut(&world, &clip).await;
    let _worker = world.worker("one").start();
    world.proxy.has_cut(1).await;
    let ended = world.ended(&job).await;
    assert_eq!(ended.outcome, Outcome::Failed);
    let error = ended.error.unwrap();
    assert_eq!(error.code, Code::TooManyAttempts, "{error:?}");
    assert!(
        error.message.contains(Code::StorageUnavailable.as_str()),
        "{}",
        error.message
    );
    // The audio of the whole file and the last pictures are after the break.
    let last = u32::try_from(world.planned(&job).await.video.unwrap().chunks.len()).unwrap() - 1;
    let results = world.results(&job).await;
    for task in [TaskName::TRACKS, TaskName::video(last)] {
        assert!(
            results.iter().all(|done| done.task != task),
            "{task} has a result"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_heals_is_read_again_to_its_end() {
    let mut world = World::new(Engine::Postgresql).await;
    let clip = long_enough().await;
    let job = planned_then_cut(&world, &clip).await;
    let _worker = world.worker("one").start();
    world.proxy.has_cut(1).await;
    world.proxy.set(Fault::None);
    let ended = world.completed(&job).await;
    verify(&ended, &world.planned(&job).await, &clip.path).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_for_a_while_costs_time_and_nothing_else() {
    let world = World::new(Engine::Sqlite).await;
    let clip = moving("320x180", 8.0).make().await;
    world.proxy.set(Fault::Refuse);
    let _worker = world.worker("one").start();
    let job = world.submit(&clip).await;
    world.streams.fact(&job, FactKind::Accepted).await;
    world
        .proxy
        .set(Fault::Delay(std::time::Duration::from_millis(5)));
    let ended = world.completed(&job).await;
    verify(&ended, &world.planned(&job).await, &clip.path).await;
}
