//! Every job the log knows, the owner of every output prefix, and every tombstone. A pure fold of
//! the log.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use jetstream::StoredMessage;
use storage::JobKeys;
use streams::delete::Tombstone;
use streams::fact::{Accepted, Ended, FactKind, Outcome};
use streams::work::Current;
use streams::{EventOrder, FileId, JobId, OutputPrefix, subject};

/// What the log says of one job.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) file_id: FileId,
    pub(super) prefix: OutputPrefix,
    /// The place of its upload event in the order of uploads and deletions.
    event: EventOrder,
    /// When and how it ended.
    ended: Option<(DateTime<Utc>, Outcome)>,
    /// Whether its row is already removed.
    pub(super) is_pruned: bool,
}

/// What happens to the objects of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutputStatus {
    /// It has not ended: nothing is removed.
    Open,
    /// Nothing of it is public, since that moment.
    NotPublic(DateTime<Utc>),
    /// It is public, or may be.
    Public,
}

/// Everything prune needs of the log.
#[derive(Debug, Default)]
pub(super) struct LogIndex {
    pub(super) jobs: BTreeMap<JobId, Job>,
    /// Which job a folder belongs to.
    folders: HashMap<String, JobId>,
    /// Prefixes that jobs have.
    prefixes: HashMap<String, OutputPrefix>,
    /// By their subject, with the moment since which it is so.
    owners: HashMap<String, (Current, DateTime<Utc>)>,
    tombstones: HashMap<FileId, EventOrder>,
}

