//! One bucket: what is in it, and what is removed from it.

use std::fmt;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::DateTime as SmithyDateTime;
use aws_sdk_s3::types::{Delete, Object, ObjectIdentifier};
use chrono::{DateTime, Utc};
use futures::{Stream, TryStreamExt as _};

use super::bucket_config::BucketConfig;
use super::classify::from_sdk;
use super::error::{At, StorageError, absent_is_none};
use super::object::{ObjectMeta, bare_etag};
use super::operation::Op;
use super::request::observe;

/// How many keys one `DeleteObjects` request may name (S3 API reference).
const MAX_DELETE_BATCH: usize = 1000;

/// One bucket. Cheap to clone.
#[derive(Clone)]
pub struct Bucket {
    client: Client,
    name: Arc<str>,
    config: Arc<BucketConfig>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Bucket {
    pub(super) fn new(client: Client, name: &str, config: Arc<BucketConfig>) -> Self {
        Self {
            client,
            name: name.into(),
            config,
        }
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn config(&self) -> &BucketConfig {
        &self.config
    }

    pub(super) fn at(&self, op: Op, key: &str) -> At {
        At {
            op,
            bucket: Arc::clone(&self.name),
            key: key.to_owned(),
        }
    }

    /// The bucket's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is known about an object without reading it; `None` where there is none.
    ///
    /// # Errors
    /// When the service does not answer. A missing bucket looks like a missing object here: HEAD
    /// has no body (RFC 9110, section 9.3.2).
    pub async fn head(&self, key: &str) -> Result<Option<ObjectMeta>, StorageError> {
        match absent_is_none(observe(Op::Head, self.request_head(key)).await) {
            Err(error)
                if error.needs_operator() || matches!(error, StorageError::Refused { .. }) =>
            {
                Err(self.explain_refused_head(key, error).await)
            }
            found => found,
        }
    }

    /// A refused HEAD in the service's own words: answers to HEAD have none, so its first byte is
    /// asked for, which is refused alike.
    async fn explain_refused_head(&self, key: &str, refusal: StorageError) -> StorageError {
        let request = self
            .client
            .get_object()
            .bucket(self.name())
            .key(key)
            .range("bytes=0-0");
        let at = self.at(Op::GetRange, key);
        let read = async {
            request
                .send()
                .await
                .map(drop)
                .map_err(|error| from_sdk(at, &error))
        };
        match observe(Op::GetRange, read).await {
            Err(worded)
                if worded.needs_operator() || matches!(worded, StorageError::Refused { .. }) =>
            {
                worded
            }
            _ => refusal,
        }
    }

    async fn request_head(&self, key: &str) -> Result<ObjectMeta, StorageError> {
        let answer = self
            .client
            .head_object()
            .bucket(self.name())
            .key(key)
            .send()
            .await;
        let found = answer.map_err(|error| from_sdk(self.at(Op::Head, key), &error))?;

        Ok(ObjectMeta {
            key: key.to_owned(),
            size: size(found.content_length()),
            etag: found.e_tag().map(|etag| bare_etag(etag).to_owned()),
            content_type: found.content_type().map(str::to_owned),
            cache_control: found.cache_control().map(str::to_owned),
            modified: found.last_modified().and_then(time),
        })
    }

    /// Every object whose key starts with `prefix`, in the order of their keys; all pages.
    ///
    /// # Errors
    /// Whatever kept the service from answering for one of the pages.
    pub async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StorageError> {
        self.pages(prefix).try_concat().await
    }

    /// The same page by page, of at most a thousand objects each, for listings that are too long to
    /// hold.
    pub fn pages(&self, prefix: &str) -> impl Stream<Item = Result<Vec<ObjectMeta>, StorageError>> {
        // The token of the next page; nothing after the last one.
        futures::stream::try_unfold(Some(None), move |token| async move {
            let Some(token) = token else { return Ok(None) };
            let (page, next) = observe(Op::List, self.list_page(prefix, token)).await?;
            Ok(Some((page, next.map(Some))))
        })
    }

    /// The first of those pages.
    ///
    /// # Errors
    /// Whatever kept the service from answering.
    pub async fn first_page(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StorageError> {
        let (page, _) = observe(Op::List, self.list_page(prefix, None)).await?;
        Ok(page)
    }

    async fn list_page(
        &self,
        prefix: &str,
        token: Option<String>,
    ) -> Result<(Vec<ObjectMeta>, Option<String>), StorageError> {
        let request = self
            .client
            .list_objects_v2()
            .bucket(self.name())
            .prefix(prefix);
        let answer = request.set_continuation_token(token).send().await;
        let page = answer.map_err(|error| from_sdk(self.at(Op::List, prefix), &error))?;
        let next = page
            .next_continuation_token
            .filter(|_| page.is_truncated == Some(true));

        Ok((
            page.contents
                .unwrap_or_default()
                .into_iter()
                .filter_map(object_meta)
                .collect(),
            next,
        ))
    }

    /// Removes objects; a key without an object is not an error.
    ///
    /// # Errors
    /// The first key that could not be removed, after all others were tried; or that the service
    /// cannot be reached.
    pub async fn delete(&self, keys: &[String]) -> Result<(), StorageError> {
        let mut outcome = Ok(());
        for batch in keys.chunks(MAX_DELETE_BATCH) {
            let rest = match observe(Op::DeleteObjects, self.delete_batch(batch)).await {
                Ok(left) => left,
                // What keeps the service from taking a batch keeps it from taking single keys, too.
                Err(error) if error.is_transient() => return Err(error),
                // Not every server takes the batch request, or takes it with the checksum the SDK
                // sends.
                Err(_) => batch.to_vec(),
            };

            for key in rest {
                let deleted = observe(Op::Delete, self.delete_one(&key)).await;
                outcome = outcome.and(deleted);
            }
        }
        outcome
    }

    /// Removes up to a thousand objects and returns the keys the server did not remove.
    async fn delete_batch(&self, keys: &[String]) -> Result<Vec<String>, StorageError> {
        let at = || self.at(Op::DeleteObjects, keys.first().map_or("", String::as_str));
        let refused = |reason: String| StorageError::Refused { at: at(), reason };

        let objects: Result<Vec<_>, _> = keys
            .iter()
            .map(|key| ObjectIdentifier::builder().key(key).build())
            .collect();
        // Quiet, so that the answer names only the keys that were not removed (S3 API reference,
        // `DeleteObjects`).
        let delete = Delete::builder()
            .set_objects(objects.ok())
            .quiet(true)
            .build();
        let delete = delete.map_err(|error| refused(error.to_string()))?;

        let answer = self
            .client
            .delete_objects()
            .bucket(self.name())
            .delete(delete)
            .send()
            .await;
        let answer = answer.map_err(|error| from_sdk(at(), &error))?;

        Ok(answer
            .errors
            .unwrap_or_default()
            .into_iter()
            .filter_map(|error| error.key)
            .collect())
    }

    async fn delete_one(&self, key: &str) -> Result<(), StorageError> {
        let answer = self
            .client
            .delete_object()
            .bucket(self.name())
            .key(key)
            .send()
            .await;
        match answer.map_err(|error| from_sdk(self.at(Op::Delete, key), &error)) {
            Ok(_) | Err(StorageError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn object_meta(object: Object) -> Option<ObjectMeta> {
    Some(ObjectMeta {
        size: size(object.size),
        etag: object.e_tag().map(|etag| bare_etag(etag).to_owned()),
        content_type: None,
        cache_control: None,
        modified: object.last_modified().and_then(time),
        key: object.key?,
    })
}

fn size(length: Option<i64>) -> u64 {
    length
        .and_then(|length| u64::try_from(length).ok())
        .unwrap_or(0)
}

fn time(time: &SmithyDateTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.secs(), time.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::testing::{BUCKET, TestS3, settings_for};
    use crate::{ObjectKind, Storage, StorageSettings};

    #[tokio::test]
    async fn an_object_is_found_with_all_it_was_stored_with() {
        let s3 = TestS3::start().await;
        let bucket = s3.bucket().await;
        let stored = bucket
            .put(
                "hls/f/master.m3u8",
                Bytes::from_static(b"#EXTM3U"),
                ObjectKind::Master,
            )
            .await
            .unwrap();

        let found = bucket.head("hls/f/master.m3u8").await.unwrap().unwrap();
        assert_eq!(found.size, 7);
        assert_eq!(found.etag, Some(stored.etag));
        assert_eq!(
            found.content_type.as_deref(),
            Some("application/vnd.apple.mpegurl")
        );
        assert_eq!(found.cache_control.as_deref(), Some("public, max-age=10"));
        assert!(found.modified.is_some());

        assert_eq!(bucket.head("hls/f/none.m3u8").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_listing_has_all_pages_in_order_and_nothing_else() {
        let s3 = TestS3::start().await;
        let bucket = s3.bucket().await;

        // More than the thousand keys of one page.
        let keys: Vec<String> = (0..1005).map(|n| format!("hls/f/{n:04}.m4s")).collect();
        let puts = keys
            .iter()
            .map(|key| bucket.put(key, Bytes::from_static(b"x"), ObjectKind::Video));
        futures::future::try_join_all(puts).await.unwrap();
        bucket
            .put("hls/g/other.m4s", Bytes::new(), ObjectKind::Video)
            .await
            .unwrap();

        let listed = bucket.list("hls/f/").await.unwrap();
        assert_eq!(
            listed
                .iter()
                .map(|object| object.key.clone())
                .collect::<Vec<_>>(),
            keys
        );
        assert!(listed.iter().all(|object| object.size == 1));

        bucket.delete(&keys).await.unwrap();
        assert_eq!(bucket.list("hls/f/").await.unwrap(), []);
        assert!(bucket.head("hls/g/other.m4s").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn deleting_what_is_not_there_is_no_error() {
        let s3 = TestS3::start().await;
        s3.bucket()
            .await
            .delete(&["hls/none".to_owned()])
            .await
            .unwrap();
        s3.bucket().await.delete(&[]).await.unwrap();
    }

    #[tokio::test]
    async fn a_service_that_cannot_be_reached_is_transient() {
        // A port that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();

        let settings = StorageSettings {
            max_attempts: 1,
            ..settings_for(port)
        };

        let error = Storage::connect(&settings)
            .await
            .bucket(BUCKET)
            .head("a")
            .await
            .unwrap_err();

        assert_eq!((error.kind(), error.is_transient()), ("unavailable", true));
        assert!(
            error
                .to_string()
                .starts_with("head of s3://media/a got no answer"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn debug_output_shows_no_secret() {
        let s3 = TestS3::start().await;
        let text = format!(
            "{:?} {:?} {:?}",
            s3.settings(),
            s3.storage().await,
            s3.bucket().await
        );
        assert!(
            text.contains(BUCKET) && !text.contains("dev-secret"),
            "{text}"
        );
    }
}
