//! The work folder is a resource: what does not fit is not started, what runs full is tried again,
//! and what a killed worker left is removed.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use streams::{Class, JobId};

use crate::harness::clip::{Clip, moving};
use crate::harness::database::Engine;
use crate::harness::output::verify;
use crate::harness::process::{command, output_of};
use crate::harness::until;
use crate::harness::worker::{page, readiness};
use crate::harness::world::World;

async fn clip() -> Clip {
    moving("320x180", 14.0).rate("10").make().await
}

async fn verified(world: &World, job: &JobId, clip: &Clip) {
    let ended = world.completed(job).await;
    verify(&ended, &world.planned(job).await, &clip.path).await;
}

/// How many chunks and tracks were started.
async fn encodes(world: &World, job: &JobId) -> u64 {
    let starts = world.starts(job).await;
    let of_encoders = starts
        .iter()
        .filter(|(task, _)| matches!(task.class(), Class::Encode | Class::Tracks));
    of_encoders.map(|(_, starts)| starts).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_too_large_for_one_worker_is_left_to_a_larger_one() {
    let world = World::new(Engine::Sqlite).await;
    let clip = clip().await;
    let job = world.plan_alone(&world.event(&clip).await).await;
    let mut small = world
        .worker("small")
        .roles("encode")
        .setting("WORK_DIR_MAX", 1_000_000)
        .start();
    let told = async || String::from_utf8(readiness(&small).await.body).unwrap();
    until("the small worker reports what it cannot take", async || {
        told().await.contains("WORK_DIR_MAX")
    })
    .await;
    let health = readiness(&small).await;
    assert_eq!(health.status, 200, "it is ready for smaller ones");
    let metrics = String::from_utf8(page(&small, "/metrics").await.body).unwrap();
    let waits = metrics
        .lines()
        .find_map(|line| line.strip_prefix("fluxhls_admission_waits_total{resource=\"disk\"} "));
    assert!(
        waits.is_some_and(|waits| waits.parse::<u64>().unwrap() > 0),
        "{metrics}"
    );
    assert_eq!(
        encodes(&world, &job).await,
        0,
        "nothing was started that cannot finish"
    );
    // While both live, chance decides who gets a task first; here it must be the large one.
    small.kill().await;
    let _large = world.worker("large").start();
    verified(&world, &job, &clip).await;
    let results = world.results(&job).await;
    assert!(
        results.iter().all(|done| done.worker == "large"),
        "{results:?}"
    );
    assert!(world.starts(&job).await.values().all(|starts| *starts == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_runs_full_in_mid_task_leaves_no_files_and_costs_one_attempt() {
    let world = World::new(Engine::Sqlite).await;
    let Some(disk) = SmallDisk::mount(&world).await else {
        eprintln!("skipped: this user may not mount a small file system");
        return;
    };
    let clip = clip().await;
    let job = world.plan_alone(&world.event(&clip).await).await;
    let worker = world
        .worker("one")
        .setting("WORK_DIR", disk.path.display())
        .pauses_at("step.attempt")
        .start();
    worker.has_stopped().await;
    disk.fill();
    worker.signal(Signal::SIGCONT);
    until("the attempt failed", async || {
        worker.said().contains("disk_full")
    })
    .await;
    until("no file of it is left", async || {
        files(&disk.path) == ["filler", "lock"]
    })
    .await;
    let before = encodes(&world, &job).await;
    fs::remove_file(disk.path.join("filler")).unwrap();
    verified(&world, &job, &clip).await;
    assert!(before <= 2, "{before} attempts on a full disk");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_worker_left_is_removed_by_one_that_lives() {
    let world = World::new(Engine::Sqlite).await;
    let clip = clip().await;
    let root = world.folder().join("shared");
    let shares = |name| world.worker(name).setting("WORK_DIR", root.display());
    let mut target = shares("target").pauses_at("encode.closed").start();
    let job = world.submit(&clip).await;
    target.has_stopped().await;
    let left = folder_of(&root, target.id());
    let _survivor = shares("survivor").start();
    until("the survivor works there", async || {
        fs::read_dir(&root).unwrap().count() == 2
    })
    .await;
    assert!(
        files(&left).iter().any(|name| name.ends_with(".m4s")),
        "the target was in mid-chunk"
    );
    target.kill().await;
    until("its folder is gone", async || !left.exists()).await;
    verified(&world, &job, &clip).await;
}

/// The part of the work folder that the process with this id has.
fn folder_of(root: &Path, id: i32) -> PathBuf {
    let folders = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let ours = |path: &PathBuf| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with(&format!("worker-{id}-"))
    };
    folders
        .into_iter()
        .find(ours)
        .expect("the process has a folder")
}

/// The names of all files below a folder, sorted.
fn files(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            names.extend(files(&entry.path()));
        } else {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    names
}

/// A file system of 64 MiB in memory, gone with its value.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one; nothing where that is not allowed.
    async fn mount(world: &World) -> Option<Self> {
        let path = world.folder().join("disk");
        fs::create_dir(&path).unwrap();
        let mut mount = command("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=64m", "fluxhls-test"])
            .arg(&path);
        mount
            .status()
            .await
            .is_ok_and(|status| status.success())
            .then_some(Self { path })
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        use std::io::Write as _;
        let mut filler = fs::File::create(self.path.join("filler")).unwrap();
        for size in [1 << 20, 4096] {
            while filler.write_all(&vec![1; size]).is_ok() {}
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let path = self.path.clone();
        let unmount = async move { output_of(command("umount").arg("-l").arg(path)).await };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(unmount));
    }
}
