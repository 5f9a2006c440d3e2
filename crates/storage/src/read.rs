//! Reading objects: whole, in ranges, or only for their hash.

use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use bytes::Bytes;

use super::body::Body;
use super::bucket::Bucket;
use super::classify::from_sdk;
use super::error::{At, StorageError, absent_is_none};
use super::object::{Digest, Digester, bare_etag, quoted_etag};
use super::operation::Op;
use super::request::observe;

/// How long to wait before a read that broke off, or was denied, is started again. The SDK repeats
/// a request only until its answer begins; a later break is repeated here. The SDK does not repeat
/// denials; but a service applies a change of credentials or policies machine by machine, and
/// denies single requests meanwhile.
const RETRY_PAUSES: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_millis(1600),
];

impl Bucket {
    /// A whole object of at most `limit` bytes; `None` where there is none.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`] beyond the limit, and whatever kept the object from being read.
    pub async fn get(&self, key: &str, limit: u64) -> Result<Option<Bytes>, StorageError> {
        let read = || observe(Op::Get, self.read_whole(key, limit));
        absent_is_none(repeat_read(read).await)
    }

    /// The bytes `range` of the version `etag` of an object, all of them: a short answer is an
    /// error.
    ///
    /// # Errors
    /// [`StorageError::Changed`] where the object is another version by now,
    /// [`StorageError::OutOfRange`] where it ends before the range, and whatever kept it from being
    /// read.
    pub async fn get_range(
        &self,
        key: &str,
        etag: &str,
        range: Range<u64>,
    ) -> Result<Bytes, StorageError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        repeat_read(|| observe(Op::GetRange, self.read_range(key, etag, range.clone()))).await
    }

    /// Size and hash of an object, read back from the bucket in bounded memory; `None` where there
    /// is none.
    ///
    /// # Errors
    /// Whatever kept the object from being read to its end.
    pub async fn digest(&self, key: &str) -> Result<Option<Digest>, StorageError> {
        absent_is_none(repeat_read(|| observe(Op::Digest, self.read_digest(key))).await)
    }

    async fn read_whole(&self, key: &str, limit: u64) -> Result<Bytes, StorageError> {
        let body = self.open(self.at(Op::Get, key)).await?;
        // Before any of the body is read, so that `limit` bounds the memory.
        if body.expected() > limit {
            return Err(StorageError::TooLarge {
                at: self.at(Op::Get, key),
                size: body.expected(),
                limit,
            });
        }
        body.collect().await
    }

    async fn read_digest(&self, key: &str) -> Result<Digest, StorageError> {
        let mut body = self.open(self.at(Op::Digest, key)).await?;
        let mut digester = Digester::default();
        while let Some(piece) = body.next().await? {
            digester.update(&piece);
        }
        Ok(digester.finish())
    }

    async fn read_range(
        &self,
        key: &str,
        etag: &str,
        range: Range<u64>,
    ) -> Result<Bytes, StorageError> {
        let at = self.at(Op::GetRange, key);

        let answer = self
            .client()
            .get_object()
            .bucket(self.name())
            .key(key)
            .if_match(quoted_etag(etag))
            .range(format!("bytes={}-{}", range.start, range.end - 1))
            .send()
            .await;
        let answer = answered(&at, answer)?;

        // Some servers (s3s-fs among them) accept If-Match and ignore it.
        if answer
            .e_tag()
            .is_some_and(|found| bare_etag(found) != bare_etag(etag))
        {
            return Err(StorageError::Changed { at });
        }

        // A server may ignore the range and answer with the whole object (RFC 9110, section 14.2).
        let expected = format!("bytes {}-{}/", range.start, range.end - 1);
        if !answer
            .content_range()
            .is_some_and(|found| found.starts_with(&expected))
        {
            let found = answer.content_range().unwrap_or("the whole object");
            let reason = format!(
                "asked for bytes {}-{}, the server sends {found}",
                range.start,
                range.end - 1
            );
            return Err(StorageError::Refused { at, reason });
        }

        Body::new(
            at,
            answer.body,
            range.end - range.start,
            self.config().stall_timeout,
        )
        .collect()
        .await
    }

    async fn open(&self, at: At) -> Result<Body, StorageError> {
        let answer = self
            .client()
            .get_object()
            .bucket(self.name())
            .key(&at.key)
            .send()
            .await;
        let answer = answered(&at, answer)?;
        // Without a length it could not be seen that a body breaks off.
        let Some(size) = answer
            .content_length()
            .and_then(|size| u64::try_from(size).ok())
        else {
            return Err(StorageError::Refused {
                at,
                reason: "the server does not give the size of the object".to_owned(),
            });
        };
        Ok(Body::new(
            at,
            answer.body,
            size,
            self.config().stall_timeout,
        ))
    }
}

fn answered(
    at: &At,
    answer: Result<GetObjectOutput, SdkError<GetObjectError>>,
) -> Result<GetObjectOutput, StorageError> {
    answer.map_err(|error| from_sdk(at.clone(), &error))
}

