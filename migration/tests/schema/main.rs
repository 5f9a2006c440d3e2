//! The migrations on real databases: built from nothing, adopted alive, run by several at once.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod adoption;
mod catalog;
mod concurrency;
mod entities;
mod fresh;
mod sqlite;
mod trigger;
mod versions;
