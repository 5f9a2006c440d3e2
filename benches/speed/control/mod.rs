//! What is no encoding: from an event to its first task, jobs whose work is nothing, and facts on
//! their way into the tables.

mod latency;
mod projection;
mod throughput;

use crate::machine;
use crate::page::Section;

/// Jobs without work, whose facts are projected afterwards.
const JOBS: usize = 2000;

/// What was found by `perf record -a` while jobs without work ran, and what was done about it.
const PROFILE: &str = "\
Where the time goes, by `perf record -a` beside the jobs without work: 33 % in nats-server (13 of them in the kernel: sockets, and the disk that every \
message waits for), 45 % in the workers and the object store beside them (19 in the kernel), 19 % idle. By what NATS is asked, the first three were:\n\n\
1. Lists of subjects, asked twice each by the client library: 22 a job, now 12 by a request of our own (`crates/jetstream/src/listing.rs`).\n\
2. Facts of a job read one after the other, six times a job: now side by side (`src/job/state.rs`).\n\
3. An idle pull that asked one lane with an expiry held the others up to five seconds: now it asks without (`crates/jetstream/src/pull.rs`).\n\n\
Together, and with eight slots instead of two for the plans and checks of each stand-in, they took jobs without work from 42 to 124 a second. The 500 that were hoped for would take the facts of a job in one read instead of three, and the \
servers on cores of their own: a job stores 14 messages, and NATS waits for the disk at each.\n";

pub(crate) async fn run() -> Section {
    machine::pin_ourselves("0,1").await;
    let latency = latency::run().await;
    let (throughput, world) = throughput::run(JOBS).await;
    let projection = projection::run(&world).await;
    Section {
        name: "control",
        title: "Queue, log and tables",
        text: format!("{latency}\n{throughput}\n{projection}\n{PROFILE}"),
    }
}
