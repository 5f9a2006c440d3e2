//! What is known about an object, and what kinds of objects there are.

use std::fmt;

use aws_sdk_s3::types::ObjectCannedAcl;
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

const IMMUTABLE_CACHE_CONTROL: &str = "public, max-age=31536000, immutable";
const MASTER_CACHE_CONTROL: &str = "public, max-age=10";
const NO_STORE_CACHE_CONTROL: &str = "no-store";

/// What a HEAD or a listing contains about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// The key within its bucket.
    pub key: String,
    /// The size in bytes.
    pub size: u64,
    /// The entity tag without quotes; `None` where the server gave none.
    pub etag: Option<String>,
    /// The media type; not in a listing.
    pub content_type: Option<String>,
    /// The caching rule; not in a listing.
    pub cache_control: Option<String>,
    /// The time of the last write, by the server's clock.
    pub modified: Option<DateTime<Utc>>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The size in bytes.
    pub size: u64,
    /// SHA-256 of what was sent, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// The entity tag without quotes, as the server answered it; empty where it gave none.
    pub etag: String,
}

/// Size and hash of a sequence of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// The size in bytes.
    pub size: u64,
    /// SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// Computes a [`Digest`] piece by piece.
#[derive(Default)]
pub(super) struct Digester {
    size: u64,
    hasher: Sha256,
}

impl Digester {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.hasher.update(bytes);
    }

    pub(super) fn finish(self) -> Digest {
        Digest {
            size: self.size,
            sha256: format!("{:x}", self.hasher.finalize()),
        }
    }
}

impl Digest {
    /// The digest of bytes in memory.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut digester = Digester::default();
        digester.update(bytes);
        digester.finish()
    }
}

/// What an object is for. It decides media type, caching and who may read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectKind {
    /// A final playlist, and `commit.m3u8`.
    Playlist,
    /// `master.m3u8`: the one public object that may be replaced.
    Master,
    /// A live playlist.
    LivePlaylist,
    /// An init segment or media segment of a video rendition.
    Video,
    /// An init segment or media segment of an audio rendition.
    Audio,
    /// A poster or a storyboard sheet.
    Jpeg,
    /// Subtitles, or the index of a storyboard.
    Vtt,
    /// `receipt.json`: immutable, never public.
    Receipt,
    /// Anything else; never public, and without a caching rule.
    Private {
        /// The media type.
        content_type: String,
    },
}

impl ObjectKind {
    /// A private object of the given media type.
    #[must_use]
    pub fn private(content_type: impl Into<String>) -> Self {
        Self::Private {
            content_type: content_type.into(),
        }
    }

    /// The `Content-Type` it is stored with.
    #[must_use]
    pub fn content_type(&self) -> &str {
        match self {
            Self::Playlist | Self::Master | Self::LivePlaylist => "application/vnd.apple.mpegurl",
            Self::Video => "video/mp4",
            Self::Audio => "audio/mp4",
            Self::Jpeg => "image/jpeg",
            Self::Vtt => "text/vtt",
            Self::Receipt => "application/json",
            Self::Private { content_type } => content_type,
        }
    }

    /// The `Cache-Control` it is stored with.
    #[must_use]
    pub const fn cache_control(&self) -> Option<&'static str> {
        match self {
            Self::Master => Some(MASTER_CACHE_CONTROL),
            Self::LivePlaylist => Some(NO_STORE_CACHE_CONTROL),
            Self::Playlist | Self::Video | Self::Audio | Self::Jpeg | Self::Vtt | Self::Receipt => {
                Some(IMMUTABLE_CACHE_CONTROL)
            }
            Self::Private { .. } => None,
        }
    }

    /// Whether players fetch it, so that it may be readable by everyone.
    #[must_use]
    pub const fn is_public(&self) -> bool {
        !matches!(self, Self::Receipt | Self::Private { .. })
    }

    pub(super) fn acl(&self, public_read: bool) -> Option<ObjectCannedAcl> {
        (public_read && self.is_public()).then_some(ObjectCannedAcl::PublicRead)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, sha256 {}", self.size, self.sha256)
    }
}

/// An entity tag without its quotes. Servers, events and receipts disagree on whether the quotes
/// belong to it.
pub(super) fn bare_etag(etag: &str) -> &str {
    etag.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(etag)
}

/// An entity tag as header fields carry it (RFC 9110, section 8.8.3).
pub(super) fn quoted_etag(etag: &str) -> String {
    format!("\"{}\"", bare_etag(etag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_stored_as_the_contract_says() {
        let playlist = "application/vnd.apple.mpegurl";
        let table = [
            (
                ObjectKind::Playlist,
                playlist,
                Some("public, max-age=31536000, immutable"),
                true,
            ),
            (
                ObjectKind::Master,
                playlist,
                Some("public, max-age=10"),
                true,
            ),
            (ObjectKind::LivePlaylist, playlist, Some("no-store"), true),
            (
                ObjectKind::Video,
                "video/mp4",
                Some("public, max-age=31536000, immutable"),
                true,
            ),
            (
                ObjectKind::Audio,
                "audio/mp4",
                Some("public, max-age=31536000, immutable"),
                true,
            ),
            (
                ObjectKind::Jpeg,
                "image/jpeg",
                Some("public, max-age=31536000, immutable"),
                true,
            ),
            (
                ObjectKind::Vtt,
                "text/vtt",
                Some("public, max-age=31536000, immutable"),
                true,
            ),
            (
                ObjectKind::Receipt,
                "application/json",
                Some("public, max-age=31536000, immutable"),
                false,
            ),
            (
                ObjectKind::private("video/x-matroska"),
                "video/x-matroska",
                None,
                false,
            ),
        ];

        for (kind, content_type, cache_control, public) in table {
            assert_eq!(kind.content_type(), content_type);
            assert_eq!(kind.cache_control(), cache_control);
            assert_eq!(kind.is_public(), public);
            assert_eq!(kind.acl(true).is_some(), public);
            assert_eq!(kind.acl(false), None);
        }
    }

    #[test]
    fn an_etag_is_the_same_with_and_without_quotes() {
        assert_eq!(bare_etag("\"abc-3\""), "abc-3");
        assert_eq!(bare_etag("abc-3"), "abc-3");
        assert_eq!(bare_etag("\""), "\"");
        assert_eq!(quoted_etag("\"abc\""), quoted_etag("abc"));
    }

    #[test]
    fn the_digest_of_nothing_is_the_known_one() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(
            Digest::of(b""),
            Digest {
                size: 0,
                sha256: empty.to_owned()
            }
        );
    }
}
