//! One run of prune: rows by the log, objects by the bucket.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use jetstream::Refused;
use serde::Serialize;
use storage::StorageError;
use streams::fact::{Fact, Head, Pruned};
use streams::topology;

use super::ledger::{Fate, Ledger};
use super::walk::Walk;
use crate::job::Jobs;
use crate::job::verdict::SettleError;

/// What one run is to do.
#[derive(Debug, Clone)]
pub struct Pruner {
    /// The jobs.
    pub jobs: Jobs,
    /// How long rows of jobs stay after their end.
    pub keep: TimeDelta,
    /// How long objects stay after nothing needs them any more.
    pub grace: TimeDelta,
    /// Whether nothing is to be removed, only counted.
    pub dry_run: bool,
}

/// What a run removed, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Rows of jobs.
    pub rows: usize,
    /// Objects.
    pub objects: usize,
    /// Bytes of those objects.
    pub bytes: u64,
    /// Public jobs of which nothing was removed, since their newest receipt cannot be read: see `fluxhls verify`.
    pub unread: Vec<String>,
    /// Objects of no job that the log knows, by folder. They are left alone.
    pub unknown: BTreeMap<String, Strays>,
}

/// Objects that nobody knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Strays {
    /// How many.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Why a run ended early. What was removed until then was rightly removed; run it again.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// The log could not be read.
    #[error("the job log cannot be read: {0}")]
    Log(async_nats::Error),
    /// NATS will never take a message of it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The bucket does not answer.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The master playlist of a deleted file could not be removed.
    #[error(transparent)]
    Settle(#[from] SettleError),
}

impl Pruner {
    /// Removes what is old or left over, as of `now`.
    ///
    /// # Errors
    /// [`PruneError`]; running it again goes on from there.
    pub async fn run(&self, now: DateTime<Utc>) -> Result<Removed, PruneError> {
        let mut ledger = Ledger::default();
        let log = &self.jobs.log;
        let read = log.replay(topology::JOBS, Ledger::subjects(), 0, |message| ledger.take(&message));
        read.await.map_err(PruneError::Log)?;
        let rows = self.rows(&ledger, now).await?;
        let mut walk = Walk::new(self, &ledger, now);
        walk.outputs().await?;
        walk.scratch().await?;
        Ok(Removed { rows, ..walk.removed })
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
