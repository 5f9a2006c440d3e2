//! Whether the output bucket can be used: this distinguishes a denied source from a misconfigured
//! service.

use bytes::Bytes;
use chrono::TimeDelta;

use super::bucket::Bucket;
use super::clock::{MAX_SIGNATURE_SKEW, describe_difference};
use super::error::StorageError;
use super::object::ObjectKind;
use super::operation::Op;

impl Bucket {
    /// Whether everything that is needed works here: lists, then writes, reads back and removes a
    /// small object with a new name under `root`, and compares the clocks. It begins with a request
    /// whose refusal has a message: answers to HEAD have none.
    ///
    /// # Errors
    /// The first of them that did not work.
    pub async fn check_health(&self, root: &str) -> Result<(), StorageError> {
        // Some stores accept objects for missing buckets; none lists them.
        self.first_page(&format!("{root}canary-")).await?;

        let key = format!("{root}canary-{}", cuid2::create_id());
        let sent = Bytes::from(key.clone());
        self.put(&key, sent.clone(), ObjectKind::private("text/plain"))
            .await?;
        let read = self.get(&key, sent.len() as u64).await;
        // Removed whatever the read returned, so that no probe object stays.
        let removed = self.delete(std::slice::from_ref(&key)).await;

        match read? {
            Some(read) if read == sent => removed?,
            _ => {
                return Err(StorageError::Refused {
                    at: self.at(Op::Get, &key),
                    reason: "the object that was read differs from the one just written".to_owned(),
                });
            }
        }

        self.check_clock()
    }

    /// The clock of this machine minus that of the storage, from its newest answer to any request.
    #[must_use]
    pub fn clock_difference(&self) -> Option<TimeDelta> {
        self.config().clock.difference()
    }

    /// Whether the date of the newest answer is close enough to the clock of this machine.
    ///
    /// # Errors
    /// [`StorageError::ClockSkew`] beyond what signatures allow.
    pub fn check_clock(&self) -> Result<(), StorageError> {
        match self.clock_difference() {
            Some(by) if by.abs() > MAX_SIGNATURE_SKEW => Err(StorageError::ClockSkew {
                at: self.at(Op::List, ""),
                reason: format!("its clock differs by {}", describe_difference(Some(by))),
                by: Some(by),
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Storage;
    use crate::testing::{BUCKET, TestS3, serve, settings_for};

    #[tokio::test]
    async fn the_canary_lives_where_we_may_write_and_leaves_nothing() {
        let s3 = TestS3::start().await;
        let bucket = s3.bucket().await;
        bucket.check_health("hls/").await.unwrap();
        assert_eq!(bucket.list("").await.unwrap(), []);
    }

    #[tokio::test]
    async fn the_canary_tells_a_missing_bucket_and_wrong_credentials() {
        let s3 = TestS3::start().await;
        let missing = s3
            .storage()
            .await
            .bucket("nowhere")
            .check_health("hls/")
            .await
            .unwrap_err();
        assert_eq!(
            (missing.kind(), missing.needs_operator()),
            ("no_bucket", true)
        );

        let mut settings = s3.settings();
        settings.credentials.as_mut().unwrap().secret_access_key = "wrong-secret".into();
        let denied = Storage::connect(&settings)
            .await
            .bucket(BUCKET)
            .check_health("hls/")
            .await
            .unwrap_err();

        assert_eq!((denied.kind(), denied.needs_operator()), ("denied", true));
        assert!(!denied.to_string().contains("wrong-secret"), "{denied}");
    }

    #[tokio::test]
    async fn a_bucket_whose_answers_are_dated_an_hour_apart_is_told_as_the_clock() {
        let date =
            (chrono::Utc::now() + TimeDelta::minutes(60)).format("%a, %d %b %Y %H:%M:%S GMT");
        let (kind, body) = ("application/xml", "<ListBucketResult></ListBucketResult>");
        let headers = [
            ("content-type", kind.to_owned()),
            ("date", date.to_string()),
        ];
        let router = axum::Router::new().fallback(move || async move { (headers, body) });
        let (address, _serving) = serve(router).await;
        let bucket = Storage::connect(&settings_for(address))
            .await
            .bucket(BUCKET);

        bucket
            .check_clock()
            .expect("nothing is known before the first answer");

        bucket.first_page("").await.unwrap();
        let error = bucket.check_clock().unwrap_err();
        assert_eq!((error.kind(), error.needs_operator()), ("clock_skew", true));
        assert!(error.to_string().contains("60 min"), "{error}");
    }
}
