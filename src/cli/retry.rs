//! `fluxhls jobs retry`: a new job like an old one.

use std::process::ExitCode;

use anyhow::Context as _;
use async_nats::HeaderMap;
use clap::Args;
use serde_json::json;
use streams::fact::Accepted;
use streams::{FactKind, JobId, subject, topology};

use super::follow::{Shown, follow};
use super::jobs::answered;
use super::send::send;
use crate::config::NatsArgs;
use crate::jetstream::{Log, Nats};
use crate::job::retry;

/// What `jobs retry` takes.
#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    /// A job that has ended, whatever its outcome.
    job_id: JobId,
    /// Wait until the new job has ended; exit with 3 if it did not complete.
    #[arg(long)]
    wait: bool,
    /// One JSON object per line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    nats: NatsArgs,
}

/// Sends the event of a job again, for a new job.
///
/// # Errors
/// When the log does not know the job, or the event cannot be published.
pub(super) async fn retry(args: RetryArgs) -> anyhow::Result<ExitCode> {
    let log = Log::new(Nats::connect(&args.nats.settings("fluxhls jobs retry")).await?);
    let Some(old) = ended(&log, &args.job_id).await? else {
        println!(
            "job {} has not ended yet; `fluxhls jobs watch` follows it, `fluxhls jobs cancel` ends it",
            args.job_id
        );
        return Ok(ExitCode::from(super::DIFFERENT));
    };
    let job = JobId::fresh();
    let feed = follow(&log, &job, if args.json { Shown::Json } else { Shown::Bar }).await?;
    again(&log, &old, &job).await?;
    if args.json {
        let file = &old.head.file_id;
        println!("{}", json!({ "job_id": job, "file_id": file, "retry_of": args.job_id }));
    } else {
        println!("job {job} repeats job {}", args.job_id);
    }
    if !args.wait {
        return Ok(ExitCode::SUCCESS);
    }
    let ended = feed.until_ended().await?;
    Ok(if ended.manifest_url.is_some() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::JOB_NOT_COMPLETED)
    })
}

/// How a job began that has ended; nothing where it has not.
///
/// # Errors
/// When the log does not know it.
pub(super) async fn ended(log: &Log, job: &JobId) -> anyhow::Result<Option<Accepted>> {
    let fact = async |kind| answered(log.last(topology::JOBS, &subject::fact(job, kind))).await;
    let began = fact(FactKind::Accepted).await?;
    let began = began.with_context(|| format!("the log knows no job {job}; send its upload event again"))?;
    let has_ended = fact(FactKind::Ended).await?.is_some();
    let accepted = serde_json::from_slice(&began.payload).context("the beginning of the job cannot be read")?;
    Ok(has_ended.then_some(accepted))
}

/// Publishes the event of `job`, which repeats `old`.
///
/// # Errors
/// When no stream takes it.
pub(super) async fn again(log: &Log, old: &Accepted, job: &JobId) -> anyhow::Result<()> {
    let event = retry::event(old, job).to_string();
    answered(send(log, subject::UPLOAD, HeaderMap::new(), event.into())).await??;
    Ok(())
}
