//! How sources are read: plain data.

use std::time::Duration;

/// How the loopback server reads from S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceSettings {
    /// The size of one request to S3, in bytes (at least one).
    pub block_size: u64,
    /// How much memory the blocks of all sources that share a cache may take, in bytes.
    pub cache_bytes: u64,
    /// How many blocks are fetched ahead of a reader that proved to be sequential.
    pub read_ahead: usize,
    /// How long one block may take, all repetitions included.
    pub block_timeout: Duration,
}

impl SourceSettings {
    /// The defaults, with a block timeout of three stalls of a transfer if that is shorter.
    #[must_use]
    pub fn for_stalls_of(stall_timeout: Duration) -> Self {
        let defaults = Self::default();
        Self {
            block_timeout: defaults.block_timeout.min(stall_timeout * 3),
            ..defaults
        }
    }
}

impl Default for SourceSettings {
    /// Blocks of 1 MiB, a cache of 256 MiB, three blocks ahead, 90 s per block: so that a storage
    /// that does not answer is noticed as such before ffmpeg counts as stalled (120 s).
    fn default() -> Self {
        Self {
            block_size: 1024 * 1024,
            cache_bytes: 256 * 1024 * 1024,
            read_ahead: 3,
            block_timeout: Duration::from_secs(90),
        }
    }
}
