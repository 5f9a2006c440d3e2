//! Writing objects: from memory, from a stream.

use std::collections::VecDeque;
use std::io;
use std::pin::pin;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::CompletedPart;
use bytes::Bytes;
use futures::Stream;

use super::bucket::Bucket;
use super::classify::from_sdk;
use super::error::StorageError;
use super::multipart::Multipart;
use super::object::{Digest, ObjectKind, Stored, bare_etag, quoted_etag};
use super::operation::Op;
use super::parts::PartReader;
use super::request::observe;

/// What is smaller than this many bytes is sent in one request; what is not is sent in parts of
/// this size. S3 wants at least 5 MiB in every part but the last (S3 API reference).
/// An upload may have 10,000 parts (S3 API reference), so a stream may hold 78 GiB.
const PART_SIZE: usize = 8 * 1024 * 1024;
/// How many parts of one upload are on their way at once: with one being read, 32 MiB of memory.
const PARALLEL_PARTS: usize = 3;

/// What a conditional write replaces: a version, or nothing.
#[derive(Debug, Clone, Copy)]
struct ReplacedVersion<'a>(Option<&'a str>);

impl ReplacedVersion<'_> {
    fn version(self) -> Option<String> {
        self.0.map(quoted_etag)
    }
}

impl Bucket {
    /// Writes an object from memory in one atomic request.
    ///
    /// # Errors
    /// Whatever kept the service from storing it; the object is then as it was, unless only the
    /// answer was lost.
    pub async fn put(
        &self,
        key: &str,
        body: Bytes,
        kind: ObjectKind,
    ) -> Result<Stored, StorageError> {
        let digest = Digest::of(&body);
        self.put_whole(key, body, &kind, digest, None).await
    }

    /// Writes an object from memory only if the bucket still holds the version `over`, or no object
    /// if that is none. Services without conditional writes (RFC 9110 section 13.1) always write
    /// it.
    ///
    /// # Errors
    /// [`StorageError::Changed`] where it holds something else, and whatever kept the service from
    /// storing it.
    pub async fn put_over(
        &self,
        key: &str,
        body: Bytes,
        kind: ObjectKind,
        over: Option<&str>,
    ) -> Result<Stored, StorageError> {
        let digest = Digest::of(&body);
        self.put_whole(key, body, &kind, digest, Some(ReplacedVersion(over)))
            .await
    }

    /// Writes an object from memory under a key that is used only once: an existing object stays as
    /// it is. If an answer was lost, that is the object itself, so the existing object is read and
    /// compared. Services without conditional writes (RFC 9110 section 13.1) always write it.
    ///
    /// # Errors
    /// [`StorageError::Changed`] where it holds something else, and whatever kept the service from
    /// storing it.
    pub async fn put_new(
        &self,
        key: &str,
        body: Bytes,
        kind: ObjectKind,
    ) -> Result<Stored, StorageError> {
        let digest = Digest::of(&body);
        let written = self
            .put_whole(
                key,
                body.clone(),
                &kind,
                digest.clone(),
                Some(ReplacedVersion(None)),
            )
            .await;

        match written {
            Err(changed @ StorageError::Changed { .. }) => match self.digest(key).await? {
                Some(found) if found == digest => {
                    let etag = self.head(key).await?.and_then(|meta| meta.etag);
                    Ok(stored(digest, etag.unwrap_or_default()))
                }
                _ => Err(changed),
            },
            // The service may know no conditional writes.
            Err(StorageError::Refused { .. }) => {
                self.put_whole(key, body, &kind, digest, None).await
            }
            written => written,
        }
    }

