//! HLS playlists (RFC 8216bis) as text: pure functions of the plan and of what was measured, so
//! that two writers write equal bytes.

pub mod bandwidth;
pub mod iframes;
pub mod live;
pub mod media;
pub mod multivariant;
pub mod rendition;
pub mod subtitles;
pub mod variant;

mod attributes;
mod uri;

pub use bandwidth::Bandwidth;
pub use iframes::IframePlaylist;
pub use live::{LivePlaylist, LiveSegment};
pub use media::{MediaPlaylist, MediaSegment};
pub use multivariant::Multivariant;
pub use rendition::{AudioMedia, AudioStream, SubtitleMedia};
pub use subtitles::SubtitlePlaylist;
pub use uri::uris;
pub use variant::{IframeVariant, Variant};

/// Protocol version of every playlist: the first one that knows `EXT-X-MAP` in playlists that are
/// not for I-frames only.
const VERSION: u32 = 7;
