//! What can go wrong with an object, distinguished by what the caller does about it.

use std::fmt;
use std::io;
use std::sync::Arc;

use chrono::TimeDelta;
use strum::{IntoStaticStr, VariantNames};

use super::clock::describe_difference;
use super::operation::Op;

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

/// A failed operation on object storage. `VARIANTS` has every value of [`StorageError::kind`].
#[derive(Debug, thiserror::Error, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum StorageError {
    /// There is no such object (or, if the server does not distinguish, no such bucket).
    #[error("{at} found no object: check that it was uploaded under this key")]
    NotFound {
        /// What was attempted.
        at: At,
    },
    /// There is no such bucket.
    #[error("{at} found no bucket of this name: create it, or correct S3_BUCKET or SOURCE_BUCKETS")]
    NoBucket {
        /// What was attempted.
        at: At,
    },
    /// The credentials are missing, wrong, or may not do this.
    #[error("{at} was denied ({reason}): {}", cause.fix())]
    Denied {
        /// What was attempted.
        at: At,
        /// The server's words.
        reason: String,
        /// What is wrong with the credentials, as far as the answer shows.
        cause: DenialCause,
    },
    /// The bucket is served elsewhere: in another region, or at another endpoint.
    #[error("{at} went to the wrong place ({reason}): {}", address_fix(region.as_deref()))]
    Misdirected {
        /// What was attempted.
        at: At,
        /// The server's words.
        reason: String,
        /// The bucket's region, where the answer names it.
        region: Option<String>,
    },
    /// The clocks of this machine and of the service differ by more than signatures allow.
    #[error(
        "{at} was refused because of the time of its signature ({reason}): the clocks of this machine and of the storage differ by {}; synchronize \
         this machine, or the storage, with a time server (NTP)",
        describe_difference(*by)
    )]
    ClockSkew {
        /// What was attempted.
        at: At,
        /// The server's words.
        reason: String,
        /// The clock of this machine minus that of the service, if the answer is dated.
        by: Option<TimeDelta>,
    },
    /// The object is no longer the version that was asked for.
    #[error(
        "{at} found another version than the one asked for: start again from the object as it is now"
    )]
    Changed {
        /// What was attempted.
        at: At,
    },
    /// The object is larger than the caller can take.
    #[error(
        "{at} found {size} bytes where at most {limit} are allowed: raise the limit or replace the object"
    )]
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
    /// The answer began and then broke off, stalled, or had another length than announced.
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
    /// The data to upload could not be read; the storage is not the cause.
    #[error("{at} could not read the data to send ({source}): check the file or the sender")]
    Input {
        /// What was attempted.
        at: At,
        /// Why reading failed.
        source: io::Error,
    },
}

impl StorageError {
    /// One stable word for logs and metric labels.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.into()
    }

    /// What was attempted, on which object.
    #[must_use]
    pub const fn at(&self) -> &At {
        match self {
            Self::NotFound { at }
            | Self::NoBucket { at }
            | Self::Denied { at, .. }
            | Self::Misdirected { at, .. }
            | Self::ClockSkew { at, .. }
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

    /// Whether someone must change credentials, rights, bucket, address or clock first.
    #[must_use]
    pub const fn needs_operator(&self) -> bool {
        matches!(
            self,
            Self::Denied { .. }
                | Self::NoBucket { .. }
                | Self::Misdirected { .. }
                | Self::ClockSkew { .. }
        )
    }
}

/// What about the credentials is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DenialCause {
    /// The service does not know the key, or its secret is another one.
    Keys,
    /// The session token has expired, or was not issued by the service.
    Token,
    /// No credentials were found.
    Missing,
    /// They are valid, as far as the answer shows, but lack the permission.
    Rights,
}

impl DenialCause {
    /// What an operator does about it.
    const fn fix(self) -> &'static str {
        match self {
            Self::Keys => {
                "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or where else the credentials come from"
            }
            Self::Token => {
                "the session token has expired or is wrong; renew it, or let web identity or the instance renew it"
            }
            Self::Missing => {
                "no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
            }
            Self::Rights => "check the credentials and what they may do in this bucket",
        }
    }
}

/// What an operator does about an address that is wrong.
fn address_fix(region: Option<&str>) -> String {
    match region {
        Some(region) => {
            format!("set S3_REGION to {region}, and S3_ENDPOINT to the endpoint of that region")
        }
        None => "set S3_REGION and S3_ENDPOINT to where the bucket is".to_owned(),
    }
}

/// Turns "there is none" into a value, for callers to whom absence is an answer.
pub(super) fn absent_is_none<T>(
    outcome: Result<T, StorageError>,
) -> Result<Option<T>, StorageError> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(StorageError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
