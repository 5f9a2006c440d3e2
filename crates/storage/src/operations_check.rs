//! A trial of a bucket: every kind of request that workers make, once.

use bytes::Bytes;
use futures::stream;
use strum::IntoStaticStr;

use super::bucket::Bucket;
use super::error::StorageError;
use super::object::{ObjectKind, Stored};
use super::operation::Op;

/// Bytes of the large object: more than one part of 8 MiB, so that it is sent in two.
const LARGE_OBJECT_BYTES: usize = 9 * 1024 * 1024;
/// Bytes of each of the pieces that it is made of.
const PIECE_BYTES: usize = 1024 * 1024;

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Step {
    /// Writing an object in one request.
    Put,
    /// Reading it.
    Get,
    /// Reading a part of it.
    Range,
    /// Finding it.
    List,
    /// Writing an object in parts.
    Multipart,
    /// Removing both.
    Delete,
}

impl Step {
    /// Its name in a report.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// What is true where it succeeds.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Put => "objects can be written",
            Self::Get => "objects can be read",
            Self::Range => "parts of objects can be read",
            Self::List => "objects are listed",
            Self::Multipart => "objects can be written in parts",
            Self::Delete => "objects can be removed",
        }
    }
}

impl Bucket {
    /// Tries each kind of request on objects below `root`, and leaves nothing. Steps that need an
    /// object that could not be written are left out.
    pub async fn check_operations(&self, root: &str) -> Vec<(Step, Result<(), StorageError>)> {
        let name = cuid2::create_id();
        let (small, large) = (
            format!("{root}doctor-{name}"),
            format!("{root}doctor-{name}-large"),
        );
        let words = Bytes::from(small.clone());

        // Some stores accept objects for missing buckets.
        let written = match self.first_page(&small).await {
            Ok(_) => {
                self.put(&small, words.clone(), ObjectKind::private("text/plain"))
                    .await
            }
            Err(error) => Err(error),
        };
        let stored = match written {
            Ok(stored) => stored,
            Err(error) => return vec![(Step::Put, Err(error))],
        };

        let mut tried = vec![(Step::Put, Ok(()))];
        tried.push((Step::Get, self.try_get(&small, &words).await));
        tried.push((Step::Range, self.try_range(&small, &words, &stored).await));
        tried.push((Step::List, self.try_list(&small).await));
        tried.push((Step::Multipart, self.try_parts(&large).await));
        tried.push((Step::Delete, self.delete(&[small, large]).await));
        tried
    }

    async fn try_get(&self, key: &str, words: &Bytes) -> Result<(), StorageError> {
        let read = self.get(key, words.len() as u64).await?;
        self.check_read_back(Op::Get, key, read.as_ref() == Some(words))
    }

    async fn try_range(
        &self,
        key: &str,
        words: &Bytes,
        stored: &Stored,
    ) -> Result<(), StorageError> {
        let read = self.get_range(key, &stored.etag, 1..4).await?;
        self.check_read_back(Op::GetRange, key, read == words.slice(1..4))
    }

    async fn try_list(&self, key: &str) -> Result<(), StorageError> {
        let listed = self.list(key).await?;
        self.check_read_back(Op::List, key, listed.iter().any(|meta| meta.key == key))
    }

    async fn try_parts(&self, key: &str) -> Result<(), StorageError> {
        let pieces =
            (0..LARGE_OBJECT_BYTES / PIECE_BYTES).map(|_| Ok(Bytes::from(vec![b'.'; PIECE_BYTES])));
        let stored = self
            .put_stream(key, "application/octet-stream", stream::iter(pieces))
            .await?;
        let size = self.head(key).await?.map(|meta| meta.size);
        self.check_read_back(Op::Head, key, size == Some(stored.size))
    }

    fn check_read_back(&self, op: Op, key: &str, is_so: bool) -> Result<(), StorageError> {
        if is_so {
            return Ok(());
        }
        Err(StorageError::Refused {
            at: self.at(op, key),
            reason: "the object that was read differs from the one just written".to_owned(),
        })
    }
}
