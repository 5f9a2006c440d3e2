//! Encode: a range of the source becomes segments in the bucket, then `done`.
//!
//! In reading order: `workshop` (folders that are gone after any crash), `stage` (the task handlers), `production` (one
//! ffmpeg with its source, uploads and progress), `shipping` (closed segments leave while the next is encoded), `evidence` (what was
//! made beside what it was made of), `report`
//! (progress messages).

mod evidence;
mod production;
mod report;
mod shipping;
mod stage;
mod workshop;

pub use stage::Encoder;
pub use workshop::Workshop;
