//! Whether what is removed from a bucket stays readable as an old version (`GetBucketVersioning` of
//! S3).

use super::bucket::Bucket;
use super::classify::from_sdk;
use super::error::StorageError;
use super::operation::Op;
use super::request::observe;

/// What happens to objects that are removed or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioning {
    /// They are gone.
    Off,
    /// They stay as old versions; with `is_suspended` only those from before it was suspended.
    Kept {
        /// Whether no new versions are kept.
        is_suspended: bool,
    },
}

impl Bucket {
    /// Whether the bucket keeps old versions.
    ///
    /// # Errors
    /// When the service does not answer; many servers do not support versions, or deny the request.
    pub async fn versioning(&self) -> Result<Versioning, StorageError> {
        observe(Op::GetVersioning, self.request_versioning()).await
    }

    async fn request_versioning(&self) -> Result<Versioning, StorageError> {
        use aws_sdk_s3::types::BucketVersioningStatus::{Enabled, Suspended};

        let answer = self
            .client()
            .get_bucket_versioning()
            .bucket(self.name())
            .send()
            .await;
        let answer = answer.map_err(|error| from_sdk(self.at(Op::GetVersioning, ""), &error))?;
        Ok(match answer.status {
            Some(Enabled) => Versioning::Kept {
                is_suspended: false,
            },
            Some(Suspended) => Versioning::Kept { is_suspended: true },
            _ => Versioning::Off,
        })
    }
}
