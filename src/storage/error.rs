//! What can go wrong with an object, told apart by what the caller does about it.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::request::Op;

/// What was attempted, on which object. It holds no credential, no query and no header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The operation.
    pub op: Op,
    /// The bucket's name.
    pub bucket: Arc<str>,
    /// The object's key, or the prefix of a listing; empty where the bucket itself is meant.
    pub key: String,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of s3://{}/{}", self.op, self.bucket, self.key)
    }
}

/// A failed operation on object storage.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is no such object (or, where the server does not tell the difference, no such bucket).
    #[error("{at} found no object: check that it was uploaded under this key")]
    NotFound {
        /// What was attempted.
        at: At,
    },
    /// There is no such bucket.
    #[error("{at} found no bucket of this name: create it or correct the name")]
    NoBucket {
        /// What was attempted.
        at: At,
    },
    /// The credentials are missing, wrong, or may not do this.
    #[error("{at} was denied ({reason}): check the credentials and what they may do in this bucket")]
    Denied {
        /// What was attempted.
        at: At,
        /// The server's words.
        reason: String,
    },
    /// The object is no longer the version that was asked for.
    #[error("{at} found another version than the one asked for: start again from the object as it is now")]
    Changed {
        /// What was attempted.
        at: At,
    },
    /// The object is larger than the caller can take.
    #[error("{at} found {size} bytes where at most {limit} are allowed: raise the limit or replace the object")]
    TooLarge {
        /// What was attempted.
        at: At,
        /// The object's size in bytes.
        size: u64,
        /// The caller's limit in bytes.
        limit: u64,
    },
    /// The range begins after the object's end.
    #[error("{at} asked for bytes after its end: ask for its size again")]
    OutOfRange {
        /// What was attempted.
        at: At,
    },
    /// The answer began well and then broke off, stood still, or had another length than announced.
    #[error("{at} broke off ({reason}): try again, and look at the network if it persists")]
    Interrupted {
        /// What was attempted.
        at: At,
        /// How it broke off.
        reason: String,
    },
    /// The service could not be reached or could not answer now.
    #[error(
        "{at} got no answer ({reason}): try again later; if it persists, check the endpoint and where the credentials come from"
    )]
    Unavailable {
        /// What was attempted.
        at: At,
        /// What happened instead.
        reason: String,
    },
    /// The service understood the request and will not carry it out; repeating it does not help.
    #[error("{at} was refused ({reason}): check region, endpoint and what this server supports")]
    Refused {
        /// What was attempted.
        at: At,
        /// The server's words.
        reason: String,
    },
    /// What was to be uploaded could not be read; storage is not to blame.
    #[error("{at} could not read what it was to send ({source}): check the file or the sender")]
    Input {
        /// What was attempted.
        at: At,
        /// Why reading failed.
        source: io::Error,
    },
}

impl StorageError {
    /// Every value of [`StorageError::kind`].
    pub const KINDS: [&str; 10] = [
        "not_found",
        "no_bucket",
        "denied",
        "changed",
        "too_large",
        "out_of_range",
        "interrupted",
        "unavailable",
        "refused",
        "input",
    ];

    /// One stable word for logs and metric labels.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::NoBucket { .. } => "no_bucket",
            Self::Denied { .. } => "denied",
            Self::Changed { .. } => "changed",
            Self::TooLarge { .. } => "too_large",
            Self::OutOfRange { .. } => "out_of_range",
            Self::Interrupted { .. } => "interrupted",
            Self::Unavailable { .. } => "unavailable",
            Self::Refused { .. } => "refused",
            Self::Input { .. } => "input",
        }
    }

    /// What was attempted, on which object.
    #[must_use]
    pub const fn at(&self) -> &At {
        match self {
            Self::NotFound { at }
            | Self::NoBucket { at }
            | Self::Denied { at, .. }
            | Self::Changed { at }
            | Self::TooLarge { at, .. }
            | Self::OutOfRange { at }
            | Self::Interrupted { at, .. }
            | Self::Unavailable { at, .. }
            | Self::Refused { at, .. }
            | Self::Input { at, .. } => at,
        }
    }

    /// Whether the same request may well succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Interrupted { .. } | Self::Unavailable { .. })
    }

    /// Whether somebody must change credentials, rights or the bucket first.
    #[must_use]
    pub const fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. } | Self::NoBucket { .. })
    }
}

