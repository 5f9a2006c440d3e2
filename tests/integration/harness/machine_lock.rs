//! Who has the machine: many tests together, or one alone.

use std::sync::{Arc, LazyLock};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

static MACHINE: LazyLock<Arc<RwLock<()>>> = LazyLock::new(Arc::default);

/// The right to use the machine, given back when it is dropped.
#[derive(Debug)]
pub(crate) enum MachineLock {
    /// Together with others.
    Shared { _guard: OwnedRwLockReadGuard<()> },
    /// With no one else.
    Alone { _guard: OwnedRwLockWriteGuard<()> },
    /// Not at all.
    Released,
}

impl MachineLock {
    /// Waits while another test is alone.
    pub(crate) async fn shared() -> Self {
        Self::Shared {
            _guard: Arc::clone(&MACHINE).read_owned().await,
        }
    }

    /// Waits until no other test holds the lock. Whoever has one must give it back first.
    pub(crate) async fn alone() -> Self {
        Self::Alone {
            _guard: Arc::clone(&MACHINE).write_owned().await,
        }
    }
}
