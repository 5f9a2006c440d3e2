//! Jobs of one chunk whose work is nothing: events, attempts, results, verdicts and ends through the real queue, log and storage.

use std::sync::Arc;
use std::time::Duration;

use streams::{FactKind, subject, topology};

use crate::fleet::plan;
use crate::harness::database::Engine;
use crate::harness::stand_in::StandIn;
use crate::harness::world::World;
use crate::source;
use crate::timing::{ready, stop};

/// Stand-ins, and the slots of each.
const WORKERS: (usize, usize) = (4, 8);

/// The figures, and the world whose log holds the facts of the jobs.
pub(super) async fn run(jobs: usize) -> (String, World) {
    let world = World::new(Engine::Sqlite).await;
    let clip = source::tiny(60).await;
    let plan = Arc::new(plan(&clip.path, 1).await);
    let intake = ready(world.worker("intake").roles("intake")).await;
    let mut fleet = Vec::new();
    for n in 0..WORKERS.0 {
        let mut stand_in = StandIn::new(&world, Duration::ZERO).await;
        stand_in.plan = Some(Arc::clone(&plan));
        fleet.push(stand_in.start(&format!("stand-in-{n}"), WORKERS.1));
    }
    let event = world.event(&clip).await;
    let events = (0..jobs).map(|_| {
        let mut event = event.clone();
        for id in ["file_id", "job_id", "uploaded_by"] {
            event[id] = cuid2::create_id().into();
        }
        event
    });
    for event in events {
        world.streams.upload(&event).await;
    }
    let ended = subject::facts_of_kind(FactKind::Ended);
    loop {
        let counts = world.streams.counts(topology::JOBS, &ended).await;
        if counts.len() >= jobs {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    drop(fleet);
    stop(intake).await;
    let uploads = world.streams.all(topology::UPLOADS, ">").await;
    let ends = world.streams.all(topology::JOBS, &ended).await;
    let taken = crate::timing::seconds(uploads[0].time, ends.last().unwrap().time);
    let rate = jobs as f64 / taken;
    eprintln!("control: {jobs} jobs without work in {taken:.1} s, {rate:.0} a second");
    let text =
        format!("| jobs without work | s | a second |\n|---|---:|---:|\n| {jobs} | {taken:.1} | **{rate:.0}** |\n");
    (text, world)
}
