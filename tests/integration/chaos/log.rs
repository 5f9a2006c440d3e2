//! What the streams hold of every job, as values.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use streams::fact::Ended;
use streams::task::TaskName;
use streams::work::{Attempt, Done, Released, WorkKind};
use streams::{Fact, FactKind, JobId, subject};

use crate::harness::streams::Message;

/// A fact with its place and time.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// Its sequence in the stream.
    pub(super) seq: u64,
    /// When the server stored it.
    pub(super) time: DateTime<Utc>,
    /// What it says.
    pub(super) fact: Fact,
}

/// A start of a task.
#[derive(Debug, Clone)]
pub(super) struct Start {
    /// Its number: its sequence in the stream.
    pub(super) seq: u64,
    /// When the server stored it.
    pub(super) time: DateTime<Utc>,
    /// Who started it.
    pub(super) worker: String,
}

/// Everything that was published about one task.
#[derive(Debug, Clone, Default)]
pub(super) struct TaskLog {
    /// Every start, in order.
    pub(super) starts: Vec<Start>,
    /// The starts that were released, and when.
    pub(super) released: Vec<(u64, DateTime<Utc>)>,
    /// The starts whose results were stored, and when.
    pub(super) done: Vec<(u64, DateTime<Utc>)>,
    /// Orders to do it again.
    pub(super) redo: usize,
}

/// Everything that was published about one job.
#[derive(Debug, Clone, Default)]
pub(super) struct JobLog {
    /// Its facts, in order.
    pub(super) facts: Vec<Told>,
    /// Its tasks.
    pub(super) tasks: BTreeMap<TaskName, TaskLog>,
    /// All of it, for people.
    lines: Vec<(DateTime<Utc>, String)>,
}

/// Reads the job log and the messages between workers.
pub(super) fn read(facts: &[Message], work: &[Message]) -> BTreeMap<JobId, JobLog> {
    let mut jobs: BTreeMap<JobId, JobLog> = BTreeMap::new();
    for message in facts {
        let (job, kind) = subject::parse_fact(&message.subject).unwrap();
        let job = jobs.entry(job).or_default();
        job.note(message);
        job.facts.push(Told {
            seq: message.seq,
            time: message.time,
            fact: Fact::decode(&message.subject, kind, &message.payload).unwrap(),
        });
    }
    for message in work {
        if let Some((job, ..)) = subject::parse_part(&message.subject) {
            jobs.entry(job).or_default().note(message);
            continue;
        }
        let (job, kind, task) = subject::parse_work(&message.subject).unwrap();
        let job = jobs.entry(job).or_default();
        job.note(message);
        job.tasks.entry(task).or_default().take(kind, message);
    }
    jobs
}

impl TaskLog {
    fn take(&mut self, kind: WorkKind, message: &Message) {
        let body = &message.payload;
        match kind {
            WorkKind::Attempt => self.starts.push(Start {
                seq: message.seq,
                time: message.time,
                worker: serde_json::from_slice::<Attempt>(body).unwrap().worker,
            }),
            WorkKind::Released => {
                let released: Released = serde_json::from_slice(body).unwrap();
                self.released.push((released.attempt, message.time));
            }
            WorkKind::Done => {
                let done: Done = serde_json::from_slice(body).unwrap();
                self.done.push((done.attempt, message.time));
            }
            WorkKind::Redo => self.redo += 1,
            WorkKind::Part | WorkKind::Failed => {}
        }
    }
}

impl JobLog {
    fn note(&mut self, message: &Message) {
        let body: String = String::from_utf8_lossy(&message.payload)
            .chars()
            .take(300)
            .collect();
        let line = format!("{} {} {}", message.seq, message.subject, body);
        self.lines.push((message.time, line));
        self.lines.sort_by_key(|(time, _)| *time);
    }

    /// Every fact of a kind.
    pub(super) fn all(&self, kind: FactKind) -> impl Iterator<Item = &Told> {
        self.facts
            .iter()
            .filter(move |told| told.fact.kind() == kind)
    }

    /// The first fact of a kind.
    pub(super) fn first(&self, kind: FactKind) -> Option<&Told> {
        self.all(kind).next()
    }

    /// How it ended.
    pub(super) fn ended(&self) -> Option<&Ended> {
        match &self.first(FactKind::Ended)?.fact {
            Fact::Ended(ended) => Some(ended),
            _ => None,
        }
    }
}

impl fmt::Display for JobLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (time, line) in &self.lines {
            writeln!(f, "  {} {line}", time.format("%H:%M:%S%.3f"))?;
        }
        Ok(())
    }
}
