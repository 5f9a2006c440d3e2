//! Encode: a range of the source becomes segments in the bucket, then `done`.
//!
//! In reading order: `stage` (the task handlers), `production` (one ffmpeg with its source, uploads and progress), `shipping`
//! (closed segments leave while the next is encoded), `images` (poster and storyboard tiles), `evidence` (what was made beside what it
//! was made of), `report` (progress messages), `tracks` (what is no video).

mod evidence;
mod images;
mod parts;
mod production;
mod report;
mod shipping;
mod stage;
mod tracks;

pub use production::touch_metrics;
pub use stage::Encoder;