/// Whose an object is, by its key alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ObjectOwner<'a> {
    /// In the folder of a job.
    Job(&'a JobId),
    /// The master playlist of a prefix.
    Master(&'a OutputPrefix),
    /// No job that the log knows has a folder here.
    Unknown,
}

impl LogIndex {
    /// The subjects it is folded from.
    pub(super) fn subjects() -> Vec<String> {
        let facts =
            [FactKind::Accepted, FactKind::Ended, FactKind::Pruned].map(subject::facts_of_kind);
        let others = [subject::ALL_CURRENT, subject::ALL_DELETED].map(str::to_owned);
        facts.into_iter().chain(others).collect()
    }

    /// Adds the next message of the log. One that cannot be read is as good as absent: then
    /// nothing of that job is touched.
    pub(super) fn add(&mut self, message: &StoredMessage) {
        match subject::parse_fact(&message.subject) {
            Some((id, FactKind::Accepted)) => self.add_accepted(id, &message.payload),
            Some((id, FactKind::Ended)) => {
                let ended: Option<Ended> = serde_json::from_slice(&message.payload).ok();
                if let (Some(job), Some(ended)) = (self.jobs.get_mut(&id), ended) {
                    job.ended = Some((message.time, ended.outcome));
                }
            }
            Some((id, FactKind::Pruned)) => {
                if let Some(job) = self.jobs.get_mut(&id) {
                    job.is_pruned = true;
                }
            }
            Some(_) => {}
            None => self.add_other(message),
        }
    }

    fn add_accepted(&mut self, id: JobId, payload: &[u8]) {
        let Ok(accepted) = serde_json::from_slice::<Accepted>(payload) else {
            return;
        };

        let prefix = accepted.output_prefix;
        let folder = JobKeys::new(prefix.as_str(), id.as_str())
            .folder()
            .to_owned();
        self.folders.insert(folder, id.clone());
        self.prefixes.insert(prefix.to_string(), prefix.clone());

        let job = Job {
            file_id: accepted.head.file_id,
            prefix,
            event: accepted.event,
            ended: None,
            is_pruned: false,
        };
        self.jobs.insert(id, job);
    }

    fn add_other(&mut self, message: &StoredMessage) {
        if subject::parse_deleted(&message.subject).is_some() {
            if let Ok(tombstone) = serde_json::from_slice::<Tombstone>(&message.payload) {
                self.tombstones.insert(tombstone.file_id, tombstone.event);
            }
            return;
        }

        // An owner that cannot be read is not the one before it, whose place it took: then no one
        // knows who is public.
        match serde_json::from_slice::<Current>(&message.payload) {
            Ok(current) => drop(
                self.owners
                    .insert(message.subject.clone(), (current, message.time)),
            ),
            Err(_) => drop(self.owners.remove(&message.subject)),
        }
    }

    /// Whether the file of a job was deleted after the job was uploaded.
    pub(super) fn is_deleted(&self, job: &Job) -> bool {
        self.tombstones
            .get(&job.file_id)
            .is_some_and(|deletion| !job.event.is_after(deletion))
    }

    /// The owner of a prefix of the output bucket `bucket`, and since when.
    pub(super) fn owner(
        &self,
        bucket: &str,
        prefix: &OutputPrefix,
    ) -> Option<&(Current, DateTime<Utc>)> {
        self.owners.get(&subject::current(bucket, prefix))
    }

    /// What happens to the objects of a job. If the log no longer has the owner of its prefix, a
    /// completed job may be public.
    pub(super) fn status(&self, bucket: &str, id: &JobId, job: &Job) -> OutputStatus {
        match job.ended {
            None => OutputStatus::Open,
            Some((at, _)) if self.is_deleted(job) => OutputStatus::NotPublic(at),
            Some((at, Outcome::Failed | Outcome::Canceled)) => OutputStatus::NotPublic(at),
            Some((at, Outcome::Completed)) => match self.owner(bucket, &job.prefix) {
                Some((owner, since)) if owner.job_id != *id || owner.deleted.is_some() => {
                    OutputStatus::NotPublic(at.max(*since))
                }
                _ => OutputStatus::Public,
            },
        }
    }

    /// When a job ended.
    pub(super) fn ended(job: &Job) -> Option<DateTime<Utc>> {
        job.ended.map(|(at, _)| at)
    }

    /// Whose an object is: of folders within folders, the innermost one counts.
    pub(super) fn owner_of(&self, key: &str) -> ObjectOwner<'_> {
        let ends = key.rmatch_indices('/').map(|(at, _)| at + 1);
        if let Some(job) = ends.clone().find_map(|end| self.folders.get(&key[..end])) {
            return ObjectOwner::Job(job);
        }
        let prefix = key
            .strip_suffix("master.m3u8")
            .and_then(|prefix| self.prefixes.get(prefix));
        prefix.map_or(ObjectOwner::Unknown, ObjectOwner::Master)
    }
}

#[cfg(test)]
mod tests {
    use async_nats::HeaderMap;
    use serde_json::{Value, json};

    use super::*;

