//! Three NATS servers keep the streams together, and lose their leader in mid-job.

use std::time::Duration;

use streams::task::Duty;
use streams::work::Attempt;
use streams::{FactKind, JobId, topology};

use crate::harness::clip::{Clip, small};
use crate::harness::database::{Database, Engine};
use crate::harness::nats::Nats;
use crate::harness::output::verify;
use crate::harness::until;
use crate::harness::world::{World, folder};

/// The server that leads a stream now.
async fn leader(world: &World, stream: &str) -> Option<String> {
    let stream = world.streams.js.get_stream(stream).await.ok()?;
    stream.cached_info().cluster.as_ref()?.leader.clone()
}

/// Waits until every stream has its leader and two followers that are up to date.
async fn is_whole(world: &World) {
    until("all copies of all streams are up to date", async || {
        for config in topology::streams(&streams::topology::Sizing {
            replicas: 3,
            ..Default::default()
        }) {
            let Ok(stream) = world.streams.js.get_stream(&config.name).await else {
                return false;
            };
            let copies = stream.cached_info().cluster.as_ref().map_or(0, |cluster| {
                cluster
                    .replicas
                    .iter()
                    .filter(|copy| copy.current && !copy.offline)
                    .count()
            });
            if copies != 2 {
                return false;
            }
        }
        true
    })
    .await;
}

fn is_chunk(attempt: &Attempt) -> bool {
    matches!(attempt.task.duty, Duty::Video(_))
}

async fn ended_once(world: &World, job: &JobId, clip: &Clip) {
    let ended = world.completed(job).await;
    verify(&ended, &world.planned(job).await, &clip.path).await;
    for fact in [
        FactKind::Accepted,
        FactKind::Planned,
        FactKind::Verdict,
        FactKind::Ended,
    ] {
        assert_eq!(world.facts(job).await[&fact], 1, "{fact:?}");
    }
    // A new leader may not know of the last heartbeats, and give a task to another worker.
    let starts = world.starts(job).await;
    assert!(starts.values().all(|starts| *starts <= 2), "{starts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_ends_once_though_the_leaders_of_its_streams_die_in_its_middle() {
    let folder = folder();
    let nats = Nats::cluster(folder.path()).await;
    let database = Database::create(Engine::Sqlite, folder.path()).await;
    let mut world = World::with(folder, nats, database).await;
    is_whole(&world).await;
    let clip = small().make().await;
    let _one = world.worker("one").start();

    let job = world.submit(&clip).await;
    world.started(&job, is_chunk).await;
    let first = leader(&world, topology::TASKS).await.unwrap();
    world.nats.kill_one(&first).await;
    // With one server down everything continues, also for processes that start now.
    let said = world.say(&["provision"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let _two = world.worker("two").start();
    ended_once(&world, &job, &clip).await;
    world.nats.restart_one(&first).await;
    is_whole(&world).await;

    let again = world.submit(&clip).await;
    world.started(&again, is_chunk).await;
    let second = leader(&world, topology::JOBS).await.unwrap();
    world.nats.kill_one(&second).await;
    ended_once(&world, &again, &clip).await;
    world.nats.restart_one(&second).await;
    is_whole(&world).await;
    let said = world.say(&["provision", "--check"]).await;
    assert_eq!((said.code, said.out.as_str()), (Some(0), ""), "{said:?}");
    tokio::time::timeout(Duration::from_secs(120), world.queue_is_empty())
        .await
        .expect("nothing is left on the queue");
}
