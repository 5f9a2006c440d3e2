//! Identifiers. Each type can only hold a value that is a valid NATS subject token, object key part
//! and column value.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a text is not the identifier it was given for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} is not valid: it must match {pattern}")]
pub struct InvalidId {
    what: &'static str,
    pattern: &'static str,
    value: String,
}

impl InvalidId {
    pub(crate) fn new(what: &'static str, pattern: &'static str, value: &str) -> Self {
        // A hostile value may be megabytes long; the message keeps its beginning only.
        let value = value.chars().take(80).collect();
        Self {
            what,
            pattern,
            value,
        }
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $pattern:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(extend("pattern" = $pattern))]
        pub struct $name(String);

        impl $name {
            /// The pattern every value of this type matches.
            pub const PATTERN: &'static str = $pattern;

            /// The text of the identifier.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidId::new($what, $pattern, text))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn is_public_id(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && text.len() <= 128
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn is_rendition_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && text.len() <= 32
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_output_prefix(text: &str) -> bool {
    text.len() <= 200
        && text.strip_suffix('/').is_some_and(|body| {
            body.split('/').all(|part| {
                part.bytes()
                    .next()
                    .is_some_and(|b| b.is_ascii_alphanumeric())
                    && part
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
            })
        })
}

text_id!(
    /// The identity of an uploaded file, chosen by the publisher.
    FileId, "file_id", "^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$", is_public_id
);
text_id!(
    /// The identity of one transcoding of one file. Publishers may choose it (cuid2 recommended).
    JobId, "job_id", "^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$", is_public_id
);
text_id!(
    /// The name of a rendition: a folder of the output and a label in its playlists, e.g. `1080p`.
    RenditionName, "rendition", "^[a-z0-9][a-z0-9-]{0,31}$", is_rendition_name
);
text_id!(
    /// The prefix of a file's output in the output bucket: folders, each starting with a letter or
    /// digit, ending in `/`.
    OutputPrefix, "output_prefix", "^([A-Za-z0-9][A-Za-z0-9._-]*/)+$", is_output_prefix
);

impl JobId {
    /// A fresh cuid2.
    #[must_use]
    pub fn fresh() -> Self {
        Self(cuid2::create_id())
    }
}

impl OutputPrefix {
    /// The default place of a file: `<root><file_id>/`, with `root` ending in `/`.
    ///
    /// # Errors
    /// When `root` is not a valid prefix itself.
    pub fn of_file(root: &str, file: &FileId) -> Result<Self, InvalidId> {
        format!("{root}{file}/").parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_are_plain_tokens_of_at_most_128_characters() {
        for good in [
            "a",
            "A9",
            "tz4a98xxat96iws9zmbrgj3a",
            "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
            &"x".repeat(128),
        ] {
            assert!(good.parse::<FileId>().is_ok(), "{good}");
        }

        for bad in [
            "",
            "-a",
            "_a",
            "a.b",
            "a b",
            "a*",
            ">",
            "ä",
            "a/b",
            "a\0",
            &"x".repeat(129),
        ] {
            assert!(bad.parse::<JobId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn prefixes_are_folders_without_dot_segments() {
        for good in ["hls/", "hls/abc/", "a.b/c-d_e/", "0/"] {
            assert!(good.parse::<OutputPrefix>().is_ok(), "{good}");
        }

        for bad in [
            "",
            "/",
            "hls",
            "/hls/",
            "hls//x/",
            "hls/../x/",
            "hls/./",
            "hls/.x/",
            "hls/a b/",
            "hls/ä/",
        ] {
            assert!(bad.parse::<OutputPrefix>().is_err(), "{bad}");
        }

        assert!(
            format!("{}/", "x".repeat(200))
                .parse::<OutputPrefix>()
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn a_valid_id_is_one_subject_token(text in "\\PC{0,140}") {
            if let Ok(id) = text.parse::<FileId>() {
                prop_assert!(!id.as_str().contains(['.', '*', '>', ' ', '/']));
                prop_assert!(async_nats::Subject::from(id.as_str()).is_valid());
            }
        }
    }

    #[test]
    fn a_fresh_job_id_is_a_valid_id() {
        assert!(JobId::fresh().as_str().parse::<JobId>().is_ok());
    }
}
