//! This machine: ffmpeg, profiles, sandbox, work folder, free disk and memory.

use ffmpeg::sandbox::Support;
use storage::SourceSettings;

use super::finding::Finding;
use crate::config::{LadderArgs, WorkerArgs};
use crate::worker::admission::{Resource, ResourceBudget, ResourceRequirements};
use crate::worker::work_dir::WorkDir;

/// Checks everything that a task needs from the machine.
pub(super) async fn check(worker: &WorkerArgs, ladder: &LadderArgs) -> Vec<Finding> {
    vec![
        Finding::of("ffmpeg", check_ffmpeg(worker).await),
        Finding::of("profiles", check_profiles(worker, ladder).await),
        check_sandbox(),
        Finding::of(
            "work folder",
            WorkDir::open(&worker.work_dir())
                .map(|_| format!("{} can be written", worker.work_dir().display())),
        ),
        Finding::of("room", check_disk(worker)),
    ]
}

async fn check_ffmpeg(worker: &WorkerArgs) -> Result<String, String> {
    let text = |error: ffmpeg::tool::ToolError| error.to_string();
    let tool = worker.tool.locate().map_err(text)?;
    let version = tool.version().await.map_err(text)?;
    let missing = tool.missing().await.map_err(text)?;

    if missing.is_empty() {
        return Ok(format!("{version} has every encoder and filter"));
    }
    Err(format!(
        "{version} lacks {}; install a full build (Debian: apt install ffmpeg)",
        missing.join(", ")
    ))
}

async fn check_profiles(worker: &WorkerArgs, ladder: &LadderArgs) -> anyhow::Result<String> {
    let profiles = ladder.profiles()?;
    let tool = worker.tool.locate()?;
    ffmpeg::encoder_check::profiles(&tool, &profiles).await?;
    let names: Vec<&str> = profiles
        .iter()
        .map(|profile| profile.name.as_str())
        .collect();
    Ok(format!("{} can be encoded here", names.join(", ")))
}

fn check_sandbox() -> Finding {
    let gaps = Support::here().gaps();
    if gaps.is_empty() {
        let text =
            "ffmpeg can access only its task's folder and its source, and ends with its worker";
        return Finding::ok("sandbox", text);
    }
    Finding::warning("sandbox", gaps.join("; "))
}

/// Whether a usual task fits here. Larger ones are reported by the worker that meets them.
fn check_disk(worker: &WorkerArgs) -> Result<String, String> {
    let work_dir = WorkDir::open(&worker.work_dir()).map_err(|error| error.to_string())?;
    // As the service does: the cache of sources takes at most an eighth of the memory.
    let cache = SourceSettings::default()
        .cache_bytes
        .min(worker.capacity().memory() / 8);
    let budget = ResourceBudget::new(worker.capacity(), work_dir.path(), cache);
    let room = budget
        .available_capacity()
        .map_err(|error| error.to_string())?;

    let megabytes = |resource| room.now.of(resource) / 1_000_000;
    let found = format!(
        "{} MB of disk and {} MB of memory for tasks",
        megabytes(Resource::Disk),
        megabytes(Resource::Memory)
    );

    match room.taken_for(ResourceRequirements::USUAL, ResourceRequirements::default()) {
        None => Ok(found),
        Some(resource) => Err(format!(
            "{found}: a chunk of a 1080p video needs {} MB of {resource}; free some, or raise {}",
            ResourceRequirements::USUAL.of(resource) / 1_000_000,
            resource.setting()
        )),
    }
}
