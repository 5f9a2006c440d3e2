//! The table: what was done, and what was violated.

use std::fmt::Write as _;
use std::time::Duration;

use super::fault_injector::InjectedFault;
use super::invariants::Violation;
use super::invariants::repeats::Figures;
use super::publisher::Published;
use super::schedule::{Away, GRACE_PERIOD, Injection, Size};

/// What came of a run.
pub(super) struct Report {
    /// How large it was.
    pub(super) size: Size,
    /// How long it took.
    pub(super) took: Duration,
    /// After how long a silent worker lost its task.
    pub(super) ack_wait: Duration,
    /// What was done, each with its number.
    pub(super) done: Vec<(&'static str, usize)>,
    /// What must not be, each with every case of it.
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
        ("cancels that came in time", published.canceled.len()),
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
            "… of all of these at once",
            count(|injection| *injection == Injection::Host),
        ),
        (
            "freezes of a worker, longer than its tasks wait for it",
            count(|injection| matches!(injection, Injection::Freeze(_))),
        ),
        (
            "tasks it still worked on when it woke, though another one had them (zombies)",
            figures.zombies,
        ),
        (
            "workers asked to stop",
            count(|injection| matches!(injection, Injection::Drain(..))),
        ),
        (
            "… while all else was well",
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
        ("starts of tasks", figures.starts),
        (
            "tasks in flight when an injection hit them, once for each injection",
            figures.hit,
        ),
        ("starts beyond the first of their task", figures.again),
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
        let mut text = "| what was done | times |\n|---|---|\n".to_owned();
        for (what, times) in &self.done {
            writeln!(text, "| {what} | {times} |").unwrap();
        }
        text.push_str("\n| what must not be | times |\n|---|---|\n");
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
             Three workers, two projectors, a nats-server (`sync_interval: always`), a PostgreSQL server and an S3 server, all real. Uploads keep\n\
             coming while six jobs are open: silent and with sound, of one chunk and of several, with and without an index; some are broken, cut or\n\
             missing, some are told twice or without a job id, some are canceled while they run, some get a second job at once. Blows are drawn from\n\
             the seed and come with the progress of the jobs. A worker that is silent loses its tasks after {wait} s. One that is asked to stop has {grace} s and\n\
             five more to hand back, whatever is away.\n\n{}\n\
             Work was repeated only where an injection had hit a task in work. The rest is in `tests/integration/chaos/`.\n",
            self.table()
        )
    }
}
