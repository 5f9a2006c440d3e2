//! How much room there is: what the settings allow, and what the system has at this moment.

use std::fs;
use std::io;
use std::path::Path;

use nix::sys::statvfs::{FsFlags, statvfs};

use super::memory::memory;
use super::{Resource, ResourceRequirements};

/// Bytes of the file system that always stay free; a twentieth of a small one.
const RESERVE: u64 = 256 << 20;
/// Bytes below which a file system counts as full: a block or two may be left that fit nothing.
const FULL: u64 = 64 << 10;
/// Bytes of this process without the memory of tasks.
const OURSELVES: u64 = 96 << 20;

/// What an installation allows one process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Bytes its tasks may have in the work folder; nothing leaves it to the file system.
    pub work_dir_max: Option<u64>,
    /// Bytes of memory of the process and its children; nothing leaves it to the control group or
    /// the machine.
    pub memory_max: Option<u64>,
}

impl Capacity {
    /// Bytes of memory the process and its children may take.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.memory_max.unwrap_or_else(|| memory().total)
    }
}

/// The room for tasks at one moment, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvailableCapacity {
    /// The total, if nothing else runs.
    pub most: ResourceRequirements,
    /// What all tasks of this process together may take now.
    pub now: ResourceRequirements,
    /// What one more task may take of memory that is shared with others, who may use it up any
    /// time.
    pub spare_memory: u64,
}

impl AvailableCapacity {
    /// Looks. `folder` is where this process works; `cache` is what its block cache may take, in
    /// bytes.
    ///
    /// # Errors
    /// When the folder does not exist, or cannot be written.
    pub fn extract_samples(capacity: &Capacity, folder: &Path, cache: u64) -> io::Result<Self> {
        let disk = statvfs(folder).map_err(io::Error::from)?;
        // A file system that is mounted read-only still reports free blocks.
        if disk.flags().contains(FsFlags::ST_RDONLY) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }

        let (unit, limit) = (
            disk.fragment_size(),
            capacity.work_dir_max.unwrap_or(u64::MAX),
        );
        let total = disk.blocks().saturating_mul(unit);
        let reserve = RESERVE.min(total / 20);
        // What tasks of this process have written is no longer free, and belongs to them.
        let free = disk
            .blocks_available()
            .saturating_mul(unit)
            .saturating_add(used(folder));

        let memory = memory();
        let ours = OURSELVES.saturating_add(cache);
        let most = capacity
            .memory_max
            .unwrap_or(memory.total)
            .saturating_sub(ours);
        // An operator who sets a limit has taken other processes into account.
        let spare = memory.available.filter(|_| capacity.memory_max.is_none());

        Ok(Self {
            most: ResourceRequirements {
                disk: total.saturating_sub(reserve).min(limit),
                memory: most,
            },
            now: ResourceRequirements {
                disk: free.saturating_sub(reserve).min(limit),
                memory: most,
            },
            spare_memory: spare.unwrap_or(u64::MAX),
        })
    }

    /// What does not fit even if nothing else runs.
    #[must_use]
    pub fn too_small_for(&self, need: ResourceRequirements) -> Option<Resource> {
        lacking(self.most, need)
    }

    /// What does not fit now, given what is already `reserved`.
    #[must_use]
    pub fn taken_for(
        &self,
        need: ResourceRequirements,
        reserved: ResourceRequirements,
    ) -> Option<Resource> {
        lacking(self.now, need.and(reserved))
            .or((need.memory > self.spare_memory).then_some(Resource::Memory))
    }
}

fn lacking(room: ResourceRequirements, need: ResourceRequirements) -> Option<Resource> {
    match () {
        () if need.disk > room.disk => Some(Resource::Disk),
        () if need.memory > room.memory => Some(Resource::Memory),
        () => None,
    }
}

/// Whether nothing more can be written in a folder.
pub(crate) fn is_full(folder: &Path) -> bool {
    statvfs(folder)
        .is_ok_and(|disk| disk.blocks_available().saturating_mul(disk.fragment_size()) < FULL)
}

/// Bytes of all files under a folder. Files come and go meanwhile.
pub(crate) fn used(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => used(&entry.path()),
            Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |file| file.len()),
            _ => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_what_is_free_and_what_the_settings_allow() {
        let folder = tempfile::tempdir().unwrap();
        let free =
            AvailableCapacity::extract_samples(&Capacity::default(), folder.path(), 0).unwrap();
        assert!(
            free.most.disk >= free.now.disk && free.now.disk > 0 && free.now.memory > 0,
            "{free:?}"
        );

        let capacity = Capacity {
            work_dir_max: Some(1000),
            memory_max: Some(OURSELVES + 500),
        };
        let small = AvailableCapacity::extract_samples(&capacity, folder.path(), 100).unwrap();
        let need = ResourceRequirements {
            disk: 1000,
            memory: 400,
        };

        assert_eq!((small.most, small.now), (need, need));
        assert_eq!(small.too_small_for(need), None);
        assert_eq!(
            small.too_small_for(ResourceRequirements {
                disk: 1001,
                memory: 0
            }),
            Some(Resource::Disk)
        );
        assert_eq!(
            small.taken_for(
                ResourceRequirements {
                    disk: 0,
                    memory: 300
                },
                ResourceRequirements {
                    disk: 0,
                    memory: 101
                }
            ),
            Some(Resource::Memory)
        );
    }

    #[test]
    fn a_folder_that_is_gone_is_no_room() {
        let error = AvailableCapacity::extract_samples(
            &Capacity::default(),
            Path::new("/nowhere/at/all"),
            0,
        )
        .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_lies_in_a_folder_is_counted_with_all_below_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/1.m4s"), [0; 70]).unwrap();
        fs::write(folder.path().join("tiles.rgb"), [0; 30]).unwrap();
        assert_eq!(used(folder.path()), 100);
        assert_eq!(used(&folder.path().join("none")), 0);
    }
}
