//! What a server serves: one version of one object.

use streams::plan::SourceCopy;

use crate::{Bucket, Storage};

/// What to serve: one version of one object.
#[derive(Debug, Clone)]
pub struct Source {
    /// The bucket it is in.
    pub bucket: Bucket,
    /// Its key.
    pub key: String,
    /// The entity tag of the version that is meant, with or without quotes.
    pub etag: String,
    /// The size of that version in bytes.
    pub size: u64,
}

impl Source {
    /// What the tasks of a plan read: the copy of its source where there is one, else the source
    /// itself.
    #[must_use]
    pub fn planned(storage: &Storage, source: &streams::plan::Source) -> Self {
        source.copy.as_ref().map_or_else(
            || Self {
                bucket: storage.bucket(&source.bucket),
                key: source.key.clone(),
                etag: source.etag.clone(),
                size: source.size,
            },
            |copy| Self::copy(storage, copy),
        )
    }

    /// The copy of a source.
    #[must_use]
    pub fn copy(storage: &Storage, copy: &SourceCopy) -> Self {
        Self {
            bucket: storage.bucket(&copy.bucket),
            key: copy.key.clone(),
            etag: copy.etag.clone(),
            size: copy.size,
        }
    }
}
