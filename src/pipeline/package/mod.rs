//! Package: all tasks done → the output is checked, playlists and receipt are written, and the job
//! may commit.
//!
//! While a job is encoded its growing playlists follow what is made: `growing` (the handler of
//! `playlist`), `told` (what tasks published so far) and `growth` (pure).
//!
//! In reading order: `stage` (the handler of `finish`), `outputs` (what the tasks made, as the log
//! and the bucket tell), `publish` (the check of a whole `publication`, and everything `derived`
//! from it), `assembly` and `extras` (pure: one rendition from many chunks, and what is made
//! beside), `inspection` (the bucket against the log), `content` and `checks` (pure: what was
//! measured), `playlists`, `iframes`, `subtitles` and `placement` (pure: what is written, and
//! where), `poster` and `storyboard` (the preview pictures), `part` (pure: which object is what,
//! for repairs).

mod assembly;
mod checks;
mod content;
mod derived;
mod extras;
mod growing;
mod growth;
mod iframes;
mod inspection;
mod outputs;
mod part;
mod placement;
mod playlists;
mod poster;
mod publication;
mod publish;
mod stage;
mod storyboard;
mod subtitles;
mod told;

pub use outputs::{Fault, outputs};
pub use part::{Part, Standing, parts, standing};
pub use publication::Publication;
pub use stage::Packager;
