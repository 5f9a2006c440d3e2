//! How to reach an S3 service: plain data, read by `config`.

use std::time::Duration;

use secrecy::SecretString;

/// How long a TCP connection (with TLS) may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a transfer may make no progress; default of the setting of that name.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long one attempt of a request without a large body may take until its answer begins.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
/// The slowest uplink that still works, in bytes a second.
const MIN_UPLINK_BYTES_PER_SECOND: u32 = 28_000;
/// How often the SDK sends one request, the first time included.
const MAX_ATTEMPTS: u32 = 4;

/// Where the objects are and how to talk to that service. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct StorageSettings {
    /// The service's root URL; `None` means AWS.
    pub endpoint: Option<String>,
    /// The region that requests are signed for.
    pub region: String,
    /// Whether the bucket is part of the path instead of the host name. Default: true when an
    /// endpoint is set.
    pub path_style: Option<bool>,
    /// When payload checksums are sent and verified. Default: [`Checksums::WhenRequired`] when an
    /// endpoint is set.
    pub checksums: Option<Checksums>,
    /// Whether what players need is written with the canned ACL `public-read`.
    pub public_read: bool,
    /// Fixed credentials, for development; `None` means the AWS chain (environment, profile, web
    /// identity, instance).
    pub credentials: Option<StaticCredentials>,
    /// Limit on opening a connection.
    pub connect_timeout: Duration,
    /// Limit on silence: before an answer begins, within it, and while what is sent is not taken.
    pub stall_timeout: Duration,
    /// Limit on one attempt of a small request.
    pub attempt_timeout: Duration,
    /// Bytes a second below which an upload counts as hung.
    pub slowest_uplink: u32,
    /// How often one request is sent before it counts as failed, the first time included.
    pub max_attempts: u32,
}

/// When the SDK adds checksums to requests and verifies them in answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksums {
    /// Only where S3 demands one. Many other servers refuse the trailing checksums of the other
    /// mode.
    WhenRequired,
    /// Wherever the operation can carry one: the SDK's own default, right for AWS.
    WhenSupported,
}

/// An access key with its secret.
#[derive(Debug, Clone)]
pub struct StaticCredentials {
    /// The public half.
    pub access_key_id: String,
    /// The secret half; `Debug` redacts it.
    pub secret_access_key: SecretString,
}

impl StorageSettings {
    /// Settings for AWS in `region`, with every default of this module.
    #[must_use]
    pub fn new(region: impl Into<String>) -> Self {
        Self {
            endpoint: None,
            region: region.into(),
            path_style: None,
            checksums: None,
            public_read: false,
            credentials: None,
            connect_timeout: CONNECT_TIMEOUT,
            stall_timeout: STALL_TIMEOUT,
            attempt_timeout: ATTEMPT_TIMEOUT,
            slowest_uplink: MIN_UPLINK_BYTES_PER_SECOND,
            max_attempts: MAX_ATTEMPTS,
        }
    }

    /// How long one attempt of an upload of `size` bytes may take until it is answered. A
    /// connection that dies after the last byte gives no sign, and small uploads fit completely
    /// into the buffers of the system, so only this timeout detects it.
    #[must_use]
    pub fn upload_timeout(&self, size: u64) -> Duration {
        self.stall_timeout * 2 + Duration::from_secs(size / u64::from(self.slowest_uplink.max(1)))
    }

    /// Whether buckets are addressed by path.
    #[must_use]
    pub fn uses_path_style(&self) -> bool {
        self.path_style.unwrap_or(self.endpoint.is_some())
    }

    /// The checksum mode in effect.
    #[must_use]
    pub fn effective_checksums(&self) -> Checksums {
        self.checksums.unwrap_or(match self.endpoint {
            Some(_) => Checksums::WhenRequired,
            None => Checksums::WhenSupported,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_no_secret() {
        let mut settings = StorageSettings::new("us-east-1");
        settings.credentials = Some(StaticCredentials {
            access_key_id: "dev".to_owned(),
            secret_access_key: "hunter2-hunter2".into(),
        });
        let text = format!("{settings:?}");
        assert!(
            text.contains("us-east-1") && !text.contains("hunter2"),
            "{text}"
        );
    }

    #[test]
    fn a_large_upload_may_take_longer_than_a_small_one() {
        let settings = StorageSettings::new("us-east-1");
        assert_eq!(settings.upload_timeout(0), STALL_TIMEOUT * 2);
        // 8 MiB at 28,000 bytes a second take 299 s.
        assert_eq!(
            settings.upload_timeout(8 << 20),
            Duration::from_secs(60 + 299)
        );
    }

    #[test]
    fn an_endpoint_turns_on_path_style_and_required_checksums_only() {
        let aws = StorageSettings::new("us-east-1");
        assert_eq!(
            (aws.uses_path_style(), aws.effective_checksums()),
            (false, Checksums::WhenSupported)
        );

        let other = StorageSettings {
            endpoint: Some("http://127.0.0.1:9000".to_owned()),
            ..aws.clone()
        };
        assert_eq!(
            (other.uses_path_style(), other.effective_checksums()),
            (true, Checksums::WhenRequired)
        );

        let chosen = StorageSettings {
            path_style: Some(false),
            checksums: Some(Checksums::WhenSupported),
            ..other
        };
        assert_eq!(
            (chosen.uses_path_style(), chosen.effective_checksums()),
            (false, Checksums::WhenSupported)
        );
    }
}
