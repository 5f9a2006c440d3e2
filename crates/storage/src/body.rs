//! The body of an answer: never silently short, never silently still.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use bytes::{Bytes, BytesMut};

use super::error::{At, StorageError};

/// Reads a body of a known length piece by piece.
pub(super) struct Body {
    at: At,
    stream: ByteStream,
    expected: u64,
    received: u64,
    silence: Duration,
}

impl Body {
    /// A body that must have exactly `expected` bytes and may be silent for `silence` between two
    /// pieces.
    pub(super) fn new(at: At, stream: ByteStream, expected: u64, silence: Duration) -> Self {
        Self {
            at,
            stream,
            expected,
            received: 0,
            silence,
        }
    }

    /// The announced length in bytes.
    pub(super) const fn expected(&self) -> u64 {
        self.expected
    }

    /// The next piece; `None` after the last byte.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        let piece = match tokio::time::timeout(self.silence, self.stream.next()).await {
            Err(_) => {
                return Err(self.interrupted(&format!("no data arrived for {:?}", self.silence)));
            }
            Ok(None) if self.received == self.expected => return Ok(None),
            Ok(None) => return Err(self.interrupted("the answer ended")),
            Ok(Some(Err(error))) => return Err(self.interrupted(&error.to_string())),
            Ok(Some(Ok(piece))) => piece,
        };

        self.received += piece.len() as u64;
        if self.received > self.expected {
            return Err(self.interrupted("more data arrived than was announced"));
        }
        Ok(Some(piece))
    }

    /// The whole body, in one allocation of its exact size.
    pub(super) async fn collect(mut self) -> Result<Bytes, StorageError> {
        let mut whole = BytesMut::with_capacity(usize::try_from(self.expected).unwrap_or(0));
        while let Some(piece) = self.next().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    fn interrupted(&self, how: &str) -> StorageError {
        let reason = format!("{how} after {} of {} bytes", self.received, self.expected);
        StorageError::Interrupted {
            at: self.at.clone(),
            reason,
        }
    }
}
