//! Prune: removes old rows and unneeded objects. Never anything that the current master names, and
//! nothing of jobs that are not in the log.
//!
//! In reading order: `log_index` (every job in the log, and what happens to each), `public` (what
//! the master in the bucket names), `orphans` (pure: which objects of a job are removed),
//! `bucket_scan` (the bucket, listed once), `run` (all of it), and [`Pruner`] (the options of a
//! run, and its result).
//!
//! Rows are removed by a fact, `pruned`, which the projector carries out. All objects of jobs that
//! failed, were canceled, were superseded or belong to a deleted file are removed after a grace
//! period; of the public job only what attempts left behind is removed, by the age of the object,
//! so that a repair at work keeps what it has just written.

mod bucket_scan;
mod log_index;
mod orphans;
mod pruner;
mod public;
mod run;

pub use pruner::{PruneError, Pruner, Removed, UnknownObjects};
