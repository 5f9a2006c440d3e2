//! Package: all tasks done → the output is checked, playlists and receipt are written, and the job may commit.
//!
//! In reading order: `stage` (the handler of `finish`), `outputs` (what the tasks made, as the log and the bucket tell),
//! `assembly` (pure: one rendition from many chunks), `inspection` (the bucket against the log), `playlists`, `iframes` and
//! `subtitles` (pure), `poster` and `storyboard` (the preview pictures).

mod assembly;
mod iframes;
mod inspection;
mod outputs;
mod playlists;
mod poster;
mod stage;
mod storyboard;
mod subtitles;

pub use stage::Packager;
