//! The first read of a source that did not succeed.

use std::fmt;
use std::sync::Arc;

use crate::StorageError;

/// A read that failed, was short or took too long. A task whose source has one is never done,
/// whatever ffmpeg says.
#[derive(Debug, Clone)]
pub struct SourceFault {
    /// Where the block begins that could not be read, in bytes.
    pub offset: u64,
    /// What went wrong: it distinguishes a changed or missing source, denied access and an
    /// unreachable service.
    pub error: Arc<StorageError>,
}

impl fmt::Display for SourceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the source could not be read at byte {}: {}",
            self.offset, self.error
        )
    }
}

impl std::error::Error for SourceFault {}
