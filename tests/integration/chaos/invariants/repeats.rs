//! Work is repeated only where a blow hit it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use streams::JobId;
use streams::task::TaskName;

use super::super::log::{JobLog, Start, TaskLog};
use super::super::schedule::Blow;
use super::super::striker::Struck;
use super::{Violation, of};

/// The figures beside the judgement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Figures {
    /// Starts of all tasks.
    pub(in super::super) starts: usize,
    /// Starts beyond the first of their task.
    pub(in super::super) again: usize,
    /// Starts that were in work when a blow hit them, counted once for each blow.
    pub(in super::super) hit: usize,
    /// Frozen starts whose task was started by another worker before they woke.
    pub(in super::super) zombies: usize,
}

/// When a start was in work: until the next one of its task, or the end of its job.
fn open(task: &TaskLog, end: Option<DateTime<Utc>>) -> impl Iterator<Item = (&Start, Option<&Start>, DateTime<Utc>)> {
    task.starts.iter().enumerate().map(move |(n, start)| {
        let next = task.starts.get(n + 1);
        let until = next.map(|next| next.time).or(end).unwrap_or(DateTime::<Utc>::MAX_UTC);
        (start, next, until)
    })
}

impl Struck {
    /// Whether a blow can make a start of this worker fail, or its task come to another one.
    fn concerns(&self, worker: &str) -> bool {
        match self.blow {
            Blow::Worker(n) | Blow::Freeze(n) => worker == format!("worker-{n}"),
            Blow::Nats | Blow::Host | Blow::Storage(_) => true,
            Blow::Projector(_) | Blow::Postgresql => false,
        }
    }

    fn hits(&self, start: &Start, until: DateTime<Utc>) -> bool {
        self.concerns(&start.worker) && self.at <= until && start.time <= self.until
    }
}

/// Every start that followed another one of its task though no blow had hit that one, and every task whose output did not pass its
/// check, as if it had been damaged.
pub(in super::super) fn repeated(logs: &BTreeMap<JobId, JobLog>, struck: &[Struck]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (job, task, told, end) in tasks(logs) {
        for (start, next, until) in open(told, end) {
            let explained = struck.iter().any(|blow| blow.hits(start, until)) || told.released.contains(&start.seq);
            if let (Some(next), false) = (next, explained) {
                let what = format!(
                    "{task} was started by {} at {} and again by {} at {}, and nothing had hit it",
                    start.worker, start.time, next.worker, next.time
                );
                violations.push(of(job, what));
            }
        }
        if told.redo > 0 {
            violations.push(of(job, format!("the output of {task} did not pass its check")));
        }
    }
    violations
}

fn tasks(logs: &BTreeMap<JobId, JobLog>) -> impl Iterator<Item = (&JobId, &TaskName, &TaskLog, Option<DateTime<Utc>>)> {
    logs.iter().flat_map(|(job, log)| {
        let end = log.first(streams::FactKind::Ended).map(|told| told.time);
        log.tasks.iter().map(move |(task, told)| (job, task, told, end))
    })
}

/// What was repeated and what was hit.
pub(in super::super) fn figures(logs: &BTreeMap<JobId, JobLog>, struck: &[Struck]) -> Figures {
    let mut figures = Figures::default();
    for (_, _, told, end) in tasks(logs) {
        figures.starts += told.starts.len();
        figures.again += told.starts.len().saturating_sub(1);
        for (start, next, until) in open(told, end) {
            let hits = || struck.iter().filter(|blow| blow.hits(start, until));
            figures.hit += hits().count();
            let slept = |blow: &Struck| matches!(blow.blow, Blow::Freeze(_)) && start.time <= blow.at;
            let taken = |blow: &Struck| next.is_some_and(|next| next.worker != start.worker && next.time < blow.until);
            figures.zombies += hits().filter(|blow| slept(blow) && taken(blow)).count();
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::told::{log, second};
    use super::*;

    fn struck(blow: Blow, at: i64, until: i64) -> Struck {
        Struck {
            blow,
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
            struck(Blow::Worker(0), 2, 2),
            struck(Blow::Nats, 1, 2),
            struck(Blow::Host, 0, 1),
        ] {
            assert_eq!(repeated(&twice(), &[explains]), []);
        }
        for explains_nothing in [
            struck(Blow::Worker(1), 2, 2),
            struck(Blow::Postgresql, 1, 2),
            struck(Blow::Projector(0), 1, 2),
            struck(Blow::Nats, 3, 4),
            struck(Blow::Host, 0, 0),
        ] {
            assert_eq!(repeated(&twice(), &[explains_nothing]).len(), 1);
        }
    }

    #[test]
    fn what_was_handed_back_may_be_started_again_and_a_failed_check_may_not_be() {
        let mut told = vec![("attempt.v0", json!({})), ("released.v0", json!({ "attempt": 1 }))];
        told.push(("attempt.v0", json!({})));
        assert_eq!(repeated(&log(&told), &[]), []);
        assert_eq!(repeated(&log(&[("redo.v0", json!({}))]), &[]).len(), 1);
    }

    #[test]
    fn a_zombie_is_a_frozen_start_whose_task_went_to_another_worker() {
        let zombies = |blow| figures(&twice(), &[blow]).zombies;
        assert_eq!(zombies(struck(Blow::Freeze(0), 1, 9)), 1);
        assert_eq!(zombies(struck(Blow::Freeze(0), 1, 2)), 0);
        assert_eq!(zombies(struck(Blow::Freeze(1), 1, 9)), 0);
        let figures = figures(&twice(), &[struck(Blow::Nats, 1, 2)]);
        assert_eq!((figures.starts, figures.again, figures.hit), (2, 1, 2));
    }
}
