//! fluxhls turns uploaded videos into HLS that plays everywhere.
//!
//! [`pipeline`] holds the stages in the order a video takes them: intake (upload event →
//! `accepted`), plan (probe, ladder, chunk map → `planned`), encode (chunks and tracks → segments
//! in the bucket), package (check, playlists, verdict), and project (every fact → tables). Stages
//! never call each other; they communicate by the messages of the crate `streams`. [`operations`]
//! answers requests, checks and repairs published output, and removes old data.
//!
//! Imports run downward only: the crates `media` (pure), `ffmpeg`, `storage`, `jetstream` →
//! [`telemetry`] and [`worker`] → [`job`], the rules all stages share → [`pipeline`] →
//! [`operations`] → [`service`] → [`cli`] with [`config`].

pub mod cli;
pub mod config;
pub mod crash;
pub mod job;
pub mod operations;
pub mod pipeline;
pub mod service;
pub mod telemetry;
pub mod worker;
