//! The pure planner: from what a source is to everything that is decided about its output, and why.
//!
//! In reading order: [`probe`] (what is known of a source), [`profile`] (policy: rungs and segments), [`size`], [`rate`], [`timeline`]
//! and [`chunks`] (one decision each), [`rungs`] and [`sound`] (the renditions), [`decide`] (all of it together).

pub mod chunks;
pub mod decide;
pub mod language;
pub mod mime;
pub mod probe;
pub mod profile;
pub mod rate;
pub mod rungs;
pub mod size;
pub mod sound;
pub mod timeline;
pub mod title;

pub use decide::{Draft, Pin, Refusal, Settings, plan};
pub use probe::Probe;
pub use profile::{Profile, Profiles};