async fn repeat_read<T, F>(read: impl Fn() -> F) -> Result<T, StorageError>
where
    F: Future<Output = Result<T, StorageError>>,
{
    for pause in RETRY_PAUSES {
        match read().await {
            Err(error @ (StorageError::Interrupted { .. } | StorageError::Denied { .. })) => {
                tracing::debug!(%error, "reading again");
                tokio::time::sleep(pause).await;
            }
            outcome => return outcome,
        }
    }

    read().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ObjectKind;
    use crate::testing::{Fault, TestS3, random_bytes};

    const KEY: &str = "uploads/a b%.mp4";

    async fn upload(bucket: &Bucket, size: usize) -> (Bytes, String) {
        let bytes = random_bytes(size);
        let stored = bucket
            .put(KEY, bytes.clone(), ObjectKind::private("video/mp4"))
            .await
            .unwrap();
        (bytes, stored.etag)
    }

    #[tokio::test]
    async fn an_object_is_read_whole_up_to_the_limit() {
        let s3 = TestS3::start().await;
        let bucket = s3.bucket().await;
        let (bytes, _) = upload(&bucket, 1000).await;

        assert_eq!(bucket.get(KEY, 1000).await.unwrap(), Some(bytes));
        assert_eq!(bucket.get("uploads/none", 1000).await.unwrap(), None);

        let error = bucket.get(KEY, 999).await.unwrap_err();
        assert!(
            matches!(
                error,
                StorageError::TooLarge {
                    size: 1000,
                    limit: 999,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_range_is_exactly_what_was_asked_for() {
        let s3 = TestS3::start().await;
        let bucket = s3.bucket().await;
        let (bytes, etag) = upload(&bucket, 1000).await;
        for range in [0..1, 0..1000, 10..20, 999..1000, 5..5] {
            let expected = bytes.slice(range.start as usize..range.end as usize);
            assert_eq!(bucket.get_range(KEY, &etag, range).await.unwrap(), expected);
        }
        let quoted = format!("\"{etag}\"");
        assert_eq!(
            bucket.get_range(KEY, &quoted, 0..3).await.unwrap(),
            bytes.slice(0..3)
        );
    }

    #[tokio::test]
    async fn a_range_beyond_the_end_is_an_error_and_so_is_one_across_it() {
        let s3 = TestS3::start().await;
        let bucket = s3.bucket().await;
        let (_, etag) = upload(&bucket, 1000).await;

        assert_eq!(
            bucket
                .get_range(KEY, &etag, 1000..1001)
                .await
                .unwrap_err()
                .kind(),
            "out_of_range"
        );
        assert_eq!(
            bucket
                .get_range(KEY, &etag, 990..1001)
                .await
                .unwrap_err()
                .kind(),
            "refused"
        );
    }

    #[tokio::test]
    async fn another_version_is_noticed_though_the_server_ignores_the_condition() {
        let s3 = TestS3::start().await;
        let bucket = s3.bucket().await;
        let (_, etag) = upload(&bucket, 1000).await;
        upload(&bucket, 1001).await;

        assert_eq!(
            bucket
                .get_range(KEY, &etag, 0..10)
                .await
                .unwrap_err()
                .kind(),
            "changed"
        );
        assert_eq!(
            bucket
                .get_range("uploads/none", &etag, 0..10)
                .await
                .unwrap_err()
                .kind(),
            "not_found"
        );
    }

    #[tokio::test]
    async fn the_digest_read_back_is_that_of_what_was_written() {
        let s3 = TestS3::start().await;
        let bucket = s3.bucket().await;
        let (bytes, _) = upload(&bucket, 300_000).await;
        assert_eq!(bucket.digest(KEY).await.unwrap(), Some(Digest::of(&bytes)));
        assert_eq!(bucket.digest("uploads/none").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_once_is_read_again() {
        let s3 = TestS3::start().await;
        let bucket = s3.bucket().await;
        let (bytes, etag) = upload(&bucket, 300_000).await;
        s3.proxy().set(Fault::CutOnce { after: 100_000 });
        assert_eq!(
            bucket.get_range(KEY, &etag, 0..300_000).await.unwrap(),
            bytes
        );
        s3.proxy().set(Fault::CutOnce { after: 100_000 });
        assert_eq!(bucket.digest(KEY).await.unwrap(), Some(Digest::of(&bytes)));
    }

    #[tokio::test]
    async fn a_body_that_stands_still_is_an_error_in_bounded_time() {
        let s3 = TestS3::start().await;
        let bucket = s3.bucket().await;
        upload(&bucket, 300_000).await;

        let settings = crate::StorageSettings {
            stall_timeout: Duration::from_millis(200),
            ..s3.settings()
        };
        let hasty = crate::Storage::connect(&settings)
            .await
            .bucket(bucket.name());

        s3.proxy().set(Fault::Stall { after: 100_000 });
        let error = hasty.get(KEY, 300_000).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
    }

    #[tokio::test]
    async fn every_request_is_counted_with_its_result() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let _guard = metrics::set_default_local_recorder(&recorder);
        crate::register_metrics();

        let s3 = TestS3::start().await;
        let bucket = s3.bucket().await;
        upload(&bucket, 10).await;
        bucket.get(KEY, 10).await.unwrap();
        bucket.get("uploads/none", 10).await.unwrap();

        let text = recorder.handle().render();
        for line in [
            r#"fluxhls_s3_requests_total{operation="put",result="ok"} 1"#,
            r#"fluxhls_s3_requests_total{operation="get",result="ok"} 1"#,
            r#"fluxhls_s3_requests_total{operation="get",result="not_found"} 1"#,
            r#"fluxhls_s3_requests_total{operation="list",result="denied"} 0"#,
            r#"fluxhls_s3_request_duration_seconds_count{operation="get"} 2"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
