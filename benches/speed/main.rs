//! `make bench`: how fast fluxhls is, each figure as a ratio to a baseline of the same run.
//! Writes `docs/benchmarks.md`.
//!
//! In reading order: [`machine`] (cores, processor time, memory), [`metrics`] (what a worker
//! reports), [`source`] (what is encoded), [`bare`] (the fastest possible command line),
//! and one module for each question: [`whole`] (a job, from event to end), [`rivals`] (other
//! systems), [`playable`] (the first picture), [`fleet`] (many workers), [`control`] (queue and
//! tables), [`growth`] (memory and disk by length), [`soak`] (memory over many jobs), [`traffic`]
//! (bytes read and written). `ONLY=whole,fleet` asks some of them.

#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a bench that cannot continue prints the error, and its figures are far below 2^52"
)]

#[expect(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "the scenarios of the tests use more of it"
)]
#[path = "../../tests/integration/harness/mod.rs"]
mod harness;

mod bare;
mod control;
mod fleet;
mod growth;
mod machine;
mod metrics;
mod page;
mod playable;
mod rivals;
mod soak;
mod source;
mod timing;
mod traffic;
mod whole;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;

use page::{Page, Section};

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run());
}

/// The questions that were asked for, in the order of the page.
async fn run() {
    let only = setting("ONLY");
    let wants = |name: &str| {
        only.as_deref()
            .is_none_or(|only| only.split(',').any(|word| word == name))
    };
    let mut page = Page::default();
    for (name, ask) in questions() {
        if wants(name) {
            page.add(ask.await);
            page.write();
        }
    }
}

/// Every question, in the order of the page.
fn questions() -> [(&'static str, LocalBoxFuture<'static, Section>); 9] {
    [
        ("whole", whole::run().boxed_local()),
        ("rivals", rivals::run().boxed_local()),
        ("playable", playable::run().boxed_local()),
        ("fleet", fleet::run().boxed_local()),
        ("queue", fleet::queue().boxed_local()),
        ("control", control::run().boxed_local()),
        ("growth", growth::run().boxed_local()),
        ("soak", soak::run().boxed_local()),
        ("traffic", traffic::run().boxed_local()),
    ]
}

/// A setting of the bench.
fn setting(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the environment configures a bench"
    )]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
