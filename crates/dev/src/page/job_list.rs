//! The job list: the newest state of the newest jobs, as the page shows them.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde::Serialize;

/// How many jobs the job list remembers.
const MAX_JOBS: usize = 100;

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Accepted, and waiting for a worker.
    Queued,
    /// Being probed and planned.
    Planning,
    /// Being encoded.
    Encoding,
    /// Encoded, and being checked in the bucket.
    Checking,
    /// Done: the manifest plays.
    Completed,
    /// Ended without a result; [`Update::error`] says why.
    Failed,
    /// Ended because someone asked for it.
    Canceled,
}

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobError {
    /// The stable failure code, such as `truncated_upload`.
    pub code: String,
    /// One sentence for a person.
    pub message: String,
}

/// Everything that the page knows about one job; a later one replaces it completely.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Update {
    /// The job.
    pub job_id: String,
    /// The file it transcodes.
    pub file_id: String,
    /// The file's name, for a person.
    pub name: String,
    /// Where the job is.
    pub state: JobState,
    /// How much is done, 0 to 1.
    pub progress: f64,
    /// Seconds of video per second of time, when known.
    pub speed: Option<f64>,
    /// Seconds until it is done, when known.
    pub eta_seconds: Option<f64>,
    /// What a player loads: the live playlist while encoding, then the master.
    pub manifest_url: Option<String>,
    /// The poster.
    pub thumbnail_url: Option<String>,
    /// Why it failed.
    pub error: Option<JobError>,
    /// What was noticed and did not stop it, as codes such as `no_audio`.
    pub warnings: Vec<String>,
    /// When the job was accepted.
    pub created_at: DateTime<Utc>,
}

/// The newest jobs, each with the revision of its last change.
///
/// It lives in a `tokio::sync::watch` channel: one side records, and each open page receives what
/// changed since its last read. A slow page therefore skips states and never falls behind.
#[derive(Debug, Default)]
pub struct JobList {
    jobs: VecDeque<(u64, Update)>,
    revision: u64,
}

impl JobList {
    /// Puts a job's newest state on the job list; the oldest job leaves when the job list is full.
    pub fn record(&mut self, update: Update) {
        self.revision += 1;
        let stamped = (self.revision, update);

        // A known job keeps its place, so that a full job list loses the job that came first.
        match self
            .jobs
            .iter_mut()
            .find(|(_, known)| known.job_id == stamped.1.job_id)
        {
            Some(known) => *known = stamped,
            None => self.jobs.push_back(stamped),
        }

        if self.jobs.len() > MAX_JOBS {
            self.jobs.pop_front();
        }
    }

    /// The state of one job.
    pub fn job(&self, job_id: &str) -> Option<&Update> {
        self.jobs
            .iter()
            .map(|(_, update)| update)
            .find(|update| update.job_id == job_id)
    }

    /// The jobs that changed after `revision` (0: all), oldest job first.
    pub(super) fn changed_since(&self, revision: u64) -> Vec<&Update> {
        self.jobs
            .iter()
            .filter(|(changed, _)| *changed > revision)
            .map(|(_, update)| update)
            .collect()
    }

    /// The revision of the last change.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn update(job: usize, progress: f64) -> Update {
        Update {
            job_id: job.to_string(),
            file_id: format!("file-{job}"),
            name: "clip.mp4".to_owned(),
            state: JobState::Encoding,
            progress,
            speed: None,
            eta_seconds: None,
            manifest_url: None,
            thumbnail_url: None,
            error: None,
            warnings: Vec::new(),
            created_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_full_board_forgets_its_oldest_job() {
        let mut job_list = JobList::default();
        (0..=MAX_JOBS).for_each(|job| job_list.record(update(job, 0.0)));
        assert_eq!(job_list.changed_since(0).len(), MAX_JOBS);
        assert_eq!(job_list.job("0"), None);
        assert!(job_list.job("1").is_some() && job_list.job(&MAX_JOBS.to_string()).is_some());
    }

    proptest! {
        #[test]
        fn a_page_that_takes_what_changed_sees_the_same_as_one_that_takes_all(
            records in prop::collection::vec((0..8usize, 0.0..1.0f64, any::<bool>()), 0..60),
        ) {
            let mut job_list = JobList::default();
            let mut page = std::collections::HashMap::new();
            let mut seen = 0;

            for (job, progress, looks) in records {
                job_list.record(update(job, progress));
                if looks {
                    page.extend(job_list.changed_since(seen).into_iter().map(|update| (update.job_id.clone(), update.clone())));
                    seen = job_list.revision();
                }
            }

            page.extend(job_list.changed_since(seen).into_iter().map(|update| (update.job_id.clone(), update.clone())));
            prop_assert_eq!(page.len(), job_list.changed_since(0).len());
            for job in job_list.changed_since(0) {
                prop_assert_eq!(page.get(&job.job_id), Some(job));
            }
        }
    }
}
