//! `fluxhls jobs`: shows jobs from the tables and the log.

use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use jetstream::{Log, Nats};
use sea_orm::DatabaseTransaction;
use serde::Serialize;
use streams::{JobId, subject, topology};

use super::follow::{ShownUpdate, follow};
use super::open;
use super::prune::{PruneArgs, prune};
use super::retry::{RetryArgs, retry};
use super::terminal;
use super::timeout::answered;
use crate::config::{DatabaseArgs, NatsArgs, StorageArgs, WorkerArgs};
use crate::job::cancel::{CancelAnswer, cancel_job};
use crate::pipeline::project::jobs::{self as table, Filter, Job, Stats};

/// Commands on jobs.
#[derive(Debug, Subcommand)]
pub(super) enum JobsCommand {
    /// List the newest jobs, from the tables.
    List {
        /// Only jobs with this status.
        #[arg(long, conflicts_with = "active")]
        status: Option<String>,
        /// Only jobs that have not ended, the oldest first.
        #[arg(long)]
        active: bool,
        /// Largest number of jobs to list.
        #[arg(long, default_value_t = 50)]
        limit: u64,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Show everything the log has about one job.
    Show {
        /// The job.
        job_id: JobId,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        nats: NatsArgs,
    },
    /// List the last jobs that ended, from the tables.
    History {
        /// Largest number of jobs to list.
        #[arg(long, default_value_t = 100)]
        limit: u64,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Show counts and the mean duration of the last seven days, from the tables.
    Stats {
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Follow a job until it has ended; exit with 3 if it did not complete.
    Watch {
        /// The job.
        job_id: JobId,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        nats: NatsArgs,
    },
    /// Cancel a job, queued or running.
    Cancel(Box<CancelArgs>),
    /// Start a new job like one that has ended; exit with 4 if it has not ended.
    Retry(RetryArgs),
    /// Remove rows of old jobs, and objects that are no longer needed.
    Prune(Box<PruneArgs>),
}

/// Arguments of `jobs cancel`.
#[derive(Debug, Args)]
pub(super) struct CancelArgs {
    /// The job.
    job_id: JobId,
    /// The reason, for the log.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    storage: StorageArgs,
    #[command(flatten)]
    worker: WorkerArgs,
}

/// How results are printed.
#[derive(Debug, Args)]
pub(super) struct Output {
    /// Print JSON instead of a table.
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs the command.
///
/// # Errors
/// When a service cannot be reached, or there is no such job.
pub(super) async fn jobs(command: JobsCommand) -> anyhow::Result<ExitCode> {
    match command {
        JobsCommand::List {
            status,
            active,
            limit,
            output,
            database,
        } => {
            let tables = read_tables(&database).await?;
            let filter = Filter {
                status,
                limit: Some(limit),
                ..Filter::default()
            };

            let found = if active {
                table::active(&tables, Some(limit)).await?
            } else {
                table::list(&tables, &filter).await?
            };
            print_jobs(&found, &output)?;
        }
        JobsCommand::History {
            limit,
            output,
            database,
        } => {
            let tables = read_tables(&database).await?;
            print_jobs(&table::history(&tables, limit).await?, &output)?;
        }
        JobsCommand::Stats { output, database } => {
            let tables = read_tables(&database).await?;
            print_stats(&table::stats(&tables, Utc::now()).await?, &output)?;
        }
        JobsCommand::Show {
            job_id,
            output,
            nats,
        } => print_job(&job_id, &output, &nats).await?,
        JobsCommand::Watch {
            job_id,
            output,
            nats,
        } => return watch_jobs(&job_id, &output, &nats).await,
        JobsCommand::Cancel(args) => return cancel(*args).await,
        JobsCommand::Retry(args) => return retry(args).await,
        JobsCommand::Prune(args) => return prune(*args).await,
    }

    Ok(ExitCode::SUCCESS)
}

/// Opens the tables for reading.
async fn read_tables(args: &DatabaseArgs) -> anyhow::Result<DatabaseTransaction> {
    let database = super::database::open_migrated(args).await?;
    Ok(database.read().await?)
}

/// Prints the number of jobs by status, and their mean duration.
fn print_stats(stats: &Stats, output: &Output) -> anyhow::Result<()> {
    if output.json {
        println!("{}", serde_json::to_string(stats)?);
        return Ok(());
    }

    for (status, count) in &stats.jobs {
        println!("{status:<12} {count}");
    }
    let mean = stats
        .mean_seconds
        .map_or("-".to_owned(), |seconds| format!("{seconds:.1}"));
    println!("mean seconds {mean}");
    Ok(())
}

/// Prints rows of `transcoding_jobs` with the names of their files.
pub(super) fn print_jobs(jobs: &[Job], output: &Output) -> anyhow::Result<()> {
    if output.json {
        println!("{}", terminal::json(&jobs)?);
    } else {
        println!("{}", jobs_table(jobs));
    }
    Ok(())
}

/// Rows of `transcoding_jobs` as a table for people.
pub(super) fn jobs_table(jobs: &[Job]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "job", "file", "name", "status", "%", "created", "seconds", "result",
    ]);

    for job in jobs {
        table.add_row([
            job.job_id.clone(),
            job.file_id.clone(),
            terminal::plain(job.file_name.as_deref().unwrap_or_default()),
            job.status.clone(),
            job.progress.to_string(),
            job.created_at
                .map(|at| at.format("%Y-%m-%d %H:%M:%S").to_string())
                .unwrap_or_default(),
            job.duration_seconds
                .map(|seconds| format!("{seconds:.1}"))
                .unwrap_or_default(),
            terminal::plain(
                job.error_message
                    .as_deref()
                    .or(job.manifest_url.as_deref())
                    .unwrap_or_default(),
            ),
        ]);
    }

    table
}

/// One message of a job's log.
#[derive(Debug, Serialize)]
struct Line {
    seq: u64,
    time: DateTime<Utc>,
    subject: String,
    body: serde_json::Value,
}

async fn print_job(job: &JobId, output: &Output, nats: &NatsArgs) -> anyhow::Result<()> {
    let log = Log::new(Nats::connect(&nats.settings("fluxhls jobs show")).await?);
    let mut lines = answered(job_lines(&log, job)).await?;
    anyhow::ensure!(
        !lines.is_empty(),
        "the log has no job {job}; jobs older than 90 days are only in the tables"
    );

    // Each of the two streams counts its own sequences, so the time comes first.
    lines.sort_by_key(|line| (line.time, line.seq));
    for line in lines {
        if output.json {
            println!("{}", terminal::json(&line)?);
        } else {
            let body: String = terminal::json(&line.body)?.chars().take(160).collect();
            println!(
                "{}  {:<44}  {body}",
                line.time.format("%H:%M:%S%.3f"),
                line.subject
            );
        }
    }
    Ok(())
}

/// Everything both streams hold about a job.
async fn job_lines(log: &Log, job: &JobId) -> Vec<Line> {
    let mut lines = Vec::new();
    for (stream, filter) in [
        (topology::JOBS, subject::facts_of(job)),
        (topology::WORK, subject::work_of(job)),
    ] {
        for subject in log.subjects(stream, &filter).await.into_keys() {
            let Some(found) = log.last(stream, &subject).await else {
                continue;
            };

            let body = serde_json::from_slice(&found.payload).unwrap_or_default();
            lines.push(Line {
                seq: found.seq,
                time: found.time,
                subject,
                body,
            });
        }
    }

    lines
}

async fn watch_jobs(job: &JobId, output: &Output, nats: &NatsArgs) -> anyhow::Result<ExitCode> {
    let log = Log::new(Nats::connect(&nats.settings("fluxhls jobs watch")).await?);
    let shown = if output.json {
        ShownUpdate::Json
    } else {
        ShownUpdate::Bar
    };
    let feed = follow(&log, job, shown).await?;

    // `until_ended` would wait forever for a job that does not exist.
    let known = answered(log.subjects(topology::JOBS, &subject::facts_of(job))).await?;
    anyhow::ensure!(!known.is_empty(), "the log has no job {job}");

    let ended = feed.wait_until_ended().await?;
    if output.json {
        println!("{}", terminal::json(&ended)?);
    }

    Ok(if ended.manifest_url.is_some() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::JOB_NOT_COMPLETED)
    })
}

async fn cancel(args: CancelArgs) -> anyhow::Result<ExitCode> {
    let jobs = open::jobs(
        "fluxhls jobs cancel",
        &args.nats,
        &args.storage,
        &args.worker,
    )
    .await?;

    let canceled = answered(cancel_job(&jobs, &args.job_id, "operator", args.reason)).await?;
    match canceled.context("the job was asked to stop but has not ended yet")? {
        CancelAnswer::Canceled => {
            println!("canceled");
            Ok(ExitCode::SUCCESS)
        }
        CancelAnswer::TooLate => {
            println!("too late: the result of the job is already decided");
            Ok(ExitCode::from(super::EXIT_DIFFERENT))
        }
        CancelAnswer::Unknown => anyhow::bail!("the log has no job {}", args.job_id),
    }
}
