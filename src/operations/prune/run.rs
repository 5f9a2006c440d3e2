//! One run of prune: rows by the log, objects by the bucket.

use chrono::{DateTime, Utc};
use streams::fact::{Fact, Head, Pruned};
use streams::topology;

use super::bucket_scan::BucketScan;
use super::log_index::{LogIndex, OutputStatus};
use super::pruner::{PruneError, Pruner, Removed};

impl Pruner {
    /// Removes what is old or left over, as of `now`.
    ///
    /// # Errors
    /// [`PruneError`]; running it again continues from there.
    pub async fn run(&self, now: DateTime<Utc>) -> Result<Removed, PruneError> {
        let mut log_index = LogIndex::default();
        let log = &self.jobs.log;
        let read = log.replay(topology::JOBS, LogIndex::subjects(), 0, |message| {
            log_index.add(&message)
        });
        read.await.map_err(PruneError::Log)?;

        let rows = self.prune_rows(&log_index, now).await?;
        let mut scan = BucketScan::new(self, &log_index, now);
        scan.scan_outputs().await?;
        scan.scan_scratch().await?;
        Ok(Removed {
            rows,
            ..scan.removed
        })
    }

    /// Announces that rows of jobs go which ended long ago and are not public.
    async fn prune_rows(
        &self,
        log_index: &LogIndex,
        now: DateTime<Utc>,
    ) -> Result<usize, PruneError> {
        let mut rows = 0;
        for (id, job) in &log_index.jobs {
            let is_gone = matches!(
                log_index.status(self.jobs.output.name(), id, job),
                OutputStatus::NotPublic(_)
            );
            let is_old = LogIndex::ended(job).is_some_and(|at| now - at >= self.keep);
            if job.is_pruned || !is_gone || !is_old {
                continue;
            }

            rows += 1;
            if !self.dry_run {
                let head = Head::new(id.clone(), job.file_id.clone());
                let deleted = log_index.is_deleted(job);
                self.jobs
                    .announce(&Fact::Pruned(Pruned { head, deleted }), None)
                    .await?;
            }
        }

        Ok(rows)
    }
}
