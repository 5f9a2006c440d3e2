//! Work is repeated only where an injection hit it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use streams::task::{Duty, TaskName};
use streams::{FactKind, JobId};

use super::super::fault_injector::InjectedFault;
use super::super::log::{JobLog, Start, TaskLog};
use super::super::schedule::{Away, Injection};
use super::{Violation, of};

/// The figures for the report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Figures {
    /// Starts of all tasks.
    pub(in super::super) starts: usize,
    /// Starts beyond the first of their task.
    pub(in super::super) again: usize,
    /// Starts that were in work when an injection hit them, counted once for each injection.
    pub(in super::super) hit: usize,
    /// Frozen starts whose task was started by another worker before they woke.
    pub(in super::super) zombies: usize,
}

/// A start and what became of it.
struct Run<'a> {
    job: &'a JobId,
    task: TaskName,
    start: &'a Start,
    /// The next start of its task.
    next: Option<&'a Start>,
    /// When it was over: its result was stored, it was released, or the task was started again or
    /// already had its result.
    over: DateTime<Utc>,
    /// Whether it was released.
    released: bool,
}

fn runs(logs: &BTreeMap<JobId, JobLog>) -> impl Iterator<Item = Run<'_>> {
    logs.iter().flat_map(|(job, log)| {
        let tasks = log.tasks.iter();
        tasks.flat_map(move |(task, told)| {
            (0..told.starts.len()).map(move |n| run(job, log, *task, told, n))
        })
    })
}

fn run<'a>(
    job: &'a JobId,
    log: &'a JobLog,
    task: TaskName,
    told: &'a TaskLog,
    n: usize,
) -> Run<'a> {
    let (start, next) = (&told.starts[n], told.starts.get(n + 1));
    let result = match task.duty {
        Duty::Plan => log.first(FactKind::Planned),
        Duty::Finish => log.first(FactKind::Verdict),
        Duty::Video(_) | Duty::Tracks | Duty::Playlist => None,
    };
    let facts = result
        .into_iter()
        .chain(log.first(FactKind::Ended))
        .map(|told| told.time);
    let own = told
        .done
        .iter()
        .chain(&told.released)
        .filter(|(attempt, _)| *attempt == start.seq);
    let ends = facts
        .chain(own.map(|(_, time)| *time))
        .chain(next.map(|next| next.time));
    Run {
        job,
        task,
        start,
        next,
        over: ends.min().unwrap_or(DateTime::<Utc>::MAX_UTC),
        released: told
            .released
            .iter()
            .any(|(attempt, _)| *attempt == start.seq),
    }
}

impl InjectedFault {
    /// Whether an injection can make a start of this worker fail, or its task come to another one.
    fn concerns(&self, worker: &str) -> bool {
        match self.injection {
            Injection::Worker(n) | Injection::Freeze(n) | Injection::Drain(n, Away::Nothing) => {
                worker == format!("worker-{n}")
            }
            Injection::Nats
            | Injection::Host
            | Injection::Storage(_)
            | Injection::Drain(_, Away::Nats | Away::Storage) => true,
            Injection::Projector(_) | Injection::Postgresql => false,
        }
    }

    fn hits(&self, run: &Run<'_>) -> bool {
        self.concerns(&run.start.worker) && self.at <= run.over && run.start.time <= self.until
    }

    /// Whether a run was frozen, and its task given to another worker before it woke.
    fn made_a_zombie_of(&self, run: &Run<'_>) -> bool {
        let taken = |next: &Start| next.worker != run.start.worker && next.time < self.until;
        matches!(self.injection, Injection::Freeze(_))
            && run.start.time <= self.at
            && run.next.is_some_and(taken)
    }
}

/// Every start that followed another one of its task though no injection had hit that one, and every
/// task whose output did not pass its check, as if it had been damaged.
pub(in super::super) fn repeated(
    logs: &BTreeMap<JobId, JobLog>,
    injected: &[InjectedFault],
) -> Vec<Violation> {
    let mut violations = Vec::new();
    for run in runs(logs) {
        let explained = run.released || injected.iter().any(|injection| injection.hits(&run));
        if let (Some(next), false) = (run.next, explained) {
            let what = format!(
                "{} was started by {} at {} and again by {} at {}, and nothing had hit it",
                run.task, run.start.worker, run.start.time, next.worker, next.time
            );
            violations.push(of(run.job, what));
        }
    }
    for (job, log) in logs {
        let failed = log.tasks.iter().filter(|(_, told)| told.redo > 0);
        violations.extend(
            failed.map(|(task, _)| of(job, format!("the output of {task} did not pass its check"))),
        );
    }
    violations
}

