//! The objects that the master playlist in the bucket names, directly or indirectly.

use std::collections::{BTreeSet, VecDeque};

use media::playlist;
use storage::{Bucket, StorageError};

use crate::job::commit::SMALL_OBJECT;

/// Every key that can be reached from a master playlist, including the playlist itself. A missing
/// playlist names nothing.
///
/// # Errors
/// When the bucket does not answer: then it is unknown what is public.
pub(super) async fn find_reachable(
    bucket: &Bucket,
    master: &str,
) -> Result<BTreeSet<String>, StorageError> {
    let mut named = BTreeSet::from([master.to_owned()]);
    let mut unread = VecDeque::from([master.to_owned()]);

    while let Some(key) = unread.pop_front() {
        let Some(bytes) = bucket.get(&key, SMALL_OBJECT).await? else {
            continue;
        };
        for uri in playlist::uris(&String::from_utf8_lossy(&bytes)) {
            let Some(target) = resolve_uri(&key, uri) else {
                continue;
            };
            let is_playlist = target.ends_with(".m3u8");
            // Each playlist is read once, also where two of them name each other.
            if named.insert(target.clone()) && is_playlist {
                unread.push_back(target);
            }
        }
    }
    Ok(named)
}

/// The key that a relative URI in the playlist under `base` leads to (RFC 3986, section 5.2); none
/// if it leads elsewhere.
fn resolve_uri(base: &str, uri: &str) -> Option<String> {
    let path = uri.split(['?', '#']).next()?;
    if path.is_empty() || path.starts_with('/') || path.contains("://") {
        return None;
    }

    let mut parts: Vec<&str> = base.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." => {}
            // More `..` than there are folders would lead out of the bucket.
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_leads_on_from_where_it_stands() {
        let of = |uri| resolve_uri("hls/f/j/720p/index.m3u8", uri);
        assert_eq!(of("0-1.m4s").as_deref(), Some("hls/f/j/720p/0-1.m4s"));
        assert_eq!(
            of("../audio/./a.mp4?x=1").as_deref(),
            Some("hls/f/j/audio/a.mp4")
        );
        for elsewhere in ["https://x/y", "/y", "", "#x", "../../../../../../y"] {
            assert_eq!(of(elsewhere), None, "{elsewhere}");
        }
    }
}
