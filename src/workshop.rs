//! The folders work is done in. They vanish with their task; what a killed process left is removed by the next one.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Name of the lock in a process's folder.
const LOCK: &str = "lock";

/// One process's part of the work folder. The operating system lets go of its lock when the process dies, however it dies.
#[derive(Debug)]
pub struct Workshop {
    folder: PathBuf,
    _lock: File,
}

impl Workshop {
    /// Opens this process's part of `root`, and removes the parts of processes that are gone.
    ///
    /// # Errors
    /// Names the folder that cannot be written.
    pub fn open(root: &Path) -> io::Result<Self> {
        let named = |error: io::Error| {
            let text = format!(
                "cannot use the work folder {}: {error}; set WORK_DIR to one this user can write",
                root.display()
            );
            io::Error::new(error.kind(), text)
        };
        fs::create_dir_all(root).map_err(named)?;
        remove_abandoned(root).map_err(named)?;
        let folder = root.join(format!("worker-{}-{}", std::process::id(), cuid2::create_id()));
        // The lock is taken before the folder has its final name, so that nobody takes a folder in the making for abandoned.
        let making = tempfile::Builder::new()
            .prefix(".making-")
            .tempdir_in(root)
            .map_err(named)?;
        let lock = File::create(making.path().join(LOCK)).map_err(named)?;
        lock.lock().map_err(named)?;
        fs::rename(making.keep(), &folder).map_err(named)?;
        Ok(Self { folder, _lock: lock })
    }

    /// A folder for one task with one folder in it for each of `parts`. It is removed when it is dropped.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn bench<'a>(&self, parts: impl Iterator<Item = &'a str>) -> io::Result<TempDir> {
        let bench = tempfile::Builder::new().prefix("task-").tempdir_in(&self.folder)?;
        for part in parts {
            fs::create_dir(bench.path().join(part))?;
        }
        Ok(bench)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::debug!(folder = %self.folder.display(), %error, "the next worker removes the work folder");
        }
    }
}

fn remove_abandoned(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        let ours = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("worker-"));
        if ours && is_abandoned(&path) {
            tracing::info!(folder = %path.display(), "removing what a killed worker left");
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

fn is_abandoned(folder: &Path) -> bool {
    match File::open(folder.join(LOCK)) {
        Ok(lock) => !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_worker_left_is_removed_and_a_living_one_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let living = Workshop::open(root.path()).unwrap();
        let bench = living.bench(["a", "b"].into_iter()).unwrap();
        let dead = root.path().join("worker-1-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        fs::write(dead.join("0.m4s"), "left").unwrap();

        let second = Workshop::open(root.path()).unwrap();
        assert!(!dead.exists());
        assert!(bench.path().join("a").is_dir());
        drop((bench, living, second));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
