//! The rows fluxhls shares with its API: `SeaORM` entities, and nothing else.
//!
//! `files` and `transcoding_jobs` have the columns of the `FluxStudio` database, so its API keeps
//! reading them; the two guard columns on each, and the table `projection_checkpoint`, are ours.
//! The crate `migration` says how these tables come to be (and never imports this one); its tests
//! hold the two together on `PostgreSQL` and `SQLite`.
//!
//! All times are UTC without a zone, as the columns have always been.

pub mod files;
pub mod prelude;
pub mod projection_checkpoint;
pub mod transcoding_jobs;