    fn message(subject: &str, second: i64, body: &Value) -> StoredMessage {
        StoredMessage {
            subject: subject.to_owned(),
            seq: second.unsigned_abs(),
            time: at(second),
            headers: HeaderMap::new(),
            payload: body.to_string().into(),
        }
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn accepted(job: &str, prefix: &str, upload_seq: u64) -> StoredMessage {
        let body = json!({
            "v": 1, "job_id": job, "file_id": "f", "at": "2026-11-22T10:00:00Z", "output_prefix": prefix, "identity": "x",
            "manifest_url": "https://cdn/master.m3u8", "upload_seq": upload_seq, "upload_time": "2026-11-22T10:00:00Z",
            "upload": {"file_id": "f", "name": "n", "mime_type": "m", "size": 1, "file_url": "s3://b/k", "folder_path": "/",
                       "metadata": {}, "settings": {"profile": "standard", "priority": "normal", "max_attempts": 5}}
        });
        message(&format!("hls.v1.job.{job}.accepted"), 1, &body)
    }

    fn ended(job: &str, second: i64, outcome: &str) -> StoredMessage {
        let body = json!({
            "v": 1, "job_id": job, "file_id": "f", "at": "2026-11-22T10:00:00Z", "outcome": outcome, "manifest_url": null,
            "thumbnail_url": null, "storyboard_url": null, "duration_seconds": null, "elapsed_seconds": 1.0, "progress": 1,
            "superseded": false, "warnings": [], "error": null, "renditions": []
        });
        message(&format!("hls.v1.job.{job}.ended"), second, &body)
    }

    fn owner(job: &str, second: i64, deleted: Option<u64>) -> StoredMessage {
        let prefix = "hls/f/".parse().unwrap();
        let body = json!({"file_id": "f", "job_id": job, "accepted_seq": 1, "deleted": deleted});
        message(&subject::current("b", &prefix), second, &body)
    }

    fn status_of(job: &str, messages: &[StoredMessage]) -> OutputStatus {
        let mut log_index = LogIndex::default();
        messages.iter().for_each(|message| log_index.add(message));
        let id = job.parse().unwrap();
        log_index.status("b", &id, &log_index.jobs[&id])
    }

    #[test]
    fn only_what_is_not_public_goes() {
        let [a, b] = [accepted("a", "hls/f/", 5), accepted("b", "hls/f/", 6)];
        let done = [
            a.clone(),
            b.clone(),
            ended("a", 10, "completed"),
            ended("b", 20, "completed"),
        ];
        assert_eq!(status_of("a", &done[..2]), OutputStatus::Open);
        assert_eq!(
            status_of("a", &done),
            OutputStatus::Public,
            "the log has forgotten the owner"
        );

        let owned = [&done[..], &[owner("b", 30, None)]].concat();
        assert_eq!(
            (status_of("a", &owned), status_of("b", &owned)),
            (OutputStatus::NotPublic(at(30)), OutputStatus::Public)
        );

        for outcome in ["failed", "canceled"] {
            assert_eq!(
                status_of("a", &[a.clone(), ended("a", 10, outcome)]),
                OutputStatus::NotPublic(at(10))
            );
        }
    }

    #[test]
    fn a_deleted_file_is_not_public_and_its_new_life_is() {
        let tombstone =
            json!({"v": 1, "file_id": "f", "upload_seq": 5, "upload_time": "2026-11-22T10:00:00Z"});
        let log = [
            accepted("a", "hls/f/", 5),
            ended("a", 10, "completed"),
            message("hls.v1.source.deleted.f", 11, &tombstone),
            owner("a", 12, Some(5)),
            accepted("b", "hls/f/", 6),
            ended("b", 20, "completed"),
        ];
        assert_eq!(status_of("a", &log), OutputStatus::NotPublic(at(10)));

        let log = [&log[..], &[owner("b", 21, None)]].concat();
        assert_eq!(status_of("b", &log), OutputStatus::Public);
    }

    #[test]
    fn a_key_belongs_to_the_innermost_folder() {
        let mut log_index = LogIndex::default();
        log_index.add(&accepted("a", "hls/f/", 1));
        log_index.add(&accepted("b", "hls/f/a/", 1));
        let (a, b, prefix) = (
            "a".parse().unwrap(),
            "b".parse().unwrap(),
            "hls/f/".parse().unwrap(),
        );

        assert_eq!(
            log_index.owner_of("hls/f/a/720p/0-1.m4s"),
            ObjectOwner::Job(&a)
        );
        assert_eq!(
            log_index.owner_of("hls/f/a/b/720p/0-1.m4s"),
            ObjectOwner::Job(&b)
        );
        assert_eq!(
            log_index.owner_of("hls/f/master.m3u8"),
            ObjectOwner::Master(&prefix)
        );
        for unknown in ["hls/f/c/0.m4s", "hls/g/master.m3u8", "hls/f/a", ""] {
            assert_eq!(
                log_index.owner_of(unknown),
                ObjectOwner::Unknown,
                "{unknown}"
            );
        }
    }
}
