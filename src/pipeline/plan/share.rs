//! A publisher's share of the queue: the jobs of one who sends thousands wait to be planned, so
//! that the first chunks of all others find no long queue.
//!
//! No job waits while the fleet has free slots. If first chunks pile up, or one publisher has many
//! jobs in work, a job of a publisher that already has its share is postponed, before an attempt is
//! counted. A share is what all jobs in work come to for each of their publishers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jetstream::Backlog;
use quick_cache::sync::Cache;
use streams::fact::{Accepted, FactKind};
use streams::upload::{Priority, Upload};
use streams::{Class, JobId, Lane, subject, topology};

use crate::job::queue::encode_backlogs;
use crate::job::{JobState, Jobs};

/// Jobs whose publishers are remembered.
const MAX_REMEMBERED_JOBS: usize = 10_000;

/// First chunks that may wait, and jobs of one publisher that may be in work, however small the
/// fleet is.
const MIN_CAPACITY: (u64, u64) = (8, 16);

/// Seconds between two looks at a job that waits, at least and at most.
const PAUSE_SECONDS: (u64, u64) = (2, 60);

/// Jobs that wait and are looked at again each second.
const MAX_LOOKS_PER_SECOND: u64 = 100;

/// Who has which share of the queue.
#[derive(Debug, Clone)]
pub struct Shares {
    publishers: Arc<Cache<JobId, Publisher>>,
}

/// Who sent a job: `uploaded_by`, else `project_id`. All who say neither are one.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Publisher(Option<Arc<str>>);

impl Publisher {
    fn of(upload: &Upload) -> Self {
        let name = upload
            .uploaded_by
            .as_deref()
            .or(upload.project_id.as_deref());
        Self(name.map(Arc::from))
    }
}

impl Default for Shares {
    fn default() -> Self {
        Self {
            publishers: Arc::new(Cache::new(MAX_REMEMBERED_JOBS)),
        }
    }
}

impl Shares {
    /// How long the plan of a job waits for others, 2 to 60 s; none if it need not.
    pub(super) async fn pause(&self, jobs: &Jobs, state: &JobState) -> Option<Duration> {
        let upload = &state.accepted.fact.upload;
        if upload.settings.priority == Priority::High {
            return None;
        }

        // The counts of the queues are asked for first: the list of all jobs costs more, and is
        // needed only where room is short.
        let (hi, lo) = encode_backlogs(jobs).await;
        let capacity = FleetCapacity::of(hi, lo);
        if capacity.has_room_for_all(hi, lo) {
            return None;
        }

        let mut active = BTreeMap::new();
        for job in list_encoding_jobs(jobs).await {
            *active
                .entry(self.find_publisher(jobs, &job).await)
                .or_default() += 1;
        }
        if !capacity.must_wait(&active, &Publisher::of(upload), hi) {
            return None;
        }

        let waiting = jobs.log.backlog(Class::Plan, Lane::Hi).await.in_flight;
        Some(Duration::from_secs(
            (waiting / MAX_LOOKS_PER_SECOND).clamp(PAUSE_SECONDS.0, PAUSE_SECONDS.1),
        ))
    }

    async fn find_publisher(&self, jobs: &Jobs, job: &JobId) -> Publisher {
        if let Some(known) = self.publishers.get(job) {
            return known;
        }

        let accepted = subject::fact(job, FactKind::Accepted);
        let recorded = jobs.log.last(topology::JOBS, &accepted).await;
        let accepted: Option<Accepted> =
            recorded.and_then(|fact| serde_json::from_slice(&fact.payload).ok());
        let publisher =
            accepted.map_or_else(Publisher::default, |fact| Publisher::of(&fact.upload));
        self.publishers.insert(job.clone(), publisher.clone());
        publisher
    }
}

/// The jobs that have chunks on the queue.
async fn list_encoding_jobs(jobs: &Jobs) -> BTreeSet<JobId> {
    let queued = jobs
        .log
        .subjects(topology::TASKS, &subject::tasks_in(Class::Encode, None))
        .await;
    let keys = queued
        .keys()
        .filter_map(|subject| subject::parse_task(subject));
    keys.map(|key| key.job_id).collect()
}

