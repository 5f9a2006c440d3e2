//! What probing may take.

use std::time::Duration;

use media::ladder::Limits;

/// How long probing may take, and how much it may say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProbeLimits {
    /// For one look at a part of the source.
    pub look: Duration,
    /// For reading through a source that has no index.
    pub scan: Duration,
    /// Bytes of the description of all streams.
    pub description: usize,
    /// Packets that one reading through a source may come by.
    pub packets: u64,
    /// What is accepted at all.
    pub policy: Limits,
}

impl ProbeLimits {
    /// The usual limits, under a policy of the installation's.
    #[must_use]
    pub fn of(policy: Limits) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }
}

impl Default for ProbeLimits {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(60),
            scan: Duration::from_secs(30 * 60),
            description: 4 * 1024 * 1024,
            // Two days of 60 pictures a second with twenty audio tracks.
            packets: 200_000_000,
            policy: Limits::default(),
        }
    }
}
