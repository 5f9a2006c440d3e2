//! Why a repair came to nothing.

use jetstream::Refused;
use storage::StorageError;

use crate::job::failure::Failure;
use crate::job::verdict::SettleError;

/// Why nothing was repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// Its job has not ended.
    #[error("job {0} has not ended yet; it corrects its own output, or fails")]
    AtWork(streams::JobId),
    /// Someone else advanced the owner of the prefix meanwhile.
    #[error(
        "another repair, or a newer job of the file, was faster; nothing of this repair is public: verify again"
    )]
    Overtaken,
    /// The repaired output fails its checks.
    #[error("the repaired output fails its checks: {0}; nothing of it is public")]
    CheckFailed(String),
    /// It could not be made again.
    #[error("it cannot be repaired: {0}")]
    Failed(Failure),
    /// NATS will never take a message of it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The bucket does not answer.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Master could not be written.
    #[error(transparent)]
    Settle(#[from] SettleError),
}