/// What the fleet has room for.
#[derive(Debug, Clone, Copy)]
struct FleetCapacity {
    /// First chunks that may wait.
    firsts: u64,
    /// Jobs of one publisher that may be in work.
    jobs: u64,
}

impl FleetCapacity {
    /// Twice what is worked on at a time.
    fn of(hi: Backlog, lo: Backlog) -> Self {
        let plenty = 2 * hi.and(lo).capacity();
        Self {
            firsts: plenty.max(MIN_CAPACITY.0),
            jobs: plenty.max(MIN_CAPACITY.1),
        }
    }

    /// Whether no publisher has to wait, whichever jobs are in work: there are no more jobs than
    /// tasks.
    const fn has_room_for_all(self, hi: Backlog, lo: Backlog) -> bool {
        let tasks = hi.waiting + hi.in_flight + lo.waiting + lo.in_flight;
        hi.waiting < self.firsts && tasks < self.jobs
    }

    /// Whether a publisher has to wait for others, by how many jobs of each are in work.
    fn must_wait(
        self,
        active: &BTreeMap<Publisher, u64>,
        publisher: &Publisher,
        hi: Backlog,
    ) -> bool {
        let own = active.get(publisher).copied().unwrap_or(0);
        let all: u64 = active.values().sum();
        let publishers = active.len() as u64 + u64::from(own == 0);
        // This is `own >= all / publishers`, without a division that rounds.
        let is_over = own * publishers >= all.max(1);
        is_over && (hi.waiting >= self.firsts || own >= self.jobs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publisher(name: &str) -> Publisher {
        Publisher(Some(Arc::from(name)))
    }

    fn backlog(waiting: u64, in_flight: u64) -> Backlog {
        Backlog {
            waiting,
            in_flight,
            pulls: 0,
        }
    }

    #[test]
    fn no_one_waits_while_there_is_room() {
        let (hi, lo) = (backlog(3, 1), backlog(2, 1));
        assert!(FleetCapacity::of(hi, lo).has_room_for_all(hi, lo));
        let active = BTreeMap::from([(publisher("a"), 15)]);
        assert!(!FleetCapacity::of(hi, lo).must_wait(&active, &publisher("a"), hi));
    }

    #[test]
    fn who_has_its_share_waits_where_first_chunks_pile_up_and_others_do_not() {
        let (hi, lo) = (backlog(8, 2), backlog(6, 0));
        let capacity = FleetCapacity::of(hi, lo);
        assert!(!capacity.has_room_for_all(hi, lo));
        let active = BTreeMap::from([(publisher("a"), 5), (publisher("b"), 1)]);
        assert!(capacity.must_wait(&active, &publisher("a"), hi));
        assert!(!capacity.must_wait(&active, &publisher("b"), hi));
        assert!(!capacity.must_wait(&active, &publisher("c"), hi));
        assert!(!capacity.must_wait(&active, &Publisher::default(), hi));
    }

    #[test]
    fn one_publisher_has_no_more_jobs_in_work_than_the_fleet_can_use() {
        let (hi, lo) = (backlog(0, 0), backlog(300, 10));
        let capacity = FleetCapacity::of(hi, lo);
        let many = |own| BTreeMap::from([(publisher("a"), own)]);
        assert!(!capacity.must_wait(&many(19), &publisher("a"), hi));
        assert!(capacity.must_wait(&many(20), &publisher("a"), hi));
        assert!(!capacity.must_wait(&many(20), &publisher("b"), hi));
    }

    #[test]
    fn the_uploader_is_the_publisher_and_else_the_project() {
        let of = |uploaded_by: Option<&str>, project_id: Option<&str>| {
            let upload = serde_json::json!({
                "file_id": "f", "name": "a", "mime_type": "video/mp4", "size": 0, "file_url": "s3://b/a", "folder_path": "/",
                "uploaded_by": uploaded_by, "project_id": project_id, "metadata": {},
                "settings": {"profile": "standard", "priority": "normal", "max_attempts": 5},
            });
            Publisher::of(&serde_json::from_value(upload).unwrap())
        };

        assert_eq!(of(Some("u"), Some("p")), publisher("u"));
        assert_eq!(of(None, Some("p")), publisher("p"));
        assert_eq!(of(None, None), Publisher::default());
    }
}
