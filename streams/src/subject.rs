//! Every subject of the contract, built and parsed here and nowhere else.
//!
//! | subject | stream | what |
//! |---|---|---|
//! | `hls.v1.upload`, `hls.v1.delete` | `HLS_UPLOADS` | what publishers send |
//! | `hls.v1.job.<job_id>.<fact>` | `HLS_JOBS` | the job log; each fact at most once |
//! | `hls.v1.source.<hash>` | `HLS_JOBS` | identity of an event → job id |
//! | `hls.v1.source.file.<file_id>.<job_id>` | `HLS_JOBS` | index: every job of a file |
//! | `hls.v1.source.deleted.<file_id>` | `HLS_JOBS` | tombstone of a file |
//! | `hls.v1.current.<hash>` | `HLS_JOBS` | which job owns an output prefix |
//! | `hls.v1.work.<job_id>.<kind>.<task>` | `HLS_WORK` | messages between workers; a `part` has its number after the task |
//! | `hls.v1.task.<class>.<lane>.<job_id>.<task>` | `HLS_TASKS` | the queue |
//! | `hls.v1.progress.<job_id>.<task>` | `HLS_PROGRESS` | last value only |
//! | `hls.v1.dead.<origin>.…` | `HLS_DEAD` | dead letters |
//! | `live.hls.v1.job.<job_id>.<fact>` | (core NATS) | the job log, republished, at most once |

use sha2::{Digest, Sha256};

use crate::fact::FactKind;
use crate::id::{FileId, JobId};
use crate::task::{Class, Lane, TaskKey, TaskName};
use crate::wire::Unread;
use crate::work::WorkKind;

/// Upload events.
pub const UPLOAD: &str = "hls.v1.upload";
/// Requests to delete a file.
pub const DELETE: &str = "hls.v1.delete";
/// All facts of all jobs.
pub const ALL_FACTS: &str = "hls.v1.job.>";
/// All identities.
pub const ALL_SOURCES: &str = "hls.v1.source.>";
/// All tombstones of files.
pub const ALL_DELETED: &str = "hls.v1.source.deleted.*";
/// All prefix owners.
pub const ALL_CURRENT: &str = "hls.v1.current.>";
/// All messages between workers.
pub const ALL_WORK: &str = "hls.v1.work.>";
/// The whole queue.
pub const ALL_TASKS: &str = "hls.v1.task.>";
/// All progress.
pub const ALL_PROGRESS: &str = "hls.v1.progress.>";
/// All dead letters.
pub const ALL_DEAD: &str = "hls.v1.dead.>";
/// All facts as they are republished on core NATS.
pub const ALL_LIVE: &str = "live.hls.v1.job.>";

/// One fact of one job.
#[must_use]
pub fn fact(job: &JobId, kind: FactKind) -> String {
    format!("hls.v1.job.{job}.{}", kind.as_str())
}

/// Every fact of one job.
#[must_use]
pub fn facts_of(job: &JobId) -> String {
    format!("hls.v1.job.{job}.>")
}

/// One kind of fact of all jobs, e.g. `hls.v1.job.*.ended`.
#[must_use]
pub fn facts_of_kind(kind: FactKind) -> String {
    format!("hls.v1.job.*.{}", kind.as_str())
}

/// Reads the subject of a fact, as stored or as republished under `live.`.
#[must_use]
pub fn parse_fact(subject: &str) -> Option<(JobId, FactKind)> {
    let rest = subject
        .strip_prefix("live.")
        .unwrap_or(subject)
        .strip_prefix("hls.v1.job.")?;
    let (job, kind) = rest.split_once('.')?;
    Some((job.parse().ok()?, kind.parse().ok()?))
}

/// As [`parse_fact`], of a subject under [`ALL_FACTS`].
///
/// # Errors
/// [`Unread::Newer`] where this release knows no such fact.
pub fn read_fact(subject: &str) -> Result<(JobId, FactKind), Unread> {
    parse_fact(subject).ok_or_else(|| Unread::newer(subject, "this release knows no such fact"))
}

/// The identity of an upload event; `identity` is any text, its hash is the token.
#[must_use]
pub fn source(identity: &str) -> String {
    format!("hls.v1.source.{}", sha256_hex(identity))
}

/// The index entry that says that a file has a job. Written before the job is accepted.
#[must_use]
pub fn job_of_file(file: &FileId, job: &JobId) -> String {
    format!("hls.v1.source.file.{file}.{job}")
}

/// The index entries of all jobs of a file.
#[must_use]
pub fn jobs_of_file(file: &FileId) -> String {
    format!("hls.v1.source.file.{file}.*")
}

/// The index entries of a job, of which there is one.
#[must_use]
pub fn files_of_job(job: &JobId) -> String {
    format!("hls.v1.source.file.*.{job}")
}

/// Reads the subject of an index entry.
#[must_use]
pub fn parse_job_of_file(subject: &str) -> Option<(FileId, JobId)> {
    let (file, job) = subject
        .strip_prefix("hls.v1.source.file.")?
        .split_once('.')?;
    Some((file.parse().ok()?, job.parse().ok()?))
}