/// Judges a failure of the SDK.
pub(super) fn from_sdk<E>(at: At, error: &SdkError<E>) -> StorageError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    match error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or_default();
            let words = service.err().message().unwrap_or_default();
            let status_text = status.map(|status| status.to_string()).unwrap_or_default();
            let reason = [status_text.as_str(), code, words]
                .into_iter()
                .filter(|word| !word.is_empty());
            classify(at, status, code, reason.collect::<Vec<_>>().join(" "))
        }
        other if lacks_credentials(other) => StorageError::Denied {
            at,
            reason: causes(other),
        },
        other => classify(at, status, "", causes(other)),
    }
}

/// Decides by S3's error code where there is one (HEAD answers have none), else by the status; no status is no answer.
fn classify(at: At, status: Option<u16>, code: &str, reason: String) -> StorageError {
    match (code, status) {
        ("NoSuchBucket", _) => StorageError::NoBucket { at },
        // A completed upload is gone too, so a repeated request meets this; only starting over helps.
        ("NoSuchUpload" | "SlowDown" | "RequestTimeout" | "InternalError" | "ServiceUnavailable", _) => {
            StorageError::Unavailable { at, reason }
        }
        ("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired", _) => StorageError::Denied { at, reason },
        (_, Some(401 | 403)) => StorageError::Denied { at, reason },
        (_, Some(404)) => StorageError::NotFound { at },
        (_, Some(412)) => StorageError::Changed { at },
        (_, Some(416)) => StorageError::OutOfRange { at },
        (_, Some(501)) => StorageError::Refused { at, reason },
        (_, None | Some(408 | 409 | 425 | 429 | 200..=299 | 500..)) => StorageError::Unavailable { at, reason },
        _ => StorageError::Refused { at, reason },
    }
}

/// Whether the AWS chain found no credentials at all, which the SDK reports like a connection that did not open.
fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |cause| (*cause).source())
        .filter_map(|cause| cause.downcast_ref::<CredentialsError>())
        .any(|cause| {
            matches!(
                cause,
                CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_)
            )
        })
}

/// The messages of an error and its causes. The SDK's own full report would print raw requests and answers.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in std::iter::successors(Some(error), |cause| (*cause).source()) {
        let text = cause.to_string();
        if texts.last() != Some(&text) {
            texts.push(text);
        }
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(code: &str, status: Option<u16>) -> StorageError {
        let at = At {
            op: Op::Get,
            bucket: "media".into(),
            key: "a/b.mp4".to_owned(),
        };
        classify(at, status, code, "words".to_owned())
    }

    #[test]
    fn every_answer_has_one_kind() {
        let table = [
            ("NoSuchKey", Some(404), "not_found"),
            ("", Some(404), "not_found"),
            ("NoSuchBucket", Some(404), "no_bucket"),
            ("NoSuchUpload", Some(404), "unavailable"),
            ("AccessDenied", Some(403), "denied"),
            ("SignatureDoesNotMatch", Some(403), "denied"),
            ("", Some(403), "denied"),
            ("ExpiredToken", Some(400), "denied"),
            ("PreconditionFailed", Some(412), "changed"),
            ("InvalidRange", Some(416), "out_of_range"),
            ("SlowDown", Some(503), "unavailable"),
            ("", Some(500), "unavailable"),
            ("OperationAborted", Some(409), "unavailable"),
            ("", None, "unavailable"),
            ("NotImplemented", Some(501), "refused"),
            ("InvalidRequest", Some(400), "refused"),
            ("PermanentRedirect", Some(301), "refused"),
        ];
        for (code, status, kind) in table {
            assert_eq!(judged(code, status).kind(), kind, "{code} {status:?}");
            assert!(StorageError::KINDS.contains(&kind));
        }
    }

    #[test]
    fn only_what_may_pass_by_itself_is_transient_and_only_what_needs_an_operator_is_denied() {
        assert!(judged("", None).is_transient() && judged("SlowDown", Some(503)).is_transient());
        assert!(judged("", Some(403)).is_denied() && judged("NoSuchBucket", Some(404)).is_denied());
        for error in [judged("", Some(404)), judged("", Some(412)), judged("", Some(400))] {
            assert!(!error.is_transient() && !error.is_denied(), "{error}");
        }
    }

    #[test]
    fn missing_credentials_need_an_operator_but_a_source_of_them_that_fails_does_not() {
        assert!(lacks_credentials(&CredentialsError::not_loaded_no_source()));
        assert!(!lacks_credentials(&CredentialsError::provider_error(
            "instance metadata is busy"
        )));
        assert!(!lacks_credentials(&io::Error::other("connection reset")));
    }

    #[test]
    fn the_text_names_operation_bucket_key_and_fix() {
        let text = judged("AccessDenied", Some(403)).to_string();
        assert_eq!(
            text,
            "get of s3://media/a/b.mp4 was denied (words): check the credentials and what they may do in this bucket"
        );
    }
}
