//! `fluxhls verify`: checks a finished output again, and repairs it with `--repair`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jetstream::{Log, Nats};
use serde_json::json;
use storage::{BlockCache, Bucket, SourceSettings, Storage};
use streams::{FileId, JobId, OutputPrefix};

use super::timeout::answered;
use crate::config::{NatsArgs, StorageArgs, WorkerArgs};
use crate::job::{CircuitBreaker, JobSettings, Jobs, WorkerContext};
use crate::operations::repair::{
    Damage, PublicOutput, RepairReport, Repairer, find_public_output, receipt_from_log, scan,
};
use crate::worker::admission::{Capacity, ResourceBudget};
use crate::worker::work_dir::WorkDir;

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The file.
    file_id: FileId,
    /// The prefix of its output; default: the folder of the file under `OUTPUT_ROOT`.
    #[arg(long)]
    output_prefix: Option<OutputPrefix>,
    /// Replace damaged objects by new ones.
    #[arg(long)]
    repair: bool,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    storage: StorageArgs,
    #[command(flatten)]
    worker: WorkerArgs,
}

/// Reads every object of a file's output again. Exit codes: 0 the output is intact or was repaired;
/// 4 something is damaged; 1 the output could not be checked, or the repair failed.
///
/// # Errors
/// When a service cannot be reached, or the output cannot be checked.
pub(super) async fn verify(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let storage = Storage::connect(&args.storage.settings()).await;
    let bucket = storage.bucket(&args.storage.s3_bucket);
    let jobs = jobs(&args, &bucket).await?;

    let prefix = match &args.output_prefix {
        Some(prefix) => prefix.clone(),
        None => OutputPrefix::of_file(&args.storage.output_root, &args.file_id)?,
    };
    let owner = match &jobs {
        Some(jobs) => answered(jobs.owner(&prefix)).await??,
        None => None,
    };

    let from_log = async |job: &JobId| receipt_from_log(jobs.as_ref()?, job).await;
    let found = find_public_output(&bucket, &prefix, &args.file_id, owner, from_log).await?;
    let damages = scan(&bucket, &found).await?;
    print_report(&args, &found, &damages);

    if damages.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let Some(jobs) = jobs.clone().filter(|_| args.repair) else {
        return Ok(ExitCode::from(super::EXIT_DIFFERENT));
    };

    let mended = create_repairer(&args, jobs, storage)
        .await?
        .repair(found, damages)
        .await?;

    // The bucket is read again: the result is about what is there now, not about what the repair
    // intended.
    let left = scan(&bucket, &mended.found).await?;
    print_repair(&args, &mended, &left);

    Ok(if left.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::EXIT_DIFFERENT)
    })
}

/// Access to the log. Without it an output can be checked against its receipt, but not repaired.
async fn jobs(args: &VerifyArgs, bucket: &Bucket) -> anyhow::Result<Option<Jobs>> {
    let worker = args.worker.worker_name();
    let nats = match Nats::connect(&args.nats.settings("fluxhls verify")).await {
        Ok(nats) => nats,
        // A repair becomes public by compare-and-set on the log, so it cannot do without.
        Err(error) if args.repair => return Err(error.into()),
        Err(error) => {
            eprintln!("{error}; using the content of the bucket instead");
            return Ok(None);
        }
    };

    Ok(Some(Jobs {
        log: Log::new(nats),
        output: bucket.clone(),
        settings: JobSettings {
            worker,
            public_base_url: args.storage.public_base_url(),
            live_base_url: args.storage.live_base_url(),
            output_root: args.storage.output_root.clone(),
            source_wait: Duration::from_secs(args.worker.source_wait),
            retry_delay: Duration::from_secs(args.worker.retry_delay),
        },
        breaker: CircuitBreaker::default(),
    }))
}

async fn create_repairer(
    args: &VerifyArgs,
    jobs: Jobs,
    storage: Storage,
) -> anyhow::Result<Repairer> {
    let tool = args.worker.tool.locate()?;
    let ffmpeg_version = tool.version().await?;
    let work_dir = Arc::new(WorkDir::open(&args.worker.work_dir())?);
    // Nothing else runs in this process, so its resources are not shared.
    let budget = ResourceBudget::new(Capacity::default(), work_dir.path(), 0);

    let context = WorkerContext {
        jobs,
        storage,
        cache: BlockCache::new(SourceSettings::default()),
        tool,
        ffmpeg_version,
        work_dir,
        budget,
        limits: args.worker.limits.limits(),
    };
    Ok(Repairer { context })
}

fn print_report(args: &VerifyArgs, found: &PublicOutput, damages: &[Damage]) {
    // Master is read as well, and is no object of the receipt.
    let (job, number) = (&found.receipt.job_id, found.receipt.objects.len() + 1);
    let state = if damages.is_empty() {
        "sound"
    } else {
        "damaged"
    };
    verify_each(args, damages);

    if args.json {
        println!(
            "{}",
            json!({ "state": state, "job_id": job, "file_id": args.file_id, "revision": found.receipt.revision,
                    "objects": number, "damaged": damages.len() })
        );
    } else {
        println!(
            "{state}: {} of {number} objects of job {job} are damaged",
            damages.len()
        );
    }
}

fn print_repair(args: &VerifyArgs, mended: &RepairReport, left: &[Damage]) {
    let failure = mended.given_up.as_ref().map(|(_, failure)| failure);
    let revision = mended.found.receipt.revision;
    verify_each(args, left);

    if args.json {
        println!(
            "{}",
            json!({ "state": if left.is_empty() { "mended" } else { "damaged" }, "revision": revision,
                    "mended": mended.mended, "damaged": left.len(),
                    "error": failure.map(|failure| json!({ "code": failure.code, "message": failure.message })) })
        );
        return;
    }

    println!(
        "repaired: {} objects, {} are left",
        mended.mended.len(),
        left.len()
    );
    if let Some(failure) = failure {
        println!("{}: {}", failure.code, failure.message);
    }
}

fn verify_each(args: &VerifyArgs, damages: &[Damage]) {
    for damage in damages {
        if args.json {
            println!("{}", json!(damage));
        } else {
            println!("{damage}");
        }
    }
}
