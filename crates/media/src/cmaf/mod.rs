//! Fragmented MP4 as ffmpeg writes it for HLS: what an init segment and a media segment say, and
//! whether they are what the plan asked for. Pure: bytes in, values out (ISO/IEC 14496-12, ISO/IEC
//! 23000-19).

pub mod codec;
pub mod fragment;
pub mod gate;
pub mod init;
pub mod rewrite;

pub(crate) mod nesting;

pub use fragment::FragmentInfo;
pub use gate::{GateFailure, track, video_chunk};
pub use init::InitInfo;

/// Why bytes are not the expected CMAF.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CmafError {
    /// A box is cut short, or its content is not valid.
    #[error("a {kind} box is not valid: {reason}")]
    Invalid {
        /// Four-character code of the box.
        kind: String,
        /// What the parser says.
        reason: String,
    },
    /// Boxes lie in each other too deep to be read.
    #[error("a {kind} box has boxes nested more than {limit} levels deep")]
    TooDeep {
        /// Four-character code of the box.
        kind: String,
        /// Levels that are read.
        limit: usize,
    },
    /// A box that must be there is not.
    #[error("there is no {0}")]
    Missing(&'static str),
    /// There is more than the one track that fluxhls writes.
    #[error("there are {0} tracks instead of one")]
    Tracks(usize),
    /// The decode times within one segment have a gap or overlap.
    #[error("a fragment begins at {found} ticks where the one before it ends at {wanted}")]
    Gap {
        /// Where the fragment begins.
        found: u64,
        /// Where it should.
        wanted: u64,
    },
    /// A number is larger than any real one.
    #[error("sample counts or durations are out of range")]
    OutOfRange,
}

impl CmafError {
    fn invalid(kind: impl ToString, error: &mp4_atom::Error) -> Self {
        Self::Invalid {
            kind: kind.to_string(),
            reason: error.to_string(),
        }
    }
}
