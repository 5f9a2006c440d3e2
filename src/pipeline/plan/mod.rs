//! Plan: probe the source and decide everything about the job, once, so that any worker encodes the same output.

mod remux;
mod sample;
mod share;
mod source;
mod stage;

pub use share::Shares;
pub use stage::Planner;
