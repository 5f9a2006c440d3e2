//! No one waits long for others: first chunks go first, jobs take turns chunk by chunk, and no
//! publisher keeps the others waiting. On the real queue, with an encoder that takes a fixed time
//! for each chunk.

use std::time::Duration;

use serde_json::{Value, json};
use streams::JobId;
use streams::task::{Class, TaskName};
use streams::work::WorkKind;
use streams::{FactKind, subject, topology};

use crate::harness::clip::{Clip, moving};
use crate::harness::database::Engine;
use crate::harness::process::Process;
use crate::harness::stand_in::StandIn;
use crate::harness::streams::Message;
use crate::harness::until;
use crate::harness::world::{World, job_of};

/// What a chunk takes.
const COST: Duration = Duration::from_millis(600);

/// Jobs of a publisher that has many.
const MANY: usize = 24;

/// A plan takes no samples.
const LADDER: &str = r#"
[profiles.plain]
about = "One small rung."
segment = 4
encoder = "libx264"
preset = "ultrafast"
per_title = false
storyboard = false
rungs = [ { short_side = 144, crf = 30, maxrate = 200_000 } ]
"#;

/// Takes events in and plans them; ffmpeg works for plans alone.
fn planner(world: &World) -> Process {
    let ladder = world.folder().join("ladder.toml");
    std::fs::write(&ladder, LADDER).unwrap();
    let planner = world.worker("planner").roles("intake,plan");
    planner.setting("LADDER_FILE", ladder.display()).start()
}

async fn film() -> Clip {
    moving("256x144", 1200.0).rate("5").silent().make().await
}

async fn clip() -> Clip {
    moving("256x144", 15.0).rate("5").silent().make().await
}

/// Sends an event of a publisher's.
async fn send(world: &World, publisher: &str, clip: &Clip) -> JobId {
    let mut event = world.event(clip).await;
    event["uploaded_by"] = Value::from(publisher);
    event["settings"] = json!({"profile": "plain"});
    world.streams.upload(&event).await;
    job_of(&event)
}

/// The starts of chunks, in order.
async fn starts(world: &World) -> Vec<(JobId, TaskName, u64)> {
    let messages = world
        .streams
        .all(topology::WORK, "hls.v1.work.*.attempt.>")
        .await;
    let read = |message: &Message| match subject::parse_work(&message.subject)? {
        (job, WorkKind::Attempt, task) if task.class() == Class::Encode => {
            Some((job, task, message.seq))
        }
        _ => None,
    };
    messages.iter().filter_map(read).collect()
}

/// Waits until this many chunks of a job were started.
async fn has_started(world: &World, job: &JobId, chunks: usize) {
    until("chunks of a job were started", async || {
        starts(world)
            .await
            .iter()
            .filter(|(of, ..)| of == job)
            .count()
            >= chunks
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_film_in_front_of_the_queue_delays_a_clip_by_one_chunk() {
    let world = World::new(Engine::Sqlite).await;
    let _planner = planner(&world);
    let _worker = StandIn::new(&world, COST).await.start("one", 1);
    let long = send(&world, "a", &film().await).await;
    has_started(&world, &long, 3).await;
    let short = send(&world, "a", &clip().await).await;
    let planned = world.streams.fact(&short, FactKind::Planned).await.time;
    world.streams.fact(&short, FactKind::Ended).await;
    let of_film =
        |attempt: &Message| attempt.time > planned && attempt.subject.contains(long.as_str());
    let attempts = world
        .streams
        .all(topology::WORK, "hls.v1.work.*.attempt.>")
        .await;
    let first = attempts
        .iter()
        .find(|attempt| {
            attempt.subject.ends_with(".v0") && attempt.subject.contains(short.as_str())
        })
        .unwrap();
    let between = attempts
        .iter()
        .filter(|attempt| of_film(attempt) && attempt.seq < first.seq)
        .count();
    // The chunk that was in work, or one that was taken while the clip's was being put on the
    // queue.
    assert!(
        between <= 1,
        "{between} chunks of the film began while the clip waited"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn films_take_turns_chunk_by_chunk() {
    let world = World::new(Engine::Sqlite).await;
    let _planner = planner(&world);
    let _worker = StandIn::new(&world, COST).await.start("one", 1);
    let first = send(&world, "a", &film().await).await;
    has_started(&world, &first, 5).await;
    let second = send(&world, "b", &film().await).await;
    has_started(&world, &second, 8).await;
    let starts = starts(&world).await;
    let joined = starts.iter().position(|(job, ..)| *job == second).unwrap();
    let runs = starts[joined..].chunk_by(|a, b| a.0 == b.0).map(<[_]>::len);
    // What was on the queue when the second came goes first; from then on it is one and one, or two
    // and two.
    let longest = runs.max().unwrap();
    assert!(
        longest <= 4,
        "one film had {longest} chunks in a row: {starts:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_with_many_jobs_does_not_keep_another_one_waiting() {
    let world = World::new(Engine::Sqlite).await;
    let _planner = planner(&world);
    let clip = clip().await;
    let mut many = Vec::new();
    for _ in 0..MANY {
        many.push(send(&world, "a", &clip).await);
    }
    // No one encodes yet, so first chunks pile up until the publisher has its share.
    until("some jobs are planned", async || planned(&world).await >= 8).await;
    let other = send(&world, "b", &clip).await;
    world.streams.fact(&other, FactKind::Planned).await;
    let in_front = planned(&world).await - 1;
    assert!(
        in_front < MANY / 2,
        "{in_front} of {MANY} jobs were planned before another publisher's"
    );
    let _worker = StandIn::new(&world, COST / 6).await.start("one", 1);
    world.streams.fact(&other, FactKind::Ended).await;
    let starts = starts(&world).await;
    let before = starts.iter().take_while(|(job, ..)| *job != other).count();
    assert!(
        before <= in_front,
        "{before} chunks went first, of {in_front} jobs"
    );
    // And none of the many is lost.
    for job in many {
        world.streams.fact(&job, FactKind::Ended).await;
    }
}

/// Jobs that are planned.
async fn planned(world: &World) -> usize {
    let filter = subject::facts_of_kind(FactKind::Planned);
    world.streams.counts(topology::JOBS, &filter).await.len()
}
