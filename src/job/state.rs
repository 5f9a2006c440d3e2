//! One job as the log has it at this moment, read from the streams' leaders.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use jetstream::StoredMessage;
use serde::de::DeserializeOwned;
use streams::fact::{Accepted, Cancel, FactKind, Planned, Verdict};
use streams::task::TaskName;
use streams::work::WorkKind;
use streams::{FileId, JobId, Lane, TaskKey, Unread, subject, wire};

/// A fact with its place and time in the log.
#[derive(Debug, Clone)]
pub struct Entry<T> {
    /// The fact.
    pub fact: T,
    /// Its sequence.
    pub seq: u64,
    /// The server's timestamp, which rules.
    pub time: DateTime<Utc>,
}

/// One job as the log has it.
#[derive(Debug, Clone)]
pub struct JobState {
    /// The job.
    pub job_id: JobId,
    /// How it began.
    pub accepted: Entry<Accepted>,
    /// What was decided, once it was.
    pub planned: Option<Entry<Planned>>,
    /// Whether someone asked for it to stop.
    pub cancel: Option<Entry<Cancel>>,
    /// How it must end, once decided.
    pub verdict: Option<Entry<Verdict>>,
    /// Whether live playlists were announced.
    pub playable: bool,
    /// Whether it ended.
    pub ended: bool,
    /// The trace of the upload event.
    pub traceparent: Option<String>,
    /// What workers said of its tasks.
    pub work: WorkState,
}

/// What workers said of a job's tasks.
#[derive(Debug, Clone, Default)]
pub struct WorkState {
    /// Tasks with a result.
    pub done: BTreeSet<TaskName>,
    /// Tasks that had to be repeated.
    pub redo: BTreeSet<TaskName>,
    /// The ranges of tasks that are in the bucket before the task is done.
    pub parts: BTreeMap<TaskName, BTreeSet<u32>>,
    attempts: BTreeMap<TaskName, u64>,
    released: BTreeMap<TaskName, u64>,
}

impl WorkState {
    /// Reads the subjects of a job's work messages and how many each holds.
    ///
    /// # Errors
    /// [`Unread::Newer`] where one is of a kind or task that this release does not know.
    pub fn from_subjects(subjects: &BTreeMap<String, u64>) -> Result<Self, Unread> {
        let mut state = Self::default();
        for (subject, count) in subjects {
            // The subject of a part ends in `<task>.<k>`, one token more than those of the other
            // kinds.
            if let Some((_, task, k)) = subject::parse_part(subject) {
                state.parts.entry(task).or_default().insert(k);
                continue;
            }

            let (_, kind, task) = subject::parse_work(subject)
                .ok_or_else(|| Unread::newer(subject, "this release knows no such work message"))?;
            match kind {
                WorkKind::Done => drop(state.done.insert(task)),
                WorkKind::Redo => drop(state.redo.insert(task)),
                WorkKind::Attempt => drop(state.attempts.insert(task, *count)),
                WorkKind::Released => drop(state.released.insert(task, *count)),
                WorkKind::Part | WorkKind::Failed => {}
            }
        }

        Ok(state)
    }

    /// Starts of a task that count: attempts minus released ones.
    #[must_use]
    pub fn attempts(&self, task: TaskName) -> u64 {
        let started = self.attempts.get(&task).copied().unwrap_or(0);
        started.saturating_sub(self.released(task))
    }

    /// Starts of a task that were released.
    #[must_use]
    pub fn released(&self, task: TaskName) -> u64 {
        self.released.get(&task).copied().unwrap_or(0)
    }

    /// The name under which a planned task's result is looked for: its redo's, once there is an
    /// order to redo it.
    #[must_use]
    pub fn effective(&self, task: TaskName) -> TaskName {
        if self.redo.contains(&task) {
            task.redone()
        } else {
            task
        }
    }
}

impl JobState {
    /// The file of the job.
    #[must_use]
    pub const fn file_id(&self) -> &FileId {
        &self.accepted.fact.head.file_id
    }

    /// The plan, where there is one.
    #[must_use]
    pub fn plan(&self) -> Option<&Planned> {
        self.planned.as_ref().map(|entry| &entry.fact)
    }

