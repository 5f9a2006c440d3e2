//! Many workers for one file: real ones on a core each, and simulated ones whose encoder takes a
//! fixed time, on the real queue, storage and log.

use std::sync::Arc;
use std::time::Duration;

use ffmpeg::{Input, ProbeLimits, Tool};
use media::ladder::{self, Limits, Pin, Profiles};
use streams::fact::{Head, Planned};
use streams::plan::PlannedTask;
use streams::upload::Priority;
use streams::{FactKind, Lane, TaskName, topology};

use crate::harness::database::Engine;
use crate::harness::stand_in::StandIn;
use crate::harness::world::World;
use crate::page::Section;
use crate::timing::{fact, median, ready, seconds, stop, uploaded};
use crate::{machine, source};

/// Numbers of simulated workers.
const WORKERS: [u32; 4] = [1, 4, 16, 64];
/// The time a simulated worker takes for a chunk.
const COST: Duration = Duration::from_secs(3);
/// Chunks for each simulated worker.
const EACH: u32 = 8;
/// Runs of one and of two real workers, in turns.
const PAIRS: usize = 1;

/// Real workers.
pub(crate) async fn run() -> Section {
    let (one, two, chunks) = real().await;
    let speed = median(one.iter().zip(&two).map(|(one, two)| one / two));
    let text = format!(
        "Ten minutes of 854x480 in {chunks} chunks by real workers, each on its own core, which it shares with the servers:\n\n\
         | workers | s | speed-up |\n|---:|---:|---:|\n| 1 | {:.1} | |\n| 2 | {:.1} | **{speed:.2} x** |\n",
        median(one),
        median(two),
    );
    Section {
        name: "fleet",
        title: "Two workers for one file",
        text,
    }
}

/// Simulated workers.
pub(crate) async fn queue() -> Section {
    machine::pin_ourselves("0,1").await;
    let mut text = format!(
        "{EACH} chunks for each simulated worker, whose encoder only waits {} s; all on the same two cores:\n\n\
         | workers | s | speed-up | efficiency |\n|---:|---:|---:|---:|\n",
        COST.as_secs(),
    );
    for workers in WORKERS {
        let taken = stand_ins(workers).await;
        let efficiency = COST.as_secs_f64() * f64::from(EACH) / taken;
        eprintln!("queue: {workers} simulated workers {taken:.2} s, {efficiency:.3} of the ideal");
        text += &format!(
            "| {workers} | {taken:.1} | {:.1} x | **{:.0} %** |\n",
            efficiency * f64::from(workers),
            efficiency * 100.0
        );
    }
    text += "\nThe time is that from the plan to the last chunk. An efficiency of 100 % is the cost of all chunks divided by the number of workers.\n";
    Section {
        name: "queue",
        title: "Many workers for one file",
        text,
    }
}

/// Seconds for one worker and for two, run by run, and the number of chunks.
async fn real() -> (Vec<f64>, Vec<f64>, usize) {
    machine::pin_ourselves("0,1").await;
    let world = World::new(Engine::Sqlite).await;
    let clip = source::half(600).await;
    let (mut one, mut two, mut chunks) = (Vec::new(), Vec::new(), 0);
    for pair in 0..PAIRS {
        for (cores, times) in [(&["0"][..], &mut one), (&["0", "1"][..], &mut two)] {
            let mut workers = Vec::new();
            for core in cores {
                let worker =
                    ready(world.worker(&format!("{pair}-{core}-of-{}", cores.len()))).await;
                machine::pin(worker.id(), core).await;
                workers.push(worker);
            }
            let job = world.submit(&clip).await;
            let ended = fact(&world, &job, FactKind::Ended).await;
            let taken = seconds(uploaded(&world, &job).await, ended);
            chunks = world.planned(&job).await.video.unwrap().chunks.len();
            eprintln!("fleet: {} real workers {taken:.1} s", cores.len());
            times.push(taken);
            for worker in workers {
                stop(worker).await;
            }
        }
    }
    (one, two, chunks)
}

/// Seconds from the plan to the last chunk of a job of [`EACH`] chunks a worker.
async fn stand_ins(workers: u32) -> f64 {
    let world = World::new(Engine::Sqlite).await;
    let clip = source::tiny(60).await;
    let plan = Arc::new(plan(&clip.path, EACH * workers).await);
    let intake = ready(world.worker("intake").roles("intake")).await;
    let mut fleet = Vec::new();
    for n in 0..workers {
        let mut stand_in = StandIn::new(&world, COST).await;
        // One of them plans: the job is one.
        stand_in.plan = (n == 0).then(|| Arc::clone(&plan));
        fleet.push(stand_in.start(&format!("stand-in-{n}"), 1));
    }
    let job = world.submit(&clip).await;
    let planned = fact(&world, &job, FactKind::Planned).await;
    fact(&world, &job, FactKind::Ended).await;
    let done = world
        .streams
        .all(topology::WORK, &format!("hls.v1.work.{job}.done.>"))
        .await;
    let last = done.iter().map(|message| message.time).max().unwrap();
    drop(fleet);
    stop(intake).await;
    seconds(planned, last)
}

/// A plan of a clip, stretched to this number of chunks.
pub(crate) async fn plan(clip: &std::path::Path, chunks: u32) -> Planned {
    #[expect(
        clippy::disallowed_methods,
        reason = "a bench uses the tool of the developer's PATH"
    )]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let tool = Tool::locate(None, None, &path).unwrap();
    let probe = ffmpeg::probe(&tool, &Input::file(clip), &ProbeLimits::default())
        .await
        .unwrap();
    let pin = Pin {
        bucket: "media".to_owned(),
        key: "key".to_owned(),
        etag: "etag".to_owned(),
        size: 1,
    };
    let settings = ladder::Settings {
        profile: Profiles::shipped().get("standard").unwrap().clone(),
        priority: Priority::Normal,
        limits: Limits::default(),
        fleet: 1,
    };
    let head = Head::new("j".parse().unwrap(), "f".parse().unwrap());
    let mut planned = ladder::plan(head, &probe, pin, &settings, "bench").unwrap();
    let video = planned.video.as_mut().unwrap();
    video.chunks = (0..chunks).map(|k| 3 * k).collect();
    video.frames = u64::from(3 * chunks) * u64::from(video.segment_frames);
    let tasks = (0..chunks).map(TaskName::video);
    planned.tasks = tasks
        .map(|task| PlannedTask {
            task,
            class: task.class(),
            lane: if task == TaskName::video(0) {
                Lane::Hi
            } else {
                Lane::Lo
            },
        })
        .collect();
    planned
}
