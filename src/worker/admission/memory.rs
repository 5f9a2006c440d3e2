//! How much memory this process and its children may take: the limit of its control group, else
//! what the machine has.

use std::fs;
use std::path::Path;

/// A control group of version 1 without a limit says a number near the largest one.
const NO_LIMIT: u64 = 1 << 60;

/// Memory as the system reports it, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    /// The total that may be used.
    pub(super) total: u64,
    /// What is free now, if it is shared with others.
    pub(super) available: Option<u64>,
}

/// The memory of this process: that of its control group if it has a limit.
pub(super) fn memory() -> Memory {
    let ours = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    if let Some(total) = group_limit(&ours, Path::new("/sys/fs/cgroup")) {
        return Memory {
            total,
            available: None,
        };
    }

    let machine = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    Memory {
        // A system that does not report it has no limit to respect.
        total: field(&machine, "MemTotal:").unwrap_or(u64::MAX),
        available: field(&machine, "MemAvailable:"),
    }
}

/// The least limit of the control group and of those it is in. Within a container the path may be
/// one of the host, which does not exist there; the group at the root is then that of the
/// container.
///
/// The format of `/proc/self/cgroup` is that of cgroups(7).
fn group_limit(ours: &str, root: &Path) -> Option<u64> {
    let groups = ours.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        match controllers {
            // Version 2 has one hierarchy, whose line names no controllers.
            "" => Some((root.to_owned(), path, "memory.max")),
            // Version 1 has one for each controller, or for a few together.
            _ if controllers.split(',').any(|name| name == "memory") => {
                Some((root.join("memory"), path, "memory.limit_in_bytes"))
            }
            _ => None,
        }
    });

    let limits = groups.flat_map(|(mount, path, file)| {
        let group = mount.join(path.trim_start_matches('/'));
        let above: Vec<_> = group
            .ancestors()
            .take_while(|above| above.starts_with(&mount))
            .map(|above| above.join(file))
            .collect();
        above
    });

    limits
        .filter_map(|file| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok())
        .filter(|limit| *limit < NO_LIMIT)
        .min()
}

/// A line of `/proc/meminfo`, which counts in KiB (proc(5)), in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(
        line.trim()
            .trim_end_matches("kB")
            .trim()
            .parse::<u64>()
            .ok()?
            * 1024,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_on_the_way_up_counts_and_none_is_none() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let file = root.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };

        write("pod/memory.max", "2000000\n");
        write("pod/box/memory.max", "max\n");
        assert_eq!(group_limit("0::/pod/box\n", root.path()), Some(2_000_000));
        assert_eq!(group_limit("0::/elsewhere\n", root.path()), None);

        // In a container, the path of the host does not exist.
        write("memory.max", "3000000\n");
        assert_eq!(
            group_limit("0::/kubepods/x\n", root.path()),
            Some(3_000_000)
        );

        write("memory/docker/memory.limit_in_bytes", "1000000\n");
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(
            group_limit("5:cpu,memory:/docker\n4:pids:/docker\n", root.path()),
            Some(1_000_000)
        );
        assert_eq!(group_limit("5:memory:/other\n", root.path()), None);
    }

    #[test]
    fn meminfo_counts_in_kibibytes() {
        let text = "MemTotal:        2000 kB\nMemFree:          1 kB\nMemAvailable:    1000 kB\n";
        assert_eq!(
            (field(text, "MemTotal:"), field(text, "MemAvailable:")),
            (Some(2_048_000), Some(1_024_000))
        );
        assert_eq!(field(text, "Missing:"), None);
    }

    #[test]
    fn this_machine_has_memory() {
        assert!(memory().total > 100 << 20);
    }
}