    /// Writes a private object from a stream of at most 78 GiB, in bounded memory. The object
    /// appears whole or not at all.
    ///
    /// # Errors
    /// [`StorageError::Input`] where the stream breaks, and whatever kept the service from storing
    /// it.
    pub async fn put_stream(
        &self,
        key: &str,
        content_type: &str,
        pieces: impl Stream<Item = io::Result<Bytes>> + Send,
    ) -> Result<Stored, StorageError> {
        let kind = ObjectKind::private(content_type);
        let pieces = pin!(pieces);
        let mut parts = PartReader::new(pieces, PART_SIZE);

        // Read before the decision, because the size of a stream is not known until it ends.
        let first = parts
            .next()
            .await
            .map_err(|source| self.input_error(key, source))?
            .unwrap_or_default();

        if first.len() < PART_SIZE {
            return self
                .put_whole(key, first, &kind, parts.digest(), None)
                .await;
        }

        let upload = Multipart::create(self, key, &kind).await?;
        match self.send_parts(&upload, first, &mut parts).await {
            Ok(sent) => Ok(stored(parts.digest(), upload.complete(sent).await?)),
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }

    async fn send_parts<S>(
        &self,
        upload: &Multipart,
        first: Bytes,
        parts: &mut PartReader<S>,
    ) -> Result<Vec<CompletedPart>, StorageError>
    where
        S: Stream<Item = io::Result<Bytes>> + Unpin + Send,
    {
        let (mut under_way, mut sent, mut next) = (VecDeque::new(), Vec::new(), Some(first));
        for number in 1.. {
            let Some(part) = next else { break };
            // Parts are waited for in their order, in which the list at the end has to name them
            // (S3 API reference, `CompleteMultipartUpload`).
            if under_way.len() == PARALLEL_PARTS
                && let Some(oldest) = under_way.pop_front()
            {
                sent.push(upload.sent(oldest).await?);
            }
            under_way.push_back(upload.send(number, part));
            next = parts
                .next()
                .await
                .map_err(|source| self.input_error(upload.key(), source))?;
        }

        for rest in under_way {
            sent.push(upload.sent(rest).await?);
        }
        Ok(sent)
    }

    async fn put_whole(
        &self,
        key: &str,
        body: Bytes,
        kind: &ObjectKind,
        digest: Digest,
        over: Option<ReplacedVersion<'_>>,
    ) -> Result<Stored, StorageError> {
        let config = self.config().upload_config(body.len());
        let request = self
            .client()
            .put_object()
            .bucket(self.name())
            .key(key)
            .content_type(kind.content_type())
            .set_cache_control(kind.cache_control().map(str::to_owned))
            .set_acl(kind.acl(self.config().public_read))
            .set_if_match(over.and_then(ReplacedVersion::version))
            .set_if_none_match(over.filter(|over| over.0.is_none()).map(|_| "*".to_owned()))
            .body(ByteStream::from(body))
            .customize()
            .config_override(config);

        observe(Op::Put, async {
            let written = request
                .send()
                .await
                .map_err(|error| from_sdk(self.at(Op::Put, key), &error))?;
            Ok(stored(
                digest,
                written
                    .e_tag()
                    .map(bare_etag)
                    .unwrap_or_default()
                    .to_owned(),
            ))
        })
        .await
    }

    fn input_error(&self, key: &str, source: io::Error) -> StorageError {
        StorageError::Input {
            at: self.at(Op::Put, key),
            source,
        }
    }
}

fn stored(digest: Digest, etag: String) -> Stored {
    Stored {
        size: digest.size,
        sha256: digest.sha256,
        etag,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::Router;
    use futures::{StreamExt, future, stream};

    use super::*;
    use crate::testing::{BUCKET, TestS3, random_bytes, serve, settings_for};
    use crate::{Storage, StorageSettings};

    const KEY: &str = "uploads/a.mp4";

    fn pieces(bytes: &Bytes) -> impl Stream<Item = io::Result<Bytes>> + use<> {
        let bytes = bytes.clone();
        stream::iter(
            (0..bytes.len())
                .step_by(100_000)
                .map(move |at| Ok(bytes.slice(at..bytes.len().min(at + 100_000)))),
        )
    }

    #[tokio::test]
    async fn streams_of_every_size_arrive_whole() {
        let s3 = TestS3::start().await;
        let bucket = s3.bucket().await;

        for size in [
            0,
            1,
            PART_SIZE - 1,
            PART_SIZE,
            PART_SIZE + 1,
            3 * PART_SIZE + 7,
        ] {
            let bytes = random_bytes(size);
            let stored = bucket
                .put_stream(KEY, "video/mp4", pieces(&bytes))
                .await
                .unwrap();
            let digest = Digest::of(&bytes);
            assert_eq!((stored.size, &stored.sha256), (digest.size, &digest.sha256));
            assert_eq!(bucket.digest(KEY).await.unwrap(), Some(digest));

            let found = bucket.head(KEY).await.unwrap().unwrap();
            assert_eq!(found.etag, Some(stored.etag));
            assert_eq!(found.content_type.as_deref(), Some("video/mp4"));
        }
        assert_eq!(s3.open_uploads(), 0);
    }

    #[tokio::test]
    async fn a_stream_arrives_whole_from_a_task_of_its_own() {
        let s3 = TestS3::start().await;
        let bucket = s3.bucket().await;
        let bytes = random_bytes(5 * PART_SIZE + 5);
        let (sender, stream) = (bucket.clone(), pieces(&bytes));
        // The compiler cannot see of every future that it is Send; handlers of requests must be.
        let upload = tokio::spawn(async move { sender.put_stream(KEY, "video/mp4", stream).await });
        upload.await.unwrap().unwrap();
        assert_eq!(bucket.digest(KEY).await.unwrap(), Some(Digest::of(&bytes)));
    }

    #[tokio::test]
    async fn a_stream_that_breaks_leaves_neither_object_nor_parts() {
        let s3 = TestS3::start().await;
        let bucket = s3.bucket().await;
        let broken = pieces(&random_bytes(2 * PART_SIZE)).chain(stream::once(future::err(
            io::Error::other("the sender left"),
        )));
        let error = bucket
            .put_stream(KEY, "video/mp4", broken)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), "input");
        assert!(error.to_string().contains("the sender left"), "{error}");
        assert_eq!(bucket.head(KEY).await.unwrap(), None);
        assert_eq!(s3.open_uploads(), 0);
    }

