//! Plan: probe the source and decide everything about the job, once, so that any worker encodes the same output.

mod remux;
mod source;
mod stage;

pub use stage::Planner;
