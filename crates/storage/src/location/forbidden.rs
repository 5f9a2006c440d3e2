//! Why a URL is refused.

/// Why a `file_url` is not accepted. The text never repeats its query, which may hold a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForbiddenSource {
    /// It is neither `s3://bucket/key` nor a plain HTTP URL.
    #[error("the file_url must be s3://bucket/key or the http(s) URL of an object")]
    NotAUrl,
    /// It carries a user name or a password.
    #[error("the file_url must not carry a user name or password")]
    Credentials,
    /// Its host, with its port, does not serve the source buckets.
    #[error("the file_url names the host {0}, which does not serve the source buckets")]
    Host(String),
    /// Its bucket is not a source bucket.
    #[error("the file_url names the bucket {0}, which is not one of SOURCE_BUCKETS")]
    Bucket(String),
    /// Its key cannot be one of an upload.
    #[error("the key in the file_url {0}")]
    Key(&'static str),
}
