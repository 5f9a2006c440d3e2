//! A decided job stays decided while its storage is away, and is ended once that is back, without a
//! queue.

use fluxhls::job::queue::is_queued;
use fluxhls::job::verdict::SettleError;
use fluxhls::pipeline::project::sweep::reconcile_job;
use streams::fact::Outcome;
use streams::{FactKind, topology};

use crate::harness::DEADLINE;
use crate::harness::clip::moving;
use crate::harness::database::Engine;
use crate::harness::output::verify;
use crate::harness::proxy::Fault;
use crate::harness::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decided_job_without_queue_and_storage_is_ended_by_the_sweep_once_the_storage_is_back() {
    let world = World::new(Engine::Sqlite).await;
    let clip = moving("320x180", 2.0).make().await;
    let mut others = world.worker("others").roles("intake,plan,encode").start();
    let mut target = world
        .worker("target")
        .roles("package")
        .dies_at("verdict.published")
        .start();
    let job = world.submit(&clip).await;
    target.ended_within(DEADLINE).await;
    others.kill().await;
    world
        .streams
        .js
        .get_stream(topology::TASKS)
        .await
        .unwrap()
        .purge()
        .await
        .unwrap();

    world.proxy.set(Fault::Refuse);
    let access = world.access().await;
    let away = reconcile_job(&access, &job).await;
    assert!(matches!(away, Err(SettleError::Storage(_))), "{away:?}");
    let facts = world.facts(&job).await;
    assert!(
        facts.contains_key(&FactKind::Verdict) && !facts.contains_key(&FactKind::Ended),
        "{facts:?}"
    );

    world.proxy.set(Fault::None);
    assert!(reconcile_job(&access, &job).await.unwrap());
    let _projector = world.worker("project").roles("project").start();
    let ended = world.ended(&job).await;
    assert_eq!(ended.outcome, Outcome::Completed);
    verify(&ended, &world.planned(&job).await, &clip.path).await;
    assert!(
        !reconcile_job(&access, &job).await.unwrap(),
        "nothing is left to do"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_job_whose_queue_was_lost_is_planned_again() {
    let world = World::new(Engine::Sqlite).await;
    let mut intake = world.worker("intake").roles("intake").start();
    let job = world.submit(&moving("320x180", 2.0).make().await).await;
    world.streams.fact(&job, FactKind::Accepted).await;
    let access = world.access().await;
    crate::harness::until("the plan task is queued", async || {
        is_queued(&access, &job).await
    })
    .await;
    intake.kill().await;
    assert!(
        !reconcile_job(&access, &job).await.unwrap(),
        "it has its task"
    );
    world
        .streams
        .js
        .get_stream(topology::TASKS)
        .await
        .unwrap()
        .purge()
        .await
        .unwrap();
    assert!(reconcile_job(&access, &job).await.unwrap());
    assert!(is_queued(&access, &job).await);
}
