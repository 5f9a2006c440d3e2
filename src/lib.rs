//! fluxhls turns uploaded videos into HLS that plays everywhere.
//!
//! The flow, in the order a video takes it: [`intake`] (upload event → `accepted`), then `plan`, `encode`, `package`, and
//! `project` (every fact → tables). Stages never call each other; they meet in the messages of the crate `streams`.
//!
//! Imports run downward only: pure modules and [`config`] → adapters ([`jetstream`], [`storage`]) → [`job`], the rules all
//! stages share → stages → service → cli.

pub mod config;
pub mod crash;
pub mod failure;
pub mod intake;
pub mod jetstream;
pub mod job;
pub mod storage;
