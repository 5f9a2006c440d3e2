//! The pure planner: from what a source is to everything that is decided about its output, and why.

pub mod probe;

pub use probe::Probe;
