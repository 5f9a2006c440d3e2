//! The folders work is done in. They vanish with their task; what a killed process left is removed
//! by the others on the same root.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Name of the lock in a process's folder.
const LOCK: &str = "lock";
/// What the name of a process's folder begins with.
const WORKER: &str = "worker-";
/// The same before the lock is taken.
const MAKING: &str = ".making-";
/// How often a running process removes what killed ones left.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(20);
/// How old a folder without its final name must be to count as left: making one takes a moment.
const OLD: Duration = Duration::from_secs(60);

/// One process's part of the work folder. The operating system lets go of its lock when the process
/// dies, however it dies.
#[derive(Debug)]
pub struct WorkDir {
    root: PathBuf,
    path: PathBuf,
    _lock: File,
}

impl WorkDir {
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

        let path = root.join(format!(
            "{WORKER}{}-{}",
            std::process::id(),
            cuid2::create_id()
        ));
        // The lock is taken before the folder has its final name, so that no one takes a folder in
        // the making for abandoned.
        let making = tempfile::Builder::new()
            .prefix(MAKING)
            .tempdir_in(root)
            .map_err(named)?;
        let lock = File::create(making.path().join(LOCK)).map_err(named)?;
        lock.lock().map_err(named)?;
        fs::rename(making.keep(), &path).map_err(named)?;

        Ok(Self {
            root: root.to_owned(),
            path,
            _lock: lock,
        })
    }

    /// This process's part.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder for one task with one folder in it for each of `parts`. It is removed when it is
    /// dropped.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create_task_dir<'a>(&self, parts: impl Iterator<Item = &'a str>) -> io::Result<TempDir> {
        let task_dir = tempfile::Builder::new()
            .prefix("task-")
            .tempdir_in(&self.path)?;
        for part in parts {
            fs::create_dir(task_dir.path().join(part))?;
        }

        Ok(task_dir)
    }

    /// Removes what other processes on the same root leave when they are killed, every 20 s until
    /// `stop`.
    pub async fn run_cleanup(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(CLEANUP_INTERVAL) => {}
                () = stop.cancelled() => return,
            }

            let root = self.root.clone();
            // Removing a large folder takes a while, and would hold up other tasks of the runtime.
            let tidied = tokio::task::spawn_blocking(move || remove_abandoned(&root)).await;
            if let Ok(Err(error)) = tidied {
                tracing::warn!(folder = %self.root.display(), %error, "the work folder cannot be looked through");
            }
        }
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::debug!(folder = %self.path.display(), %error, "the next worker removes the work folder");
        }
    }
}

/// Removes what is abandoned. An ffmpeg that outlives its killed worker by a moment may still write
/// there, and another worker may be at it too: what cannot be removed now is left for the next
/// time.
fn remove_abandoned(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if !is_abandoned(&path) {
            continue;
        }

        tracing::info!(folder = %path.display(), "removing what a killed worker left");
        match fs::remove_dir_all(&path) {
            // Another worker may have removed it first, which is as good.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(folder = %path.display(), %error, "it cannot be removed yet");
            }
            _ => {}
        }
    }

    Ok(())
}

fn is_abandoned(folder: &Path) -> bool {
    let name = folder
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let in_the_making = name.starts_with(MAKING);
    if !in_the_making && !name.starts_with(WORKER) || in_the_making && !is_old(folder) {
        return false;
    }

    match File::open(folder.join(LOCK)) {
        Ok(lock) => !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)),
        // Without a lock file: a removal was cut short, or its maker died early.
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn is_old(folder: &Path) -> bool {
    let made = fs::metadata(folder).and_then(|folder| folder.modified());
    made.is_ok_and(|made| {
        SystemTime::now()
            .duration_since(made)
            .is_ok_and(|age| age > OLD)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_worker_left_is_removed_and_a_living_one_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let living = WorkDir::open(root.path()).unwrap();
        let task_dir = living.create_task_dir(["a", "b"].into_iter()).unwrap();
        let dead = root.path().join("worker-1-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        fs::write(dead.join("0.m4s"), "left").unwrap();

        let second = WorkDir::open(root.path()).unwrap();
        assert!(!dead.exists());
        assert!(task_dir.path().join("a").is_dir());
        drop((task_dir, living, second));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_in_the_making_is_left_alone_until_it_is_old() {
        let root = tempfile::tempdir().unwrap();
        let making = root.path().join(".making-x");
        fs::create_dir(&making).unwrap();

        let _living = WorkDir::open(root.path()).unwrap();
        assert!(making.exists());

        let long_ago = SystemTime::now() - OLD * 2;
        File::open(&making).unwrap().set_modified(long_ago).unwrap();
        remove_abandoned(root.path()).unwrap();
        assert!(!making.exists());
    }

    #[test]
    fn a_place_that_is_no_folder_is_named_with_the_setting() {
        let root = tempfile::NamedTempFile::new().unwrap();
        let error = WorkDir::open(root.path()).unwrap_err().to_string();
        assert!(
            error.contains(root.path().to_str().unwrap()) && error.contains("WORK_DIR"),
            "{error}"
        );
    }
}
