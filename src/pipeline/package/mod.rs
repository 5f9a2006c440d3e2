//! Package: all tasks done → the output is checked, playlists and receipt are written, and the job
//! may commit.
//!
//! While a job is encoded, its live playlists list the finished segments: `live_playlists` (the
//! handler of `playlist`), `published_output` (what tasks published so far) and `live_content`
//! (pure: what a live playlist lists).
//!
//! In reading order: `handler` (of `finish`), `outputs` (the outputs of the tasks, from the log and
//! the bucket), `publish` (the check of a whole `publication`, and everything `derived` from it),
//! `assembly` and `extras` (pure: one rendition from many chunks, and the additional objects),
//! `inspection` (the bucket against the log), `content` and `checks` (pure: what was measured),
//! `playlists`, `iframes`, `subtitles` and `placement` (pure: what is written, and where), `poster`
//! and `storyboard` (the preview pictures), `output_object` (pure: which object is what, for
//! repairs).

mod assembly;
mod checks;
mod content;
mod derived;
mod extras;
mod handler;
mod iframes;
mod inspection;
mod live_content;
mod live_playlists;
mod output_object;
mod outputs;
mod placement;
mod playlists;
mod poster;
mod publication;
mod publish;
mod published_output;
mod storyboard;
mod subtitles;

pub use handler::handle;
pub use output_object::{CurrentRendition, OutputObject, current_renditions, list_output_objects};
pub use outputs::{OutputFault, read_task_results};
pub use publication::Publication;
