//! `fluxhls jobs retry`: a new job like an old one.

use std::process::ExitCode;

use clap::Args;
use jetstream::{Log, Nats};
use serde_json::json;
use streams::JobId;

use super::follow::{ShownUpdate, follow};
use super::timeout::answered;
use crate::config::NatsArgs;
use crate::job::retry::{JobToRetry, find_job_to_retry, publish_retry};

/// Arguments of `jobs retry`.
#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    /// A job that has ended, whatever its outcome.
    job_id: JobId,
    /// Wait until the new job has ended; exit with 3 if it did not complete.
    #[arg(long)]
    wait: bool,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    nats: NatsArgs,
}

/// Sends the event of a job again, for a new job.
///
/// # Errors
/// When the log does not have the job, or the event cannot be published.
pub(super) async fn retry(args: RetryArgs) -> anyhow::Result<ExitCode> {
    let log = Log::new(Nats::connect(&args.nats.settings("fluxhls jobs retry")).await?);
    let old = match answered(find_job_to_retry(&log, &args.job_id)).await? {
        JobToRetry::Ended(old) => old,
        JobToRetry::Open => {
            println!(
                "job {} has not ended yet; `fluxhls jobs watch` follows it, `fluxhls jobs cancel` ends it",
                args.job_id
            );
            return Ok(ExitCode::from(super::EXIT_DIFFERENT));
        }
        JobToRetry::Unread(unread) => return Err(unread.into()),
        JobToRetry::Unknown => anyhow::bail!(
            "the log has no job {}; send its upload event again",
            args.job_id
        ),
    };

    let job = JobId::fresh();
    // The live feed is opened before the event is sent, so that nothing of the job is missed.
    let feed = follow(
        &log,
        &job,
        if args.json {
            ShownUpdate::Json
        } else {
            ShownUpdate::Bar
        },
    )
    .await?;
    answered(publish_retry(&log, &old, &job)).await??;

    if args.json {
        let file = &old.head.file_id;
        println!(
            "{}",
            json!({ "job_id": job, "file_id": file, "retry_of": args.job_id })
        );
    } else {
        println!("job {job} repeats job {}", args.job_id);
    }

    if !args.wait {
        return Ok(ExitCode::SUCCESS);
    }

    let ended = feed.wait_until_ended().await?;
    Ok(if ended.manifest_url.is_some() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::JOB_NOT_COMPLETED)
    })
}
