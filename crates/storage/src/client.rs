//! A connected S3 client.

use std::fmt;
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, Credentials, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
    StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls;
use secrecy::ExposeSecret;

use super::bucket::Bucket;
use super::bucket_config::BucketConfig;
use super::clock::ClockWatch;
use super::settings::{Checksums, StaticCredentials, StorageSettings};

/// A connection pool to one S3 service. Cheap to clone.
#[derive(Clone)]
pub struct Storage {
    client: Client,
    config: Arc<BucketConfig>,
}

impl Storage {
    /// Prepares a client. Nothing is sent yet (other than what the AWS credential chain may ask of
    /// its instance): [`Bucket::check_health`] shows whether the settings work.
    pub async fn connect(settings: &StorageSettings) -> Self {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(settings.region.clone()))
            .http_client(http_client())
            .timeout_config(request_timeouts(settings))
            .retry_config(RetryConfig::standard().with_max_attempts(settings.max_attempts))
            .stalled_stream_protection(
                StalledStreamProtectionConfig::enabled()
                    // The SDK's own 5 s misfire on slow uplinks.
                    .grace_period(settings.stall_timeout)
                    .build(),
            );

        if let Some(credentials) = &settings.credentials {
            loader = loader.credentials_provider(static_credentials(credentials));
        }

        let shared = loader.load().await;
        let clock = ClockWatch::default();
        let config = s3_config(Builder::from(&shared), settings).interceptor(clock.clone());

        Self {
            client: Client::from_conf(config.build()),
            config: Arc::new(BucketConfig::new(settings, clock)),
        }
    }

    /// One bucket of this service. Nothing is sent.
    #[must_use]
    pub fn bucket(&self, name: &str) -> Bucket {
        Bucket::new(self.client.clone(), name, Arc::clone(&self.config))
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client's own Debug prints its whole configuration.
        f.debug_struct("Storage")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

fn http_client() -> SharedHttpClient {
    // One crypto provider in the whole program: ring.
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(
            tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https()
}

fn request_timeouts(settings: &StorageSettings) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.stall_timeout)
        .operation_attempt_timeout(settings.attempt_timeout)
        .build()
}

fn static_credentials(credentials: &StaticCredentials) -> Credentials {
    let secret = credentials.secret_access_key.expose_secret();
    Credentials::new(
        credentials.access_key_id.as_str(),
        secret,
        None,
        None,
        "settings",
    )
}

fn s3_config(builder: Builder, settings: &StorageSettings) -> Builder {
    let (request, response) = match settings.effective_checksums() {
        Checksums::WhenRequired => (
            RequestChecksumCalculation::WhenRequired,
            ResponseChecksumValidation::WhenRequired,
        ),
        Checksums::WhenSupported => (
            RequestChecksumCalculation::WhenSupported,
            ResponseChecksumValidation::WhenSupported,
        ),
    };

    let builder = builder
        .force_path_style(settings.uses_path_style())
        .request_checksum_calculation(request)
        .response_checksum_validation(response);

    match &settings.endpoint {
        Some(endpoint) => builder.endpoint_url(endpoint),
        None => builder,
    }
}
