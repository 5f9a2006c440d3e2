//! A multipart upload that leaves nothing behind when it does not succeed: parts of one that is
//! neither completed nor aborted are stored, and paid for, but not visible (S3 User Guide,
//! "Multipart upload").

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use super::bucket::Bucket;
use super::classify::from_sdk;
use super::error::StorageError;
use super::object::{ObjectKind, bare_etag};
use super::operation::Op;
use super::request::observe;

/// The server may take minutes to make one object of many parts: as long as sending this many bytes
/// may take.
const COMPLETION_BYTES: usize = 8 << 20;

/// A started upload. Dropped without [`Multipart::complete`] or [`Multipart::abort`] it is aborted
/// in the background, so that a cancelled task leaves no invisible parts in the bucket.
pub(super) struct Multipart {
    upload: Upload,
    open: bool,
}

/// A part on its way; dropped, it is given up.
pub(super) type PendingPart = AbortOnDropHandle<Result<CompletedPart, StorageError>>;

/// What names an upload.
#[derive(Clone)]
struct Upload {
    bucket: Bucket,
    key: String,
    id: String,
}

impl Multipart {
    /// Starts an upload.
    pub(super) async fn create(
        bucket: &Bucket,
        key: &str,
        kind: &ObjectKind,
    ) -> Result<Self, StorageError> {
        let upload = observe(Op::CreateUpload, Upload::create(bucket, key, kind)).await?;
        Ok(Self { upload, open: true })
    }

    /// The key of the object to be.
    pub(super) fn key(&self) -> &str {
        &self.upload.key
    }

    /// Starts to send part `number`, counted from 1. It is a task, so it continues while the next
    /// part is read.
    pub(super) fn send(&self, number: i32, part: Bytes) -> PendingPart {
        let upload = self.upload.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            observe(Op::UploadPart, upload.send(number, part)).await
        }))
    }

    /// Waits until a part is there.
    pub(super) async fn sent(&self, part: PendingPart) -> Result<CompletedPart, StorageError> {
        part.await.unwrap_or_else(|error| {
            // Only by a panic, or by the end of the runtime.
            let at = self.upload.bucket.at(Op::UploadPart, &self.upload.key);
            Err(StorageError::Interrupted {
                at,
                reason: error.to_string(),
            })
        })
    }

    /// Makes the object of its parts, given in order, and returns its entity tag.
    pub(super) async fn complete(
        mut self,
        parts: Vec<CompletedPart>,
    ) -> Result<String, StorageError> {
        let completed = observe(Op::CompleteUpload, self.upload.complete(parts)).await;
        // Where it did not succeed, dropping `self` aborts it.
        self.open = completed.is_err();
        completed
    }

    /// Gives the upload up and frees its parts.
    pub(super) async fn abort(mut self) {
        self.open = false;
        self.upload.clone().abort().await;
    }
}

impl Drop for Multipart {
    fn drop(&mut self) {
        // Outside a runtime no request can be sent.
        if let (true, Ok(runtime)) = (self.open, Handle::try_current()) {
            runtime.spawn(self.upload.clone().abort());
        }
    }
}

impl Upload {
    async fn create(bucket: &Bucket, key: &str, kind: &ObjectKind) -> Result<Self, StorageError> {
        let at = || bucket.at(Op::CreateUpload, key);
        let answer = bucket
            .client()
            .create_multipart_upload()
            .bucket(bucket.name())
            .key(key)
            .content_type(kind.content_type())
            .set_cache_control(kind.cache_control().map(str::to_owned))
            .set_acl(kind.acl(bucket.config().public_read))
            .send()
            .await;

        let created = answer.map_err(|error| from_sdk(at(), &error))?;
        let Some(id) = created.upload_id else {
            return Err(StorageError::Refused {
                at: at(),
                reason: "the server gave no upload id".to_owned(),
            });
        };

        Ok(Self {
            bucket: bucket.clone(),
            key: key.to_owned(),
            id,
        })
    }

    async fn send(&self, number: i32, part: Bytes) -> Result<CompletedPart, StorageError> {
        let config = self.bucket.config().upload_config(part.len());
        let answer = self
            .bucket
            .client()
            .upload_part()
            .bucket(self.bucket.name())
            .key(&self.key)
            .upload_id(&self.id)
            .part_number(number)
            .body(ByteStream::from(part))
            .customize()
            .config_override(config)
            .send()
            .await;

        let sent =
            answer.map_err(|error| from_sdk(self.bucket.at(Op::UploadPart, &self.key), &error))?;
        // AWS wants the checksums of the parts again at the end, where the SDK sent any: CRC32 is
        // its only choice.
        let part = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(sent.e_tag);
        Ok(part.set_checksum_crc32(sent.checksum_crc32).build())
    }

    async fn complete(&self, parts: Vec<CompletedPart>) -> Result<String, StorageError> {
        let answer = self
            .bucket
            .client()
            .complete_multipart_upload()
            .bucket(self.bucket.name())
            .key(&self.key)
            .upload_id(&self.id)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(parts))
                    .build(),
            )
            .customize()
            .config_override(self.bucket.config().upload_config(COMPLETION_BYTES))
            .send()
            .await;

        let completed = answer
            .map_err(|error| from_sdk(self.bucket.at(Op::CompleteUpload, &self.key), &error))?;
        Ok(completed
            .e_tag()
            .map(bare_etag)
            .unwrap_or_default()
            .to_owned())
    }

    async fn abort(self) {
        let aborted = observe(Op::AbortUpload, async {
            let request = self.bucket.client().abort_multipart_upload();
            let answer = request
                .bucket(self.bucket.name())
                .key(&self.key)
                .upload_id(&self.id)
                .send()
                .await;
            answer.map_err(|error| from_sdk(self.bucket.at(Op::AbortUpload, &self.key), &error))
        });

        if let Err(error) = aborted.await {
            tracing::warn!(%error, "parts of an upload may be left; a lifecycle rule of the bucket should remove them");
        }
    }
}
