//! Jobs: reading and writing their log, and the rules every stage shares.
//!
//! - [`Jobs`] is the access to the log of all jobs: it reads them and publishes their facts.
//!   Operations on them are functions in files with their names. [`JobState`] is one job as the log
//!   has it now; [`WorkerContext`] is what workers with an ffmpeg have in addition.
//! - [`step`] runs any task of any class through the same five steps; a [`Stage`] does the work of
//!   a class.
//! - [`Lease`](lease) keeps a task while this worker works on it and notices when it is lost.
//! - [`verdict`] decides and carries out how a job ends; [`commit`] makes a checked output public.
//! - [`broken`] ends what cannot go by these rules; [`deletion`] removes a file with all its jobs;
//!   [`retry`] sends a job's event again.
//! - [`denial`] waits for a source that the storage denies.
//! - [`circuit_breaker`] prevents tasks from starting while the output bucket cannot be used.
//! - [`queue`] keeps a job's window of tasks on the queue.

pub mod broken;
pub mod cancel;
pub mod circuit_breaker;
pub mod classify;
pub mod commit;
mod context;
pub mod deletion;
pub mod denial;
mod failing;
pub mod failure;
pub mod jobs;
pub mod lease;
mod meter;
pub mod queue;
pub mod receipt;
pub mod retry;
mod stage;
pub mod state;
pub mod step;
mod stopped;
mod task_run;
pub mod verdict;

pub use circuit_breaker::{CircuitBreaker, StorageAccess};
pub use context::WorkerContext;
pub use jobs::{JobSettings, Jobs};
pub use lease::WorkCounter;
pub use meter::register as register_metrics;
pub use stage::{Readiness, Stage, TaskContext, TaskOutcome};
pub use state::{Entry, JobState};
pub use step::{run, run_update};
