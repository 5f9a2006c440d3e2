//! Prune: what is old or left over goes. Never anything that the current master names, and nothing
//! of jobs the log does not know.
//!
//! In reading order: `log_index` (every job the log knows, and what becomes of each), `public` (what
//! the master in the bucket names), `orphans` (pure: which objects of a job go), `bucket_scan`
//! (the bucket, listed once), `run` (all of it), and [`Pruner`] (what a run is to do, and what came of
//! it).
//!
//! Rows go by a fact, `pruned`, which the projector carries out. Objects of jobs that failed, were
//! canceled, were superseded or belong to a deleted file go as a whole once a grace period has
//! passed since; of the job that is public only what attempts left behind goes, by the age of the
//! object, so that a repair at work keeps what it has just written.

mod bucket_scan;
mod log_index;
mod orphans;
mod pruner;
mod public;
mod run;

pub use pruner::{PruneError, Pruner, Removed, UnknownObjects};