    /// The lane of tasks that `planned` does not list.
    #[must_use]
    pub fn default_lane(&self) -> Lane {
        match self.accepted.fact.upload.settings.priority {
            streams::upload::Priority::High => Lane::Hi,
            streams::upload::Priority::Normal => Lane::Lo,
        }
    }

    /// The key of a task that `planned` does not list.
    #[must_use]
    pub fn key(&self, task: TaskName) -> TaskKey {
        TaskKey::new(self.job_id.clone(), task, self.default_lane())
    }

    /// The planned tasks that lack a result, in the order of the plan.
    #[must_use]
    pub fn pending(&self) -> Vec<TaskKey> {
        let tasks = self
            .plan()
            .map(|plan| plan.tasks.as_slice())
            .unwrap_or_default();
        tasks
            .iter()
            .map(|planned| {
                TaskKey::new(
                    self.job_id.clone(),
                    self.work.effective(planned.task),
                    planned.lane,
                )
            })
            .filter(|key| !self.work.done.contains(&key.task))
            .collect()
    }

    /// Whether anything may still be done for the job.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !self.ended && self.verdict.is_none() && self.cancel.is_none()
    }
}

/// Reads a fact.
pub(super) fn entry<T: DeserializeOwned>(recorded: &StoredMessage) -> Result<Entry<T>, Unread> {
    Ok(Entry {
        fact: wire::read(&recorded.subject, &recorded.payload)?,
        seq: recorded.seq,
        time: recorded.time,
    })
}

/// A plan, unless it needs more than this release can do.
pub(super) fn feasible(planned: Option<Entry<Planned>>) -> Result<Option<Entry<Planned>>, Unread> {
    let unmet = planned
        .as_ref()
        .and_then(|planned| planned.fact.unmet_need());
    let Some(need) = unmet else {
        return Ok(planned);
    };
    let job = planned.as_ref().map(|planned| &planned.fact.head.job_id);
    let subject = job.map_or_else(String::new, |job| subject::fact(job, FactKind::Planned));
    Err(Unread::newer(subject, format!("the plan needs {need:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_starts_minus_hand_backs_and_a_redo_replaces_its_task() {
        let subjects = [
            ("attempt.v0", 3),
            ("released.v0", 1),
            ("done.v0", 1),
            ("redo.v0", 1),
            ("attempt.v0~1", 1),
            ("part.tracks.3", 1),
        ]
        .map(|(tail, count)| (format!("hls.v1.work.j1.{tail}"), count));
        let work = WorkState::from_subjects(&subjects.into_iter().collect()).unwrap();

        let v0 = TaskName::video(0);
        assert_eq!(work.attempts(v0), 2);
        assert_eq!(work.attempts(v0.redone()), 1);
        assert_eq!(work.effective(v0), v0.redone());
        assert_eq!(work.parts[&TaskName::TRACKS], BTreeSet::from([3]));
        assert!(work.done.contains(&v0) && !work.done.contains(&v0.redone()));
    }

    #[test]
    fn work_of_a_kind_or_task_that_is_not_known_needs_a_newer_release() {
        for tail in ["later.v0", "done.s0", "part.s0.1", "attempt.audio"] {
            let subjects = BTreeMap::from([(format!("hls.v1.work.j1.{tail}"), 1)]);
            let read = WorkState::from_subjects(&subjects);
            assert!(
                matches!(read, Err(Unread::Newer { .. })),
                "{tail}: {read:?}"
            );
        }
    }

    #[test]
    fn a_plan_with_an_unknown_need_is_left_to_a_newer_release() {
        let mut fact = streams::testing::planned();
        let entry = |fact: &Planned| Entry {
            fact: fact.clone(),
            seq: 1,
            time: DateTime::UNIX_EPOCH,
        };

        assert!(feasible(Some(entry(&fact))).is_ok_and(|planned| planned.is_some()));

        fact.needs = vec!["boundaries".to_owned()];
        let unread = feasible(Some(entry(&fact))).unwrap_err().to_string();
        assert!(
            unread.contains("needs a newer fluxhls: the plan needs \"boundaries\""),
            "{unread}"
        );
    }
}
