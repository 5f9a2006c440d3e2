//! Everything but encoding: the time from an event to its first task, jobs without work, and the
//! projection of facts into the tables.

mod latency;
mod projection;
mod throughput;

use crate::machine;
use crate::page::Section;

/// Jobs without work, whose facts are projected afterwards.
const JOBS: usize = 2000;

/// What was found by `perf record -a` while jobs without work ran, and what was done about it.
const PROFILE: &str = "\
Where the time goes, by `perf record -a` during the jobs without work: 33 % in nats-server (13 points of it in the kernel: sockets, and the disk that every \
message waits for), 45 % in the workers and the object store (19 points of it in the kernel), 19 % idle. The three largest groups of requests to NATS were:\n\n\
1. Lists of subjects, which the client library requests twice: 22 a job, now 12 with fluxhls's own request (`crates/jetstream/src/listing.rs`).\n\
2. Facts of a job, which were read one after the other, six times a job: now they are read concurrently (`src/job/state.rs`).\n\
3. Pulls: an idle pull that asked one lane with an expiry delayed the others by up to five seconds; now it asks without an expiry (`crates/jetstream/src/pull.rs`).\n\n\
With these changes, and with eight slots instead of two for the plans and checks of each simulated worker, the rate rose from 42 to 124 jobs a second. The goal of 500 needs the facts of a job in one read instead of three, and \
separate cores for the servers: a job stores 14 messages, and NATS waits for the disk at each.\n";

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
