//! Package: all tasks done → the output is checked, playlists and receipt are written, and the job may commit.
//!
//! In reading order: `stage` (the handler of `finish`), `outputs` (what the tasks made, as the log and the bucket tell),
//! `publication` (the check of the whole, and everything derived from it), `assembly` and `extras` (pure: one rendition from many
//! chunks, and what is made beside), `inspection` (the bucket against the log), `content` and `checks` (pure: what was measured),
//! `playlists` and `placement` (pure: what is written, and where), `part` (pure: which object is what, for repairs).

mod assembly;
mod checks;
mod content;
mod extras;
mod inspection;
mod outputs;
mod part;
mod placement;
mod playlists;
mod publication;
mod stage;

pub use outputs::{Fault, outputs};
pub use part::{Part, Standing, parts, standing};
pub use publication::Publication;
pub use stage::Packager;
