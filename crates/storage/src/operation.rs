//! The operations on S3 that this crate knows, each by a stable word.

use std::fmt;

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