    #[tokio::test]
    async fn a_cancelled_upload_frees_its_parts() {
        let s3 = TestS3::start().await;
        let bucket = s3.bucket().await;

        // The sender stalls in the middle; the task that receives is dropped there.
        let (stalled, reached) = tokio::sync::oneshot::channel();
        let stall = stream::once(async move {
            stalled.send(()).unwrap();
            future::pending().await
        });

        let upload = bucket.put_stream(
            KEY,
            "video/mp4",
            pieces(&random_bytes(2 * PART_SIZE)).chain(stall),
        );
        let mut upload = Box::pin(upload);
        tokio::select! { _ = &mut upload => unreachable!(), stalled = reached => stalled.unwrap() }
        assert_eq!(s3.open_uploads(), 1);

        drop(upload);
        let freed = async {
            while s3.open_uploads() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), freed)
            .await
            .expect("the parts are freed");
        assert_eq!(bucket.head(KEY).await.unwrap(), None);
    }

    #[tokio::test]
    async fn an_upload_may_take_longer_than_a_server_may_be_silent_to_a_read() {
        let slow = async || {
            tokio::time::sleep(Duration::from_millis(600)).await;
            [("ETag", "\"slow\"")]
        };
        let (address, _server) = serve(Router::new().fallback(slow)).await;

        let settings = StorageSettings {
            stall_timeout: Duration::from_millis(400),
            max_attempts: 1,
            ..settings_for(address)
        };
        let bucket = Storage::connect(&settings).await.bucket(BUCKET);

        assert_eq!(
            bucket
                .put(KEY, random_bytes(10), ObjectKind::Video)
                .await
                .unwrap()
                .etag,
            "slow"
        );
        assert!(bucket.head(KEY).await.unwrap_err().is_transient());
    }

    #[tokio::test]
    async fn a_number_that_came_again_overwrites_nothing() {
        let s3 = TestS3::start().await;
        let bucket = s3.bucket().await;
        let first = bucket
            .put_new(KEY, random_bytes(10), ObjectKind::Video)
            .await
            .unwrap();
        // As after an answer that got lost: the object is there already.
        assert_eq!(
            bucket
                .put_new(KEY, random_bytes(10), ObjectKind::Video)
                .await
                .unwrap(),
            first
        );
        let error = bucket
            .put_new(KEY, random_bytes(11), ObjectKind::Video)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), "changed");
        assert_eq!(
            bucket.digest(KEY).await.unwrap(),
            Some(Digest::of(&random_bytes(10)))
        );
    }

    #[tokio::test]
    async fn a_service_without_conditional_writes_is_written_to_all_the_same() {
        let plain = async |headers: axum::http::HeaderMap| {
            if headers.contains_key("if-none-match") {
                Err(axum::http::StatusCode::NOT_IMPLEMENTED)
            } else {
                Ok([("ETag", "\"plain\"")])
            }
        };

        let (address, _server) = serve(Router::new().fallback(plain)).await;
        let bucket = Storage::connect(&settings_for(address))
            .await
            .bucket(BUCKET);
        let stored = bucket
            .put_new(KEY, random_bytes(10), ObjectKind::Video)
            .await
            .unwrap();
        assert_eq!(stored.etag, "plain");
    }
}
