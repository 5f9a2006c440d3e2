//! Encode: a range of the source becomes segments in the bucket, then `done`.
//!
//! In reading order: `stage` (what takes the tasks), `shift` (one task in work), `chunk` (pictures), `tracks` (what is no video),
//! `production` (one ffmpeg with its source, uploads and progress), `shipping` (closed segments leave while the next is encoded), `parts`
//! (ranges that are told before the task is done), `images` (poster and storyboard tiles), `evidence` (what was made beside what it was
//! made of), `report` (progress messages).

mod chunk;
mod evidence;
mod images;
mod parts;
mod production;
mod report;
mod shift;
mod shipping;
mod stage;
mod tracks;

pub use production::touch_metrics;
pub use stage::Encoder;
