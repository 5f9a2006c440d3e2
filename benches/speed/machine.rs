//! Cores, processor time, memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use url::Url;

use crate::harness::process::{Process, command, output_of};
use crate::metrics::Metrics;

/// Ticks of a second of processor time: fixed by the kernel's interface to programs.
const TICKS: f64 = 100.0;

/// Restricts a process, and everything it starts from now on, to these cores, in the syntax of
/// `taskset`.
pub(crate) async fn pin(process: i32, cores: &str) {
    output_of(command("taskset").args(["-acp", cores, &process.to_string()])).await;
}

/// Restricts this process, and the servers it starts from now on, to these cores.
pub(crate) async fn pin_ourselves(cores: &str) {
    pin(i32::try_from(std::process::id()).unwrap(), cores).await;
}

/// Processor seconds that a process and all its children that have ended took so far.
pub(crate) fn processor_seconds(process: &Process) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    // proc_pid_stat(5): utime, stime, cutime and cstime are fields 14 to 17.
    let ticks: f64 = fields[11..15]
        .iter()
        .map(|ticks| ticks.parse::<f64>().unwrap())
        .sum();
    ticks / TICKS
}

/// The most that a process and its children held while it was watched.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Peak {
    /// Bytes of memory, each shared page counted for its share.
    pub(crate) memory: u64,
    /// Bytes that its cache of sources took.
    pub(crate) cache: u64,
    /// Bytes of its own memory without the cache, both at the same time.
    pub(crate) own: u64,
    /// Bytes of memory of its children.
    pub(crate) children: u64,
    /// Bytes in its folder.
    pub(crate) disk: u64,
}

/// Watches a worker until `stop`. `metrics` is the URL of its metrics.
pub(crate) async fn watch(
    process: i32,
    metrics: &Url,
    folder: &Path,
    stop: CancellationToken,
) -> Peak {
    let mut peak = Peak::default();
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    while !stop.is_cancelled() {
        ticks.tick().await;
        let own = proportional(process);
        let tree: u64 = descendants(process).into_iter().map(proportional).sum();
        let cache = Metrics::at(metrics).await.sum("fluxhls_source_cache_bytes") as u64;
        peak.memory = peak.memory.max(own + tree);
        peak.cache = peak.cache.max(cache);
        peak.own = peak.own.max(own.saturating_sub(cache));
        peak.children = peak.children.max(tree);
        peak.disk = peak.disk.max(used(folder));
    }
    peak
}

/// What a process holds of the machine's memory, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resident {
    /// All of it.
    pub(crate) all: u64,
    /// Pages without a file: heap and stacks.
    pub(crate) anonymous: u64,
}

/// What a process holds now, without its children.
pub(crate) fn resident(process: i32) -> Resident {
    Resident {
        all: mapped(process, "Rss:"),
        anonymous: mapped(process, "Anonymous:"),
    }
}

fn proportional(process: i32) -> u64 {
    mapped(process, "Pss:")
}

/// A line of the summary of all mappings of a process, in bytes; zero if the process has ended.
fn mapped(process: i32, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

fn descendants(process: i32) -> Vec<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        children.entry(parent.unwrap_or(0)).or_default().push(id);
    }
    let mut all = children.remove(&process).unwrap_or_default();
    let mut next = 0;
    while next < all.len() {
        all.extend(children.remove(&all[next]).unwrap_or_default());
        next += 1;
    }
    all
}

fn used(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => used(&entry.path()),
            _ => entry.metadata().map_or(0, |file| file.len()),
        })
        .sum()
}
