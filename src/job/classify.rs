//! Whose fault a failed storage request is.

use storage::StorageError;
use streams::Code;

use super::Jobs;
use super::circuit_breaker::{StorageAccess, probe_storage};
use crate::job::failure::{Failure, Remedy};

/// The failure of a request to the source. A refusal is a matter for the operator if the output
/// bucket is refused, too; otherwise only this object is denied, and it is not yet known for how
/// long: see [`super::denial`].
pub async fn classify_source_error(jobs: &Jobs, error: &StorageError) -> Failure {
    match error {
        StorageError::NotFound { .. } | StorageError::NoBucket { .. } => {
            Failure::from_code(Code::SourceNotFound)
        }
        // An object that ends earlier than it did is another one, too.
        StorageError::Changed { .. } | StorageError::OutOfRange { .. } => {
            Failure::from_code(Code::SourceChanged)
        }
        // The storage reports it itself; the output bucket may still be served, because the SDK
        // adjusts to the clock of the storage.
        StorageError::ClockSkew { .. } => {
            jobs.breaker.set(StorageAccess::from_error(error));
            Failure::new(Code::ClockSkew, error.to_string())
        }
        _ => match probe_storage(jobs).await {
            StorageAccess::Granted if error.needs_operator() => denied_source(error),
            access => blamed_on(access, error),
        },
    }
}

/// The failure of a request to the output bucket. The circuit opens if other requests are affected,
/// too.
pub async fn classify_output_error(jobs: &Jobs, error: &StorageError) -> Failure {
    blamed_on(probe_storage(jobs).await, error)
}

/// The failure of a request, given what the output bucket allows at the moment.
fn blamed_on(access: StorageAccess, error: &StorageError) -> Failure {
    match access {
        StorageAccess::Refused { code, reason } => Failure::new(code, reason),
        StorageAccess::Granted | StorageAccess::Unreachable { .. } => {
            Failure::new(Code::StorageUnavailable, error.to_string())
        }
    }
}

/// The failure of a source that the storage denies while it serves the output bucket.
fn denied_source(error: &StorageError) -> Failure {
    let text = format!(
        "The storage does not allow this service to read the uploaded file: {error}. The service needs s3:GetObject, and s3:ListBucket, without \
         which a missing object also looks denied."
    );
    Failure {
        remedy: Remedy::AwaitSource,
        ..Failure::new(Code::StorageDenied, text)
    }
}
