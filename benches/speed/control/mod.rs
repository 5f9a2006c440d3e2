//! What is no encoding: from an event to its first task, jobs whose work is nothing, and facts on their way into the tables.

mod latency;
mod projection;
mod throughput;

use crate::machine;
use crate::page::Section;

/// Jobs without work, whose facts are projected afterwards.
const JOBS: usize = 2000;

pub(crate) async fn run() -> Section {
    machine::pin_ourselves("0,1").await;
    let latency = latency::run().await;
    let (throughput, world) = throughput::run(JOBS).await;
    let projection = projection::run(&world).await;
    Section {
        name: "control",
        title: "Queue, log and tables",
        text: format!("{latency}\n{throughput}\n{projection}"),
    }
}
