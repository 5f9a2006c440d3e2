//! Where derived objects go. Pure.

use storage::{Digest, revised, revision_of};
use streams::work::ObjectRef;

/// Where the derived objects of an output go: a job writes them under their plain keys; a repair
/// keeps those that are intact and still correct, and writes the others under new keys, because the
/// old ones are cached for a year.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placement<'a> {
    /// The repair; 0 for the job itself.
    pub(super) revision: u64,
    /// The objects that a repair found intact.
    pub(super) intact: &'a [ObjectRef],
}

/// A place for an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ObjectPlace<'a> {
    /// It has to be written under this key.
    Write(String),
    /// It exists.
    Existing(&'a ObjectRef),
}

impl ObjectPlace<'_> {
    /// The key.
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Write(key) => key,
            Self::Existing(object) => &object.key,
        }
    }
}

impl<'a> Placement<'a> {
    /// The place of an object under exactly this key.
    pub(super) fn at(self, key: String, bytes: &[u8]) -> ObjectPlace<'a> {
        let digest = Digest::of(bytes);
        let existing = self.intact.iter().find(|object| {
            object.key == key && object.size == digest.size && object.sha256 == digest.sha256
        });
        existing.map_or(ObjectPlace::Write(key), ObjectPlace::Existing)
    }

    /// The place of an object whose plain key is `key`.
    pub(super) fn of(self, key: &str, bytes: &[u8]) -> ObjectPlace<'a> {
        let digest = Digest::of(bytes);
        let existing = self.intact.iter().find(|object| {
            let same = object.size == digest.size && object.sha256 == digest.sha256;
            same && revision_of(key, &object.key).is_some()
        });
        existing.map_or_else(
            || ObjectPlace::Write(revised(key, self.revision)),
            ObjectPlace::Existing,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str, bytes: &[u8]) -> ObjectRef {
        let Digest { size, sha256 } = Digest::of(bytes);
        ObjectRef {
            key: key.to_owned(),
            size,
            sha256,
            etag: None,
        }
    }

    #[test]
    fn a_repair_leaves_what_is_sound_and_right_and_writes_the_rest_beside() {
        let intact = [
            object("f/a/index-5.m3u8", b"right"),
            object("f/b/index.m3u8", b"right"),
        ];
        let placement = Placement {
            revision: 36,
            intact: &intact,
        };

        assert_eq!(
            placement.of("f/a/index.m3u8", b"right"),
            ObjectPlace::Existing(&intact[0])
        );
        assert_eq!(
            placement.of("f/a/index.m3u8", b"other").key(),
            "f/a/index-10.m3u8"
        );
        assert_eq!(
            placement.of("f/c/index.m3u8", b"right").key(),
            "f/c/index-10.m3u8"
        );

        let first = Placement {
            revision: 0,
            intact: &[],
        };
        assert_eq!(first.of("f/c/index.m3u8", b"right").key(), "f/c/index.m3u8");
    }
}
