//! The operations on S3 that this crate knows, each by a stable word.

use strum::{Display, IntoStaticStr, VariantArray};

/// An operation on S3, as errors and metric labels name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
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
    /// The lower-case word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
