//! Encode: a range of the source becomes segments in the bucket, then `done`.
//!
//! In reading order: `workshop` (folders that are gone after any crash), `stage` (the task handlers), `production` (one
//! ffmpeg with its source, uploads and progress), `shipping` (closed segments leave while the next is encoded), `images` (poster and
//! storyboard tiles), `report` (progress messages).

mod images;
mod production;
mod report;
mod shipping;
mod stage;
mod workshop;

pub use stage::Encoder;
pub use workshop::Workshop;
