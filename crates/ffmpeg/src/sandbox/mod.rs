//! The sandbox around every ffmpeg and ffprobe: they work on bytes of strangers, and their parsers
//! have had holes.
//!
//! In reading order: [`policy`] (what a run may reach and use, as a value), [`resource_limits`]
//! (how much, derived from the plan), `landlock_rules` (files and ports), `seccomp_filter` (system
//! calls), `parent_death_signal` (death with the worker), `launch` (a thread that confines itself
//! and starts the program), [`support`] (what of it holds on this machine).
//!
//! Landlock domains and seccomp filters belong to a thread and are inherited by the processes it
//! starts. So no code has to run between fork and exec, where that would not be safe.

pub mod policy;
pub mod resource_limits;
pub mod support;

mod landlock_rules;
mod launch;
mod parent_death_signal;
mod seccomp_filter;

pub(super) use launch::{Launched, launch};
pub use policy::SandboxPolicy;
pub use resource_limits::ResourceLimits;
pub use support::{SandboxRequirement, Support};
