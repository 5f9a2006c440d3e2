//! An object that is derived from what tasks made: a playlist, the commit, a sheet or the index of
//! the storyboard.

use bytes::Bytes;
use storage::{Digest, ObjectKind};
use streams::work::ObjectRef;

use super::placement::Place;

/// A derived object.
pub(super) struct Derived<'a> {
    /// Where it goes.
    pub(super) place: Place<'a>,
    /// What it is; empty for what exists already.
    pub(super) bytes: Bytes,
    /// The kind of object it is.
    pub(super) kind: ObjectKind,
}

impl<'a> Derived<'a> {
    /// A playlist.
    pub(super) const fn playlist(place: Place<'a>, bytes: Bytes) -> Self {
        Self {
            place,
            bytes,
            kind: ObjectKind::Playlist,
        }
    }

    /// The object as the receipt names it.
    pub(super) fn object(&self) -> ObjectRef {
        match &self.place {
            Place::Stands(object) => (*object).clone(),
            Place::Write(key) => {
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
