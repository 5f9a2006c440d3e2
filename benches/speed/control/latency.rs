//! From the event to the start of its first task, on a worker that has nothing else to do.

use std::time::Duration;

use streams::topology;

use crate::harness::database::Engine;
use crate::harness::world::World;
use crate::source;
use crate::timing::{ready, seconds, stop};

/// Events, one after the other.
const EVENTS: usize = 100;

pub(super) async fn run() -> String {
    let world = World::new(Engine::Sqlite).await;
    let ladder = source::without_samples(&world);
    let worker = world.worker("latency").roles("intake,plan");
    let worker = ready(worker.setting("LADDER_FILE", ladder.display())).await;
    let clip = source::tiny(60).await;
    let event = world.event(&clip).await;
    let mut delays = Vec::new();
    for _ in 0..EVENTS {
        let mut event = event.clone();
        // Each of another publisher: no one encodes here, so one that sent all of them would soon
        // have its share of what waits.
        for id in ["file_id", "job_id", "uploaded_by"] {
            event[id] = cuid2::create_id().into();
        }
        world.streams.upload(&event).await;
        let job = event["job_id"].as_str().unwrap();
        let named = |payload: &[u8]| String::from_utf8_lossy(payload).contains(job);
        let uploads = world
            .streams
            .first(topology::UPLOADS, ">", |message| named(&message.payload));
        let attempts = format!("hls.v1.work.{job}.attempt.plan");
        let attempt = world.streams.first(topology::WORK, &attempts, |_| true);
        let (upload, attempt) = tokio::join!(uploads, attempt);
        delays.push(seconds(upload.time, attempt.time) * 1000.0);
        // This plan must not delay the next one.
        world
            .streams
            .fact(&job.parse().unwrap(), streams::FactKind::Planned)
            .await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop(worker).await;
    delays.sort_by(f64::total_cmp);
    let at = |share: usize| delays[(EVENTS * share / 100).min(EVENTS - 1)];
    eprintln!(
        "control: event to first task p50 {:.1} ms, p99 {:.1} ms",
        at(50),
        at(99)
    );
    format!(
        "| event to first task, ms | p50 | p99 |\n|---|---:|---:|\n| {EVENTS} events | {:.1} | **{:.1}** |\n",
        at(50),
        at(99)
    )
}
