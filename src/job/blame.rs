//! Whose fault a failed storage request is.

use streams::Code;

use super::Jobs;
use super::gate::Access;
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
            _ if error.is_denied() => match self.try_access().await {
                Access::Granted => Failure::new(
                    Code::ForbiddenSource,
                    "The storage does not let this service read the uploaded file.",
                ),
                Access::Denied => Failure::new(Code::StorageDenied, error.to_string()),
                // Whether it is this object alone cannot be told now.
                Access::Unreachable => Failure::new(Code::StorageUnavailable, error.to_string()),
            },
            _ => self.blame_output(error).await,
        }
    }

    /// The failure of a request to the output bucket. The gate closes where it is not this request alone.
    pub async fn blame_output(&self, error: &StorageError) -> Failure {
        let code = match self.try_access().await {
            Access::Denied if error.is_denied() => Code::StorageDenied,
            _ => Code::StorageUnavailable,
        };
        Failure::new(code, error.to_string())
    }
}
