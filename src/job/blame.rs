//! Whose fault a failed storage request is.

use streams::Code;

use super::Jobs;
use crate::failure::Failure;
use crate::storage::StorageError;

impl Jobs {
    /// The failure of a request to the source. A refusal is the operator's matter only if our own bucket refuses us, too;
    /// otherwise it is this one object that we may not read.
    pub async fn blame_source(&self, error: &StorageError) -> Failure {
        match error {
            StorageError::NotFound { .. } | StorageError::NoBucket { .. } => Failure::plain(Code::SourceNotFound),
            // An object that ends earlier than it did is another one, too.
            StorageError::Changed { .. } | StorageError::OutOfRange { .. } => Failure::plain(Code::SourceChanged),
            _ if error.is_denied() && !self.is_denied_everywhere().await => Failure::new(
                Code::ForbiddenSource,
                "The storage does not let this service read the uploaded file.",
            ),
            _ => self.blame_output(error).await,
        }
    }

    /// The failure of a request to the output bucket.
    pub async fn blame_output(&self, error: &StorageError) -> Failure {
        if error.is_denied() && self.is_denied_everywhere().await {
            return Failure::new(Code::StorageDenied, error.to_string());
        }
        Failure::new(Code::StorageUnavailable, error.to_string())
    }

    /// Whether our own credentials are the trouble: then nothing works in our own bucket either.
    pub async fn is_denied_everywhere(&self) -> bool {
        matches!(self.output.canary(&self.settings.output_root).await, Err(error) if error.is_denied())
    }
}
