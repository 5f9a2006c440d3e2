//! One job as the log has it at this moment, read from the streams' leaders.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use streams::fact::{Accepted, Cancel, FactKind, Planned, Verdict};
use streams::task::TaskName;
use streams::work::WorkKind;
use streams::{FileId, JobId, Lane, TaskKey, subject, topology};

use super::Jobs;
use crate::jetstream::Recorded;

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
    /// Whether somebody asked for it to stop.
    pub cancel: Option<Entry<Cancel>>,
    /// How it must end, once decided.
    pub verdict: Option<Entry<Verdict>>,
    /// Whether growing playlists were announced.
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
    /// Tasks that had to be done again.
    pub redo: BTreeSet<TaskName>,
    /// The ranges of tasks that are in the bucket before the task is done.
    pub parts: BTreeMap<TaskName, BTreeSet<u32>>,
    attempts: BTreeMap<TaskName, u64>,
    released: BTreeMap<TaskName, u64>,
}

impl WorkState {
    /// Reads the subjects of a job's work messages and how many each holds.
    #[must_use]
    pub fn from_subjects(subjects: &BTreeMap<String, u64>) -> Self {
        let mut state = Self::default();
        for (subject, count) in subjects {
            if let Some((_, task, k)) = subject::parse_part(subject) {
                state.parts.entry(task).or_default().insert(k);
            }
            let Some((_, kind, task)) = subject::parse_work(subject) else {
                continue;
            };
            match kind {
                WorkKind::Done => drop(state.done.insert(task)),
                WorkKind::Redo => drop(state.redo.insert(task)),
                WorkKind::Attempt => drop(state.attempts.insert(task, *count)),
                WorkKind::Released => drop(state.released.insert(task, *count)),
                WorkKind::Part | WorkKind::Failed => {}
            }
        }
        state
    }

    /// Starts of a task that count: attempts minus those handed back.
    #[must_use]
    pub fn attempts(&self, task: TaskName) -> u64 {
        let started = self.attempts.get(&task).copied().unwrap_or(0);
        started.saturating_sub(self.released(task))
    }

    /// Starts of a task that were handed back.
    #[must_use]
    pub fn released(&self, task: TaskName) -> u64 {
        self.released.get(&task).copied().unwrap_or(0)
    }

    /// The name under which a planned task's result is looked for: its redo's, once there is an order to redo it.
    #[must_use]
    pub fn effective(&self, task: TaskName) -> TaskName {
        if self.redo.contains(&task) { task.redone() } else { task }
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
        let tasks = self.plan().map(|plan| plan.tasks.as_slice()).unwrap_or_default();
        tasks
            .iter()
            .map(|planned| TaskKey::new(self.job_id.clone(), self.work.effective(planned.task), planned.lane))
            .filter(|key| !self.work.done.contains(&key.task))
            .collect()
    }

    /// Whether anything may still be done for the job.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !self.ended && self.verdict.is_none() && self.cancel.is_none()
    }
}

impl Jobs {
    /// The job as the log has it now; nothing when it was never accepted.
    pub async fn state(&self, job: &JobId) -> Option<JobState> {
        let facts = self.log.subjects(topology::JOBS, &subject::facts_of(job)).await;
        let kinds: BTreeSet<FactKind> = facts
            .keys()
            .filter_map(|subject| subject::parse_fact(subject).map(|(_, kind)| kind))
            .collect();
        // None of these waits for another: what is told of a job meanwhile is in none of them or in some, as if they were read in a row.
        let (accepted, planned, cancel, verdict, work) = futures::join!(
            self.recorded(job, FactKind::Accepted, &kinds),
            self.entry(job, FactKind::Planned, &kinds),
            self.entry(job, FactKind::Cancel, &kinds),
            self.entry(job, FactKind::Verdict, &kinds),
            self.work(job),
        );
        let accepted = accepted?;
        Some(JobState {
            job_id: job.clone(),
            traceparent: accepted.header("traceparent").map(str::to_owned),
            accepted: entry(&accepted)?,
            planned,
            cancel,
            verdict,
            playable: kinds.contains(&FactKind::Playable),
            ended: kinds.contains(&FactKind::Ended),
            work,
        })
    }

    /// What workers said of the job's tasks, as of now.
    pub async fn work(&self, job: &JobId) -> WorkState {
        WorkState::from_subjects(&self.log.subjects(topology::WORK, &subject::work_of(job)).await)
    }

    async fn recorded(&self, job: &JobId, kind: FactKind, present: &BTreeSet<FactKind>) -> Option<Recorded> {
        if !present.contains(&kind) {
            return None;
        }
        self.log.last(topology::JOBS, &subject::fact(job, kind)).await
    }

    async fn entry<T: DeserializeOwned>(
        &self,
        job: &JobId,
        kind: FactKind,
        present: &BTreeSet<FactKind>,
    ) -> Option<Entry<T>> {
        entry(&self.recorded(job, kind, present).await?)
    }
}

/// Reads a fact. One that cannot be read is as good as absent, but never silently.
fn entry<T: DeserializeOwned>(recorded: &Recorded) -> Option<Entry<T>> {
    match serde_json::from_slice(&recorded.payload) {
        Ok(fact) => Some(Entry {
            fact,
            seq: recorded.seq,
            time: recorded.time,
        }),
        Err(error) => {
            tracing::error!(subject = recorded.subject, seq = recorded.seq, %error, "a fact cannot be read");
            None
        }
    }
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
        let work = WorkState::from_subjects(&subjects.into_iter().collect());
        let v0 = TaskName::video(0);
        assert_eq!(work.attempts(v0), 2);
        assert_eq!(work.attempts(v0.redone()), 1);
        assert_eq!(work.effective(v0), v0.redone());
        assert_eq!(work.parts[&TaskName::TRACKS], BTreeSet::from([3]));
        assert!(work.done.contains(&v0) && !work.done.contains(&v0.redone()));
    }
}
