//! HLS playlists (RFC 8216bis) as text: pure functions of the plan and of what was measured, so that two writers write equal bytes.

pub mod bandwidth;
pub mod media;
pub mod multivariant;

mod attributes;
mod uri;

pub use bandwidth::Bandwidth;
pub use media::{MediaPlaylist, MediaSegment};
pub use multivariant::{AudioMedia, Multivariant, Variant};
pub use uri::uris;

/// Protocol version of every playlist: the first one that knows `EXT-X-MAP` in playlists that are not for I-frames only.
const VERSION: u32 = 7;
