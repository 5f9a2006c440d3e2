//! Encode: a range of the source becomes segments in the bucket, then `done`.
//!
//! In reading order, which is that of the imports too: each file names only files further down.
//!
//! - `handler` takes a task from the stage's trait. `chunk` encodes all rungs of a piece of the
//!   video; `tracks` encodes all audio, subtitles and the cover of the file.
//! - `ffmpeg_run` is one process over the source, with its limits. Concurrently, `upload_loop`
//!   uploads every closed segment, `ranges` publishes what is already playable, and `progress`
//!   reports the progress.
//! - `images` uploads the poster and the storyboard tiles.
//! - `task` is what all of these are about: plan, keys, source and directory of one task.
//! - `evidence` reads back what was uploaded and compares it with the encoder's input; `uploader`
//!   takes one file to the bucket.
//! - `segments` and `failures` are the types that the others pass on.

mod chunk;
mod evidence;
mod failures;
mod ffmpeg_run;
mod handler;
mod images;
mod progress;
mod ranges;
mod segments;
mod task;
mod tracks;
mod upload_loop;
mod uploader;

pub use ffmpeg_run::register_metrics;
pub use handler::Encoder;
