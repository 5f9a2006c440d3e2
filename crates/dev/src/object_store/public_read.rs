//! What an unsigned request may do: read one published object, and nothing else.

use s3s::access::{S3Access, S3AccessContext};
use s3s::path::S3Path;
use s3s::{S3Result, s3_error};

/// The access policy: the owner may do anything, everyone may read what is published.
#[derive(Debug, Clone, Copy)]
pub(super) struct PublicRead;

#[async_trait::async_trait]
impl S3Access for PublicRead {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let owner = context.credentials().is_some();
        if owner || is_public(context.s3_op().name(), context.s3_path()) {
            return Ok(());
        }
        Err(s3_error!(
            AccessDenied,
            "Only published objects can be read without a signature."
        ))
    }
}

fn is_public(operation: &str, path: &S3Path) -> bool {
    let reads = matches!(operation, "GetObject" | "HeadObject");
    matches!(path, S3Path::Object { key, .. } if reads && is_published(key))
}

/// Whether a key is one a player may see: no receipt, nothing under `tmp/`.
///
/// The store maps keys to files, where `a/../tmp/b` and `tmp/b` are the same; so a key that a file
/// system could read as another one is not published, and neither is one that differs from a
/// private key only in case.
fn is_published(key: &str) -> bool {
    let names = || key.split('/');
    let plain =
        names().all(|name| !name.is_empty() && name != "." && name != ".." && !name.contains('\\'));
    let private = |name: Option<&str>, private: &str| {
        name.is_some_and(|name| name.eq_ignore_ascii_case(private))
    };
    plain && !private(names().next(), "tmp") && !private(names().next_back(), "receipt.json")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn published_objects_are_told_from_private_ones() {
        for public in [
            "hls/f/master.m3u8",
            "uploads/a.mp4",
            "hls/tmp/x.m4s",
            "receipt.json.txt",
            "hls/f/j/tmp",
            "a b",
        ] {
            assert!(is_published(public), "{public}");
        }

        for private in [
            "hls/f/j/receipt.json",
            "receipt.json",
            "hls/f/j/RECEIPT.JSON",
            "tmp/j/source.mkv",
            "tmp",
            "TMP/j/source.mkv",
            "hls/../tmp/j/source.mkv",
            "./tmp/x",
            "hls//receipt.json",
            "/tmp/x",
            "hls/f/j/receipt.json/",
            "..\\tmp\\x",
            "",
        ] {
            assert!(!is_published(private), "{private}");
        }
    }

    #[test]
    fn nothing_but_reading_an_object_is_public() {
        let object = S3Path::object("media", "hls/f/master.m3u8");
        assert!(is_public("GetObject", &object) && is_public("HeadObject", &object));

        for operation in [
            "PutObject",
            "DeleteObject",
            "GetObjectAcl",
            "GetObjectAttributes",
            "ListParts",
        ] {
            assert!(!is_public(operation, &object), "{operation}");
        }

        assert!(!is_public("GetObject", &S3Path::bucket("media")));
        assert!(!is_public("ListBuckets", &S3Path::root()));
    }

    proptest! {
        #[test]
        fn no_spelling_of_a_private_file_is_published(prefix in "([a-z.]{0,3}/){0,3}") {
            let resolved = |key: &str| key.split('/').fold(Vec::new(), |mut names, name| {
                match name { "" | "." => {}, ".." => { names.pop(); } name => names.push(name.to_owned()) }
                names
            });

            let key = format!("{prefix}tmp/x");
            let names = resolved(&key);
            if names.first().is_some_and(|name| name == "tmp") {
                prop_assert!(!is_published(&key), "{}", key);
            }
        }
    }
}
