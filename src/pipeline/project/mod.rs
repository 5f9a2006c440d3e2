//! Project: the job log becomes rows of `files` and `transcoding_jobs`. The only place that writes
//! tables.
//!
//! [`Database`] is the only access to the tables: every statement runs within a transaction;
//! `error_text` describes what it refuses and what to do, and `write_check` checks whether it can
//! be written.
//!
//! In reading order: `feed` reads the log without gaps; `entry` decodes a message; `fold` turns
//! facts into changes (pure); `rows` carries changes out, each guarded by the sequence it comes
//! from; `batch` does so for the facts of one transaction and sets aside those whose content the
//! database refuses (`dead`); `checkpoint` stores the position of the tables and proves that the
//! log is still the one they came from; [`Projector`] is the loop over all of it, and [`rebuild`]
//! starts it from the beginning. With the checkpoint, `job_counters` keeps the counts of jobs that
//! survive restarts, [`progress`] keeps the percentage fresh, `metrics` reports what the projector
//! does, [`jobs`] answers questions about the rows, and [`adoption`] finds what another system left
//! in them.
//!
//! Facts are applied in order, in one transaction with the checkpoint, and a fact that was applied
//! before changes nothing. So any number of projectors may run: each transaction begins by moving
//! the checkpoint, which only one of them can.

pub mod adoption;
mod batch;
mod change;
mod checkpoint;
mod database;
mod dead;
mod entry;
mod error;
pub mod error_text;
mod feed;
mod fold;
mod job_counters;
pub mod jobs;
mod metrics;
pub mod progress;
mod projector;
mod rebuild;
mod references;
mod refusal;
mod rows;
pub mod sweep;
#[cfg(test)]
mod tests;
mod write_check;

pub use checkpoint::read_job_counters;
pub use database::{Database, DatabaseSettings};
pub use error::ProjectError;
pub use feed::FeedError;
pub use job_counters::JobCounters;
pub use metrics::register_metrics;
pub use projector::{Position, Projector};
pub use rebuild::{Rebuilt, rebuild};
