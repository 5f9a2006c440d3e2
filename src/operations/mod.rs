//! Operations on existing jobs and outputs: [`api`] answers requests of other services,
//! [`collector`] updates the metrics of tables and streams, [`repair`] checks a finished output and
//! repairs it, [`prune`] removes old rows and unneeded objects.

pub mod api;
pub mod collector;
pub mod prune;
pub mod repair;
