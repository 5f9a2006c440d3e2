//! The stages, in the order a video takes them: [`intake`], [`plan`], [`encode`], [`package`], and
//! in parallel to them [`project`].
//!
//! Stages never import each other; they meet in the messages of the crate `streams`.

pub mod encode;
pub mod intake;
pub mod package;
pub mod plan;
pub mod project;
