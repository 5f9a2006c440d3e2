//! What all buckets of one client are asked by.

use std::time::Duration;

use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::timeout::TimeoutConfig;

use super::clock::ClockWatch;
use super::settings::StorageSettings;

/// What the requests of all buckets of one client have in common and the SDK does not know.
#[derive(Debug)]
pub(super) struct BucketConfig {
    /// Whether public objects get the ACL `public-read`.
    pub(super) public_read: bool,
    /// Limit on silence within a body.
    pub(super) stall_timeout: Duration,
    /// The difference between the clocks of the storage and of this machine.
    pub(super) clock: ClockWatch,
    /// What the timeouts of uploads follow from.
    settings: StorageSettings,
}

impl BucketConfig {
    /// What `settings` say, for a client whose requests `clock` watches.
    pub(super) fn new(settings: &StorageSettings, clock: ClockWatch) -> Self {
        Self {
            public_read: settings.public_read,
            stall_timeout: settings.stall_timeout,
            clock,
            settings: settings.clone(),
        }
    }

    /// What differs for a request that carries a body of `size` bytes.
    pub(super) fn upload_config(&self, size: usize) -> Builder {
        Builder::default().timeout_config(upload_timeouts(&self.settings, size as u64))
    }
}

fn upload_timeouts(settings: &StorageSettings, size: u64) -> TimeoutConfig {
    // To the SDK, "read" begins when the request begins, so it would abort an upload that is merely
    // long. One that stalls in the middle is caught by the stalled stream protection.
    TimeoutConfig::builder()
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.upload_timeout(size))
        .operation_attempt_timeout(settings.upload_timeout(size))
        .build()
}
