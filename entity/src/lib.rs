//! The rows fluxhls shares with its API: `SeaORM` entities, and nothing else.
//!
//! `files` and `transcoding_jobs` have the columns of the `FluxStudio` database, so its API can
//! still read them; fluxhls adds two guard columns to each, and the table `projection_checkpoint`.
//! The crate `migration` creates these tables (and never imports this crate); its tests compare the
//! two on `PostgreSQL` and `SQLite`.
//!
//! All times are UTC without a zone, as the columns have always been.

pub mod files;
pub mod prelude;
pub mod projection_checkpoint;
pub mod transcoding_jobs;
