//! An object that is derived from what tasks made: a playlist, the commit, a sheet or the index of
//! the storyboard.

use bytes::Bytes;
use storage::{Digest, ObjectKind};
use streams::work::ObjectRef;

use super::placement::ObjectPlace;

/// A derived object.
pub(super) struct DerivedObject<'a> {
    /// Where it goes.
    pub(super) place: ObjectPlace<'a>,
    /// What it is; empty for what exists already.
    pub(super) bytes: Bytes,
    /// The kind of object it is.
    pub(super) kind: ObjectKind,
}

impl<'a> DerivedObject<'a> {
    /// A playlist.
    pub(super) const fn playlist(place: ObjectPlace<'a>, bytes: Bytes) -> Self {
        Self {
            place,
            bytes,
            kind: ObjectKind::Playlist,
        }
    }

    /// The object as the receipt names it.
    pub(super) fn object(&self) -> ObjectRef {
        match &self.place {
            ObjectPlace::Existing(object) => (*object).clone(),
            ObjectPlace::Write(key) => {
                let Digest { size, sha256 } = Digest::of(&self.bytes);
                ObjectRef {
                    key: key.clone(),
                    size,
                    sha256,
                    etag: None,
                }
            }
        }
    }
}