/// The tombstone of a file.
#[must_use]
pub fn deleted(file: &FileId) -> String {
    format!("hls.v1.source.deleted.{file}")
}

/// Reads the subject of a tombstone.
#[must_use]
pub fn parse_deleted(subject: &str) -> Option<FileId> {
    subject.strip_prefix("hls.v1.source.deleted.")?.parse().ok()
}

/// The owner of an output prefix of an output bucket.
#[must_use]
pub fn current(bucket: &str, prefix: &crate::id::OutputPrefix) -> String {
    format!(
        "hls.v1.current.{}",
        sha256_hex(&format!("{bucket}/{prefix}"))
    )
}

/// One kind of work message of one task.
#[must_use]
pub fn work(job: &JobId, kind: WorkKind, task: TaskName) -> String {
    format!("hls.v1.work.{job}.{}.{task}", kind.as_str())
}

/// One range of what a task makes, before it is done.
#[must_use]
pub fn part(job: &JobId, task: TaskName, k: u32) -> String {
    format!("{}.{k}", work(job, WorkKind::Part, task))
}

/// Reads the subject of a range.
#[must_use]
pub fn parse_part(subject: &str) -> Option<(JobId, TaskName, u32)> {
    let (head, k) = subject.rsplit_once('.')?;
    match parse_tokens(head)? {
        (job, WorkKind::Part, task) => Some((job, task, k.parse().ok()?)),
        _ => None,
    }
}

/// All work messages of one job.
#[must_use]
pub fn work_of(job: &JobId) -> String {
    format!("hls.v1.work.{job}.>")
}

/// Reads the subject of a work message of a whole task; [`parse_part`] reads those of ranges.
#[must_use]
pub fn parse_work(subject: &str) -> Option<(JobId, WorkKind, TaskName)> {
    parse_tokens(subject).filter(|(_, kind, _)| *kind != WorkKind::Part)
}

fn parse_tokens(subject: &str) -> Option<(JobId, WorkKind, TaskName)> {
    let mut tokens = subject.strip_prefix("hls.v1.work.")?.split('.');
    let parsed = (
        tokens.next()?.parse().ok()?,
        tokens.next()?.parse().ok()?,
        tokens.next()?.parse().ok()?,
    );
    tokens.next().is_none().then_some(parsed)
}

/// One task on the queue.
#[must_use]
pub fn task(key: &TaskKey) -> String {
    format!(
        "hls.v1.task.{}.{}.{}.{}",
        key.class.as_str(),
        key.lane.as_str(),
        key.job_id,
        key.task
    )
}

/// Every queued task of one job.
#[must_use]
pub fn tasks_of(job: &JobId) -> String {
    format!("hls.v1.task.*.*.{job}.>")
}

/// Every queued task of a class, in one lane or in both.
#[must_use]
pub fn tasks_in(class: Class, lane: Option<Lane>) -> String {
    match lane {
        Some(lane) => format!("hls.v1.task.{}.{}.>", class.as_str(), lane.as_str()),
        None => format!("hls.v1.task.{}.>", class.as_str()),
    }
}

/// Reads the subject of a task.
#[must_use]
pub fn parse_task(subject: &str) -> Option<TaskKey> {
    let mut tokens = subject.strip_prefix("hls.v1.task.")?.split('.');
    let class = tokens.next()?;
    let lane = match tokens.next()? {
        "hi" => Lane::Hi,
        "lo" => Lane::Lo,
        _ => return None,
    };
    let key = TaskKey::new(
        tokens.next()?.parse().ok()?,
        tokens.next()?.parse().ok()?,
        lane,
    );
    (tokens.next().is_none() && key.class.as_str() == class).then_some(key)
}

/// As [`parse_task`], of a subject under [`ALL_TASKS`].
///
/// # Errors
/// [`Unread::Newer`] where this release knows no such task.
pub fn read_task(subject: &str) -> Result<TaskKey, Unread> {
    parse_task(subject).ok_or_else(|| Unread::newer(subject, "this release knows no such task"))
}

/// The last progress of one task.
#[must_use]
pub fn progress(job: &JobId, task: TaskName) -> String {
    format!("hls.v1.progress.{job}.{task}")
}

/// A dead letter of the message with sequence `seq` that a stage (`upload`, `delete`, `project`)
/// could not process.
#[must_use]
pub fn dead_message(stage: &str, seq: u64) -> String {
    format!("hls.v1.dead.{stage}.{seq}")
}

/// The dead letter of a task that failed permanently.
#[must_use]
pub fn dead_task(key: &TaskKey) -> String {
    format!(
        "hls.v1.dead.{}.{}.{}",
        key.class.as_str(),
        key.job_id,
        key.task
    )
}

