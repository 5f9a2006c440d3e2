//! The tables, by what is unusual in their inputs.

pub(super) mod colour;
pub(super) mod damage;
pub(super) mod hostile;
pub(super) mod lengths;
pub(super) mod shape;
pub(crate) mod sound;
pub(super) mod subtitles;
pub(super) mod sync;
pub(super) mod time;
