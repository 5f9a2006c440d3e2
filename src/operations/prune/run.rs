//! One run of prune: rows by the log, objects by the bucket.

use chrono::{DateTime, Utc};
use streams::fact::{Fact, Head, Pruned};
use streams::topology;

use super::ledger::{Fate, Ledger};
use super::pruner::{PruneError, Pruner, Removed};
use super::walk::Walk;

impl Pruner {
    /// Removes what is old or left over, as of `now`.
    ///
    /// # Errors
    /// [`PruneError`]; running it again goes on from there.
    pub async fn run(&self, now: DateTime<Utc>) -> Result<Removed, PruneError> {
        let mut ledger = Ledger::default();
        let log = &self.jobs.log;
        let read = log.replay(topology::JOBS, Ledger::subjects(), 0, |message| {
            ledger.take(&message)
        });
        read.await.map_err(PruneError::Log)?;

        let rows = self.rows(&ledger, now).await?;
        let mut walk = Walk::new(self, &ledger, now);
        walk.outputs().await?;
        walk.scratch().await?;
        Ok(Removed {
            rows,
            ..walk.removed
        })
    }

    /// Announces that rows of jobs go which ended long ago and are not public.
    async fn rows(&self, ledger: &Ledger, now: DateTime<Utc>) -> Result<usize, PruneError> {
        let mut rows = 0;
        for (id, job) in &ledger.jobs {
            let is_gone = matches!(ledger.fate(self.jobs.output.name(), id, job), Fate::Gone(_));
            let is_old = Ledger::ended(job).is_some_and(|at| now - at >= self.keep);
            if job.is_pruned || !is_gone || !is_old {
                continue;
            }

            rows += 1;
            if !self.dry_run {
                let head = Head::new(id.clone(), job.file_id.clone());
                let deleted = ledger.is_deleted(job);
                self.jobs
                    .announce(&Fact::Pruned(Pruned { head, deleted }), None)
                    .await?;
            }
        }

        Ok(rows)
    }
}
