//! fluxhls turns uploaded videos into HLS that plays everywhere.
//!
//! The flow, in the order a video takes it: [`intake`] (upload event → `accepted`), [`plan`] (probe, ladder, chunk map →
//! `planned`), [`encode`] (chunks and tracks → segments in the bucket), [`package`] (check, playlists, verdict), and [`project`]
//! (every fact → tables). Stages never call each other; they meet in the messages of the crate `streams`. What was
//! published can be checked and mended later: [`repair`]; what is old or left over is removed: [`prune`].
//!
//! Imports run downward only: pure modules ([`ladder`], [`levels`], [`playlist`], [`cmaf`], [`image`], [`webvtt`]) and [`config`] → adapters ([`jetstream`],
//! [`storage`], [`ffmpeg`], [`telemetry`]) and [`admission`] → [`job`], the rules all stages share → stages → [`repair`], [`prune`],
//! [`service`] → [`cli`].

pub mod admission;
pub mod api;
pub mod cli;
pub mod cmaf;
pub mod config;
pub mod crash;
#[cfg(feature = "dev")]
pub mod dev;
pub mod encode;
pub mod failure;
pub mod ffmpeg;
pub mod http;
pub mod image;
pub mod intake;
pub mod jetstream;
pub mod job;
pub mod ladder;
pub mod levels;
pub mod package;
pub mod plan;
pub mod playlist;
pub mod project;
pub mod prune;
pub mod repair;
pub mod service;
pub mod shutdown;
pub mod storage;
pub mod telemetry;
pub mod webvtt;
pub mod workshop;
