//! Encode: a range of the source becomes segments in the bucket, then `done`.
//!
//! In reading order: `stage` (the task handlers), `production` (one
//! ffmpeg with its source, uploads and progress), `shipping` (closed segments leave while the next is encoded), `report`
//! (progress messages).

mod production;
mod report;
mod shipping;
mod stage;

pub use stage::Encoder;
