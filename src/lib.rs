//! fluxhls turns uploaded videos into HLS that plays everywhere.
//!
//! [`pipeline`] holds the stages in the order a video takes them: intake (upload event → `accepted`), plan (probe, ladder, chunk map →
//! `planned`), encode (chunks and tracks → segments in the bucket), package (check, playlists, verdict), and project
//! (every fact → tables). Stages never call each other; they meet in the messages of the crate `streams`. [`operations`] answers questions,
//! checks and mends what was published, and removes what is old.
//!
//! Imports run downward only: pure modules ([`ladder`], [`levels`], [`playlist`], [`cmaf`], [`image`], [`webvtt`]) → adapters ([`jetstream`],
//! [`storage`], [`ffmpeg`], [`telemetry`]) and [`worker`] → [`job`], the rules all stages share → [`pipeline`] → [`operations`] →
//! [`service`] → [`cli`] with [`config`].

pub mod cli;
pub mod cmaf;
pub mod config;
pub mod crash;
#[cfg(feature = "dev")]
pub mod dev;
pub mod ffmpeg;
pub mod image;
pub mod jetstream;
pub mod job;
pub mod ladder;
pub mod levels;
pub mod operations;
pub mod pipeline;
pub mod playlist;
pub mod service;
pub mod storage;
pub mod telemetry;
pub mod webvtt;
pub mod worker;
