//! Plan: probe the source and decide everything about the job, once, so that any worker encodes the
//! same output.
//!
//! In reading order: `handler` (of plan tasks), `source` (whether the object exists), `remux` (the
//! private copy), `sample` (how hard the video is to encode), `planner` (what these work with),
//! `share` (whose turn it is).

mod handler;
mod planner;
mod remux;
mod sample;
mod share;
mod source;

pub use planner::Planner;
pub use share::Shares;