/// What was repeated and what was hit.
pub(in super::super) fn figures(
    logs: &BTreeMap<JobId, JobLog>,
    injected: &[InjectedFault],
) -> Figures {
    let mut figures = Figures::default();
    for run in runs(logs) {
        let hits: Vec<&InjectedFault> = injected
            .iter()
            .filter(|injection| injection.hits(&run))
            .collect();
        figures.starts += 1;
        figures.again += usize::from(run.next.is_some());
        figures.hit += hits.len();
        figures.zombies += hits
            .iter()
            .filter(|injection| injection.made_a_zombie_of(&run))
            .count();
    }
    figures
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::told::{log, second};
    use super::*;

    fn injected(injection: Injection, at: i64, until: i64) -> InjectedFault {
        InjectedFault {
            injection,
            at: second(at),
            until: second(until),
        }
    }

    /// Started at second 1 by worker 0, and at second 2 by worker 1.
    fn twice() -> BTreeMap<JobId, JobLog> {
        log(&[
            ("attempt.v0", json!({})),
            ("attempt.v0", json!({ "worker": "worker-1" })),
        ])
    }

    #[test]
    fn a_start_after_a_start_needs_a_blow_that_hit_the_first() {
        assert_eq!(repeated(&twice(), &[]).len(), 1);
        for explains in [
            injected(Injection::Worker(0), 2, 2),
            injected(Injection::Nats, 1, 2),
            injected(Injection::Host, 0, 1),
            injected(Injection::Drain(0, Away::Nothing), 1, 2),
            injected(Injection::Drain(1, Away::Nats), 1, 2),
        ] {
            assert_eq!(repeated(&twice(), &[explains]), []);
        }
        for explains_nothing in [
            injected(Injection::Worker(1), 2, 2),
            injected(Injection::Drain(1, Away::Nothing), 1, 2),
            injected(Injection::Postgresql, 1, 2),
            injected(Injection::Projector(0), 1, 2),
            injected(Injection::Nats, 3, 4),
            injected(Injection::Host, 0, 0),
        ] {
            assert_eq!(repeated(&twice(), &[explains_nothing]).len(), 1);
        }
    }

    #[test]
    fn what_has_its_result_is_hit_by_nothing_any_more() {
        let mut told = vec![
            ("attempt.v0", json!({})),
            ("done.v0", json!({ "attempt": 1 })),
        ];
        told.push(("attempt.v0", json!({})));
        let late = [injected(Injection::Nats, 3, 3)];
        assert_eq!(repeated(&log(&told[..3]), &late).len(), 1);
        assert_eq!(figures(&log(&told[..2]), &late).hit, 0);
        assert_eq!(figures(&log(&told[..1]), &late).hit, 1);
    }

    #[test]
    fn what_was_handed_back_may_be_started_again_and_a_failed_check_may_not_be() {
        let mut told = vec![
            ("attempt.v0", json!({})),
            ("released.v0", json!({ "attempt": 1 })),
        ];
        told.push(("attempt.v0", json!({})));
        assert_eq!(repeated(&log(&told), &[]), []);
        assert_eq!(repeated(&log(&[("redo.v0", json!({}))]), &[]).len(), 1);
    }

    #[test]
    fn a_zombie_is_a_frozen_start_whose_task_went_to_another_worker() {
        let zombies = |injection| figures(&twice(), &[injection]).zombies;
        assert_eq!(zombies(injected(Injection::Freeze(0), 1, 9)), 1);
        assert_eq!(zombies(injected(Injection::Freeze(0), 1, 2)), 0);
        assert_eq!(zombies(injected(Injection::Freeze(1), 1, 9)), 0);
        let figures = figures(&twice(), &[injected(Injection::Nats, 1, 2)]);
        assert_eq!((figures.starts, figures.again, figures.hit), (2, 1, 2));
    }
}
