//! What a run of prune is to do, and what came of it.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use jetstream::Refused;
use serde::Serialize;
use storage::StorageError;

use crate::job::Jobs;
use crate::job::verdict::SettleError;

/// What one run is to do.
#[derive(Debug, Clone)]
pub struct Pruner {
    /// The jobs.
    pub jobs: Jobs,
    /// How long rows of jobs stay after their end, unless the job is public.
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
    /// Public jobs of which nothing was removed because their newest receipt cannot be read: see
    /// `fluxhls verify`.
    pub unread: Vec<String>,
    /// Objects of no job that the log knows, by folder. They are left alone.
    pub unknown: BTreeMap<String, UnknownObjects>,
}

/// Objects that no job in the log has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct UnknownObjects {
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
