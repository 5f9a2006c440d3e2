//! The table: what was done, and what was violated.

use std::fmt::Write as _;
use std::time::Duration;

use super::fault_injector::InjectedFault;
use super::invariants::Violation;
use super::invariants::repeats::Figures;
use super::publisher::Published;
use super::schedule::{Away, GRACE_PERIOD, Injection, Size};

/// The result of a run.
pub(super) struct Report {
    /// How large it was.
    pub(super) size: Size,
    /// How long it took.
    pub(super) took: Duration,
    /// After how long a worker that does not respond loses its task.
    pub(super) ack_wait: Duration,
    /// What was done, each with its number.
    pub(super) done: Vec<(&'static str, usize)>,
    /// What must not happen, each with every case of it.
    pub(super) invariants: Vec<(&'static str, Vec<Violation>)>,
}

/// What was done, in numbers.
pub(super) fn done(
    published: &Published,
    jobs: usize,
    injected: &[InjectedFault],
    figures: Figures,
) -> Vec<(&'static str, usize)> {
    let count = |wanted: fn(&Injection) -> bool| {
        injected
            .iter()
            .filter(|injected| wanted(&injected.injection))
            .count()
    };
    let kills = count(|injection| {
        !matches!(
            injection,
            Injection::Freeze(_) | Injection::Storage(_) | Injection::Drain(..)
        )
    });
    vec![
        ("jobs", jobs),
        (
            "events",
            published.sent.iter().map(|sent| sent.seqs.len()).sum(),
        ),
        ("cancellations that took effect", published.canceled.len()),
        ("kills", kills),
        (
            "… of a worker",
            count(|injection| matches!(injection, Injection::Worker(_))),
        ),
        (
            "… of a projector",
            count(|injection| matches!(injection, Injection::Projector(_))),
        ),
        (
            "… of nats-server",
            count(|injection| *injection == Injection::Nats),
        ),
        (
            "… of PostgreSQL",
            count(|injection| *injection == Injection::Postgresql),
        ),
        (
            "… of all of the above at once",
            count(|injection| *injection == Injection::Host),
        ),
        (
            "freezes of a worker that are longer than the ack wait of its tasks",
            count(|injection| matches!(injection, Injection::Freeze(_))),
        ),
        (
            "tasks that a thawed worker still worked on though another worker had them (zombies)",
            figures.zombies,
        ),
        (
            "workers asked to stop",
            count(|injection| matches!(injection, Injection::Drain(..))),
        ),
        (
            "… while everything else worked",
            count(|injection| matches!(injection, Injection::Drain(_, Away::Nothing))),
        ),
        (
            "… while nats-server was frozen",
            count(|injection| matches!(injection, Injection::Drain(_, Away::Nats))),
        ),
        (
            "… while the storage was frozen",
            count(|injection| matches!(injection, Injection::Drain(_, Away::Storage))),
        ),
        (
            "storage faults",
            count(|injection| matches!(injection, Injection::Storage(_))),
        ),
        ("task starts", figures.starts),
        (
            "tasks in work that a fault hit, counted once for each fault",
            figures.hit,
        ),
        (
            "task starts after the first start of the task",
            figures.again,
        ),
    ]
}

impl Report {
    /// Every violation.
    pub(super) fn violations(&self) -> impl Iterator<Item = &Violation> {
        self.invariants
            .iter()
            .flat_map(|(_, violations)| violations)
    }

    /// Both tables, as Markdown.
    pub(super) fn table(&self) -> String {
        let mut text = "| what was done | count |\n|---|---|\n".to_owned();
        for (what, times) in &self.done {
            writeln!(text, "| {what} | {times} |").unwrap();
        }
        text.push_str("\n| what must not happen | count |\n|---|---|\n");
        for (what, violations) in &self.invariants {
            writeln!(text, "| {what} | {} |", violations.len()).unwrap();
        }
        text
    }

    /// The page of the documentation.
    pub(super) fn page(&self, versions: &str) -> String {
        let Size {
            seed,
            orders,
            kills,
        } = self.size;
        let minutes = self.took.as_secs_f64() / 60.0;
        let date = chrono::Utc::now().format("%Y-%m-%d");
        let (wait, grace) = (self.ack_wait.as_secs(), GRACE_PERIOD);
        format!(
            "# Chaos\n\n\
             Written by `make chaos LONG=1`: seed {seed}, {orders} uploads, {kills} kills. On {date}, in {minutes:.0} minutes, with {versions}.\n\n\
             The run uses three workers, two projectors, a nats-server (`sync_interval: always`), a PostgreSQL server and an S3 server, all real.\n\
             Uploads are published so that up to six jobs are open: with and without audio, of one chunk and of several, with and without an index.\n\
             Some sources are broken, truncated or missing; some events are published twice or without a job id; some jobs are canceled while they\n\
             run, and some files get a second job at once. The faults are drawn from the seed and injected as the jobs progress. A worker that does\n\
             not respond loses its tasks after {wait} s. A worker that is asked to stop has {grace} s, and five more to release its tasks, even if NATS or the\n\
             storage does not respond.\n\n{}\n\
             Work was repeated only where a fault had hit a task in work. The code is in `tests/integration/chaos/`.\n",
            self.table()
        )
    }
}
