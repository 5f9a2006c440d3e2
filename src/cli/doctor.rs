//! `fluxhls doctor`: everything the service needs, one line each, with what to do.

use std::fmt::Display;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use streams::provision;

use crate::admission::{Ledger, Need, Resource};
use crate::config::{DatabaseArgs, LadderArgs, NatsArgs, StorageArgs, WorkerArgs};
use crate::ffmpeg::sandbox::Support;
use crate::jetstream::Nats;
use crate::storage::{Bucket, SourceSettings, Storage};
use crate::workshop::Workshop;

/// What `doctor` takes.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Mend what can be mended: create streams, run migrations, allow playback from `--origin`.
    #[arg(long)]
    fix: bool,
    /// Origins of pages that play from the bucket, for its CORS rules.
    #[arg(long, value_delimiter = ',')]
    origin: Vec<String>,
    /// One JSON object per line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    storage: StorageArgs,
    #[command(flatten)]
    worker: WorkerArgs,
    #[command(flatten)]
    ladder: LadderArgs,
}

/// Collects and prints findings.
struct Report {
    json: bool,
    healthy: bool,
}

impl Report {
    fn tell(&mut self, what: &str, found: Result<String, String>) {
        let (state, text) = match &found {
            Ok(text) => ("ok", text),
            Err(text) => ("fix", text),
        };
        self.healthy &= found.is_ok();
        if self.json {
            println!("{}", json!({ "check": what, "state": state, "text": text }));
        } else {
            println!("{state:<4} {what:<12} {text}");
        }
    }
}

/// Checks, and mends with `--fix`.
///
/// # Errors
/// Never for what is merely unwell; that is what the report is for.
pub(super) async fn doctor(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let mut report = Report {
        json: args.json,
        healthy: true,
    };
    report.tell("ffmpeg", ffmpeg(&args.worker).await);
    report.tell("profiles", profiles(&args).await);
    report.tell("sandbox", sandbox());
    report.tell(
        "work folder",
        Workshop::open(&args.worker.work_dir())
            .map(|_| "can be written".to_owned())
            .map_err(text),
    );
    report.tell("room", room(&args));
    report.tell("streams", streams(&args).await);
    report.tell("database", database(&args).await);
    let storage = Storage::connect(&args.storage.settings()).await;
    let bucket = storage.bucket(&args.storage.s3_bucket);
    let canary = bucket.canary(&args.storage.output_root).await;
    report.tell(
        "bucket",
        canary
            .map(|()| format!("{} can be written, read and listed", bucket.name()))
            .map_err(text),
    );
    if !args.origin.is_empty() {
        report.tell("cors", cors(&bucket, &args).await);
    }
    Ok(if report.healthy {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::DIFFERENT)
    })
}

fn text(error: impl Display) -> String {
    error.to_string()
}

async fn ffmpeg(args: &WorkerArgs) -> Result<String, String> {
    let tool = args.tool.locate().map_err(text)?;
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

/// Whether a usual task fits here. Larger ones are told by the worker that meets them.
fn room(args: &DoctorArgs) -> Result<String, String> {
    let workshop = Workshop::open(&args.worker.work_dir()).map_err(text)?;
    let cache = SourceSettings::default()
        .cache_bytes
        .min(args.worker.capacity().memory() / 8);
    let ledger = Ledger::new(args.worker.capacity(), workshop.folder(), cache);
    let room = ledger.room().map_err(text)?;
    let megabytes = |resource| room.now.of(resource) / 1_000_000;
    let found = format!(
        "{} MB of disk and {} MB of memory for tasks",
        megabytes(Resource::Disk),
        megabytes(Resource::Memory)
    );
    match room.taken_for(Need::USUAL, Need::default()) {
        None => Ok(found),
        Some(resource) => Err(format!(
            "{found}: a chunk of a 1080p video needs {} MB of {resource}; free some, or raise {}",
            Need::USUAL.of(resource) / 1_000_000,
            resource.setting()
        )),
    }
}

fn sandbox() -> Result<String, String> {
    let gaps = Support::here().gaps();
    if gaps.is_empty() {
        return Ok("ffmpeg reaches its task's folder and its source alone, and dies with its worker".to_owned());
    }
    Err(gaps.join("; "))
}

async fn profiles(args: &DoctorArgs) -> Result<String, String> {
    let profiles = args.ladder.profiles().map_err(|error| format!("{error:#}"))?;
    let tool = args.worker.tool.locate().map_err(text)?;
    crate::ffmpeg::trial::profiles(&tool, &profiles).await.map_err(text)?;
    let names: Vec<&str> = profiles.iter().map(|profile| profile.name.as_str()).collect();
    Ok(format!("{} can be encoded here", names.join(", ")))
}

async fn streams(args: &DoctorArgs) -> Result<String, String> {
    let nats = Nats::connect(&args.nats.settings("fluxhls doctor"))
        .await
        .map_err(text)?;
    let version = nats.client.server_info().version.clone();
    if args.fix {
        provision::apply(&nats.js, args.nats.sizing()).await.map_err(text)?;
    }
    let drifts = provision::check(&nats.js, args.nats.sizing()).await.map_err(text)?;
    if drifts.is_empty() {
        return Ok(format!(
            "nats-server {version}; a single server needs `sync_interval: always`, which cannot be seen from here"
        ));
    }
    Err(drifts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

async fn database(args: &DoctorArgs) -> Result<String, String> {
    let database = super::database::open(&args.database).await.map_err(text)?;
    if args.fix {
        migration::up(&database).await.map_err(text)?;
    }
    let pending = migration::pending(&database).await.map_err(text)?;
    if pending.is_empty() {
        return Ok("the schema is current".to_owned());
    }
    Err(format!("lacks {}; run `fluxhls migrate up`", pending.join(", ")))
}

async fn cors(bucket: &Bucket, args: &DoctorArgs) -> Result<String, String> {
    if args.fix {
        bucket.put_cors(&args.origin).await.map_err(text)?;
    }
    let rules = bucket.cors().await.map_err(text)?;
    let refused: Vec<&str> = args
        .origin
        .iter()
        .filter(|origin| !rules.iter().any(|rule| rule.lets_play(origin)))
        .map(String::as_str)
        .collect();
    if refused.is_empty() {
        return Ok("every origin may play".to_owned());
    }
    Err(format!(
        "the bucket refuses {}; run `fluxhls doctor --fix --origin {}`",
        refused.join(", "),
        args.origin.join(",")
    ))
}
