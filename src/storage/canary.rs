//! Whether our own credentials are good: the question that tells a denied source from a misconfigured service.

use bytes::Bytes;

use super::bucket::Bucket;
use super::error::{StorageError, from_sdk};
use super::object::ObjectKind;
use super::request::{Op, observe};

impl Bucket {
    /// Whether our own credentials work here: looks up the bucket, then writes, reads back and removes a small object
    /// of a fresh name under `root`.
    ///
    /// # Errors
    /// The first of the four that did not work.
    pub async fn canary(&self, root: &str) -> Result<(), StorageError> {
        observe(Op::HeadBucket, self.head_bucket()).await?;
        let key = format!("{root}canary-{}", cuid2::create_id());
        let song = Bytes::from(key.clone());
        self.put(&key, song.clone(), ObjectKind::private("text/plain")).await?;
        let heard = self.get(&key, song.len() as u64).await;
        let removed = self.delete(std::slice::from_ref(&key)).await;
        match heard? {
            Some(heard) if heard == song => removed,
            _ => Err(StorageError::Refused {
                at: self.at(Op::Get, &key),
                reason: "what was just written is not what is read".to_owned(),
            }),
        }
    }

    pub(super) async fn head_bucket(&self) -> Result<(), StorageError> {
        let answer = self.client().head_bucket().bucket(self.name()).send().await;
        match answer.map_err(|error| from_sdk(self.at(Op::HeadBucket, ""), &error)) {
            Ok(_) => Ok(()),
            Err(StorageError::NotFound { at }) => Err(StorageError::NoBucket { at }),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
#[cfg(feature = "dev")]
mod tests {
    use crate::storage::Storage;
    use crate::storage::testing::{BUCKET, TestS3};

    #[tokio::test]
    async fn the_canary_lives_where_we_may_write_and_leaves_nothing() {
        let s3 = TestS3::start().await;
        let bucket = s3.bucket().await;
        bucket.canary("hls/").await.unwrap();
        assert_eq!(bucket.list("").await.unwrap(), []);
    }

    #[tokio::test]
    async fn the_canary_tells_a_missing_bucket_and_wrong_credentials() {
        let s3 = TestS3::start().await;
        let missing = s3.storage().await.bucket("nowhere").canary("hls/").await.unwrap_err();
        assert_eq!((missing.kind(), missing.is_denied()), ("no_bucket", true));
        let mut settings = s3.settings();
        settings.credentials.as_mut().unwrap().secret_access_key = "wrong-secret".into();
        let denied = Storage::connect(&settings)
            .await
            .bucket(BUCKET)
            .canary("hls/")
            .await
            .unwrap_err();
        assert_eq!((denied.kind(), denied.is_denied()), ("denied", true));
        assert!(!denied.to_string().contains("wrong-secret"), "{denied}");
    }
}
