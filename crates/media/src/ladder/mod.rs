//! The pure planner: from what a source is to everything that is decided about its output, and why.
//!
//! In reading order: [`probe`] (what is known of a source), [`limits`] (what of it is accepted),
//! [`profile`] (policy: rungs and segments), [`size`], [`rotation`], [`picture`], [`cadence`] and
//! [`frame_rate`], [`timeline`] and [`chunks`] (one decision each), [`bitrate`], [`rungs`],
//! [`audio`] and [`subtitles`] (the renditions), [`storyboard`] (the preview pictures),
//! [`skipped_streams`], [`cost`], [`decide`] (all of it together), [`per_title`] (what a sample of
//! the pictures changes of it).

pub mod audio;
pub mod bitrate;
pub mod cadence;
pub mod chunks;
pub mod cost;
pub mod decide;
pub mod frame_rate;
pub mod language;
pub mod limits;
pub mod mime;
pub mod per_title;
pub mod picture;
pub mod probe;
pub mod profile;
pub mod rotation;
pub mod rungs;
pub mod size;
pub mod skipped_streams;
pub mod storyboard;
pub mod subtitles;
pub mod timeline;

mod label;
mod refusal;
mod standard_rates;

pub use decide::{Pin, Settings, plan};
pub use limits::Limits;
pub use probe::Probe;
pub use profile::{Profile, Profiles};
pub use refusal::Refusal;

#[cfg(feature = "testing")]
pub mod testing;
