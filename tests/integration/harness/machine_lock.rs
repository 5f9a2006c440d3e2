//! Who has the machine: many tests together, or one alone, whichever processes they run in.

use std::fs::File;
use std::path::Path;

/// The right to use the machine, given back when it is dropped or its process ends.
#[derive(Debug)]
pub(crate) enum MachineLock {
    /// Together with others.
    Shared { _users: File },
    /// With no one else.
    Alone { _users: File, _entrance: File },
    /// Not at all.
    Released,
}

impl MachineLock {
    /// Waits while another test is alone or waits to be.
    pub(crate) async fn shared() -> Self {
        wait(|| {
            let entrance = open("entrance");
            entrance.lock().unwrap();
            let users = open("users");
            users.lock_shared().unwrap();
            Self::Shared { _users: users }
        })
        .await
    }

    /// Waits until no other test holds the lock. Whoever has one must give it back first.
    pub(crate) async fn alone() -> Self {
        wait(|| {
            // Kept, so that no one comes in while those who are there leave.
            let entrance = open("entrance");
            entrance.lock().unwrap();
            let users = open("users");
            users.lock().unwrap();
            Self::Alone {
                _users: users,
                _entrance: entrance,
            }
        })
        .await
    }
}

/// A file of its own kind that every test of this checkout locks.
fn open(name: &str) -> File {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("machine-{name}.lock"));
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .unwrap()
}

/// Takes a lock where it may take its time.
async fn wait(lock: fn() -> MachineLock) -> MachineLock {
    tokio::task::spawn_blocking(lock).await.unwrap()
}
