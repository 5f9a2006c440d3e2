//! WebVTT (W3C): cues as ffmpeg writes them, laid on the output's timeline and written as HLS wants
//! them. Pure.
//!
//! In reading order: [`charset`] (bytes that are not UTF-8), [`mod@read`] (cues from a file),
//! [`text`] (what a cue may hold), [`timeline`] (when cues are shown), [`document`] (the file that
//! is published).

pub mod charset;
pub mod document;
pub mod read;
pub mod text;
pub mod timeline;

pub use document::Document;
pub use read::read;
pub use timeline::{Cue, TimeOffset, align_to_timeline};
