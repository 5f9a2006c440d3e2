//! The one place where requests to S3 are counted and timed.

use std::fmt;
use std::time::Instant;

use metrics::{counter, histogram};

use super::error::StorageError;

const REQUESTS: &str = "fluxhls_s3_requests_total";
const DURATION: &str = "fluxhls_s3_request_duration_seconds";
const OK: &str = "ok";

/// An operation on S3, as errors and metric labels name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// HEAD of an object.
    Head,
    /// GET of a whole object.
    Get,
    /// GET of one range of an object.
    GetRange,
    /// GET of a whole object for its hash.
    Digest,
    /// PUT of a whole object.
    Put,
    /// The start of a multipart upload.
    CreateUpload,
    /// One part of a multipart upload.
    UploadPart,
    /// The end of a multipart upload, which makes the object appear.
    CompleteUpload,
    /// The end of a multipart upload without an object.
    AbortUpload,
    /// One page of a listing.
    List,
    /// DELETE of one object.
    Delete,
    /// DELETE of up to a thousand objects.
    DeleteObjects,
    /// GET of whether the bucket keeps old versions.
    GetVersioning,
    /// GET of the bucket's CORS rules.
    GetCors,
    /// PUT of the bucket's CORS rules.
    PutCors,
}

impl Op {
    /// Every operation.
    pub const ALL: [Self; 15] = [
        Self::Head,
        Self::Get,
        Self::GetRange,
        Self::Digest,
        Self::Put,
        Self::CreateUpload,
        Self::UploadPart,
        Self::CompleteUpload,
        Self::AbortUpload,
        Self::List,
        Self::Delete,
        Self::DeleteObjects,
        Self::GetVersioning,
        Self::GetCors,
        Self::PutCors,
    ];

    /// The lower-case word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Get => "get",
            Self::GetRange => "get_range",
            Self::Digest => "digest",
            Self::Put => "put",
            Self::CreateUpload => "create_upload",
            Self::UploadPart => "upload_part",
            Self::CompleteUpload => "complete_upload",
            Self::AbortUpload => "abort_upload",
            Self::List => "list",
            Self::Delete => "delete",
            Self::DeleteObjects => "delete_objects",
            Self::GetVersioning => "get_versioning",
            Self::GetCors => "get_cors",
            Self::PutCors => "put_cors",
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes every series of the request counter exist at zero, so that its first increase is seen.
pub fn touch_metrics() {
    for op in Op::ALL {
        for result in std::iter::once(OK).chain(StorageError::KINDS) {
            counter!(REQUESTS, "operation" => op.as_str(), "result" => result).increment(0);
        }
    }
}

/// Carries out a request, its body included, and counts it. What the SDK repeats by itself counts once.
pub(super) async fn observe<T>(
    op: Op,
    request: impl Future<Output = Result<T, StorageError>>,
) -> Result<T, StorageError> {
    let start = Instant::now();
    let outcome = request.await;
    let result = outcome.as_ref().map_or_else(StorageError::kind, |_| OK);
    counter!(REQUESTS, "operation" => op.as_str(), "result" => result).increment(1);
    histogram!(DURATION, "operation" => op.as_str()).record(start.elapsed().as_secs_f64());
    outcome
}
