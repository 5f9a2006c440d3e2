//! When things happened, by the clock of the NATS server, and what to make of several runs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use nix::sys::signal::Signal;
use streams::{FactKind, JobId, subject, topology};

use crate::harness::process::Process;
use crate::harness::streams::Message;
use crate::harness::worker::{Worker, readiness};
use crate::harness::world::World;
use crate::harness::{DEADLINE, until};

/// Waits for a fact of a job, which may take hours; when it was stored.
pub(crate) async fn fact(world: &World, job: &JobId, kind: FactKind) -> DateTime<Utc> {
    let stream = world.streams.js.get_stream(topology::JOBS).await.unwrap();
    let subject = subject::fact(job, kind);
    loop {
        // Asked for again and again, but timed by the server.
        if let Ok(message) = stream.get_last_raw_message_by_subject(&subject).await {
            return message.time;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// When the upload event of a job was stored.
pub(crate) async fn uploaded(world: &World, job: &JobId) -> DateTime<Utc> {
    let named = |message: &Message| message.json()["job_id"].as_str() == Some(job.as_str());
    world
        .streams
        .first(topology::UPLOADS, subject::UPLOAD, named)
        .await
        .time
}

/// Starts a worker and waits until it is ready.
pub(crate) async fn ready(worker: Worker<'_>) -> Process {
    let worker = worker.start();
    until("the worker is ready", async || {
        readiness(&worker).await.status == 200
    })
    .await;
    worker
}

/// Ends a worker, which has nothing to do.
pub(crate) async fn stop(mut worker: Process) {
    worker.signal(Signal::SIGTERM);
    worker.ended_within(DEADLINE).await;
}

/// Seconds between two moments.
pub(crate) fn seconds(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).as_seconds_f64()
}

/// The middle of some figures.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    if figures.len() % 2 == 1 {
        figures[middle]
    } else {
        f64::midpoint(figures[middle - 1], figures[middle])
    }
}