/// The origin of a dead letter, from its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadOrigin {
    /// An upload event, with its sequence in `HLS_UPLOADS`.
    Upload(u64),
    /// A delete event, with its sequence in `HLS_UPLOADS`.
    Delete(u64),
    /// A fact, with its sequence in `HLS_JOBS`, that cannot be in the tables.
    Project(u64),
    /// A task that failed permanently.
    Task(JobId, TaskName),
    /// An advisory of the server on a message of the queue: its kind, and the consumer.
    Advisory(String, String),
}

/// Reads the subject of a message in `HLS_DEAD`.
#[must_use]
pub fn parse_dead(subject: &str) -> Option<DeadOrigin> {
    if let Some(rest) = subject.strip_prefix("$JS.EVENT.ADVISORY.CONSUMER.") {
        let (kind, rest) = rest.split_once('.')?;
        let (_, consumer) = rest.split_once('.')?;
        return Some(DeadOrigin::Advisory(kind.to_owned(), consumer.to_owned()));
    }

    let (stage, rest) = subject.strip_prefix("hls.v1.dead.")?.split_once('.')?;
    Some(match stage {
        "upload" => DeadOrigin::Upload(rest.parse().ok()?),
        "delete" => DeadOrigin::Delete(rest.parse().ok()?),
        "project" => DeadOrigin::Project(rest.parse().ok()?),
        class => {
            let (job, task) = rest.split_once('.')?;
            let task: TaskName = task.parse().ok()?;
            // The class is in the subject both directly and in the task; a subject in which they
            // differ is not valid.
            (task.class().as_str() == class).then_some(DeadOrigin::Task(job.parse().ok()?, task))?
        }
    })
}

pub(crate) fn sha256_hex(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn job() -> JobId {
        "j1".parse().unwrap()
    }

    #[test]
    fn subjects_are_those_of_the_contract() {
        let key = TaskKey::new(job(), TaskName::video(3).redone(), Lane::Hi);
        assert_eq!(fact(&job(), FactKind::Ended), "hls.v1.job.j1.ended");
        assert_eq!(facts_of_kind(FactKind::Ended), "hls.v1.job.*.ended");
        assert_eq!(
            work(&job(), WorkKind::Attempt, TaskName::TRACKS),
            "hls.v1.work.j1.attempt.tracks"
        );
        assert_eq!(task(&key), "hls.v1.task.encode.hi.j1.v3~1");
        assert_eq!(
            progress(&job(), TaskName::FINISH),
            "hls.v1.progress.j1.finish"
        );
        assert_eq!(dead_message("project", 7), "hls.v1.dead.project.7");
        assert!(source("x").starts_with("hls.v1.source.2d711642b726b044"));

        let file = "f1".parse().unwrap();
        assert_eq!(job_of_file(&file, &job()), "hls.v1.source.file.f1.j1");
        assert_eq!(deleted(&file), "hls.v1.source.deleted.f1");
    }

    #[test]
    fn what_is_built_is_parsed_back() {
        let key = TaskKey::new(job(), TaskName::video(3).redone(), Lane::Lo);
        assert_eq!(parse_task(&task(&key)), Some(key.clone()));
        assert_eq!(
            parse_fact("live.hls.v1.job.j1.cancel"),
            Some((job(), FactKind::Cancel))
        );
        assert_eq!(
            parse_work("hls.v1.work.j1.done.v0"),
            Some((job(), WorkKind::Done, TaskName::video(0)))
        );

        let range = part(&job(), TaskName::TRACKS, 7);
        assert_eq!(range, "hls.v1.work.j1.part.tracks.7");
        assert_eq!(parse_part(&range), Some((job(), TaskName::TRACKS, 7)));
        assert_eq!(
            (parse_work(&range), parse_part("hls.v1.work.j1.done.v0")),
            (None, None)
        );
        assert_eq!(parse_task("hls.v1.task.plan.hi.j1.v0"), None);

        assert_eq!(
            parse_dead(&dead_message("upload", 7)),
            Some(DeadOrigin::Upload(7))
        );
        assert_eq!(
            parse_dead(&dead_task(&key)),
            Some(DeadOrigin::Task(job(), TaskName::video(3).redone()))
        );
        assert_eq!(
            parse_dead("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.HLS_TASKS.plan"),
            Some(DeadOrigin::Advisory(
                "MSG_TERMINATED".to_owned(),
                "plan".to_owned()
            ))
        );
        assert_eq!(parse_dead("hls.v1.dead.plan.j1.v0"), None);

        let file: FileId = "f1".parse().unwrap();
        assert_eq!(
            parse_job_of_file(&job_of_file(&file, &job())),
            Some((file.clone(), job()))
        );
        assert_eq!(parse_deleted(&deleted(&file)), Some(file));
        assert_eq!(parse_job_of_file(&source("x")), None);
    }

    proptest! {
        #[test]
        fn no_subject_makes_a_parser_panic(text in "(live\\.)?hls\\.v1\\.(job|work|task|dead|source)\\.\\PC{0,40}") {
            let _ = (parse_fact(&text), parse_work(&text), parse_task(&text), parse_dead(&text));
            let _ = (parse_job_of_file(&text), parse_deleted(&text), parse_part(&text));
        }
    }
}
