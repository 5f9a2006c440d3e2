//! `fluxhls migrate` and `fluxhls rebuild`: the tables.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use sea_orm::DatabaseConnection;

use crate::config::{DatabaseArgs, NatsArgs};
use crate::jetstream::{Log, Nats};
use crate::project;

/// What `migrate` takes.
#[derive(Debug, Subcommand)]
pub(super) enum MigrateCommand {
    /// Create the tables, or take over those of FluxStudio, losing nothing.
    Up {
        /// Also drop FluxStudio's two monitoring views and its clean-up function, which metrics and `jobs` replace.
        #[arg(long)]
        drop_views: bool,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// List what is missing, and exit with 4 if anything is.
    Status {
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

/// What `rebuild` takes.
#[derive(Debug, Args)]
pub(super) struct RebuildArgs {
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Connects to the database of the arguments.
pub(super) async fn open(args: &DatabaseArgs) -> anyhow::Result<DatabaseConnection> {
    let url = args.database_url.as_ref();
    project::connect(url.ok_or_else(|| anyhow::anyhow!("set DATABASE_URL (postgres:// or sqlite://)"))?).await
}

/// Brings the schema up to date, or tells what is missing.
///
/// # Errors
/// What the database refused.
pub(super) async fn migrate(command: MigrateCommand) -> anyhow::Result<ExitCode> {
    match command {
        MigrateCommand::Up { drop_views, database } => {
            let database = open(&database).await?;
            migration::up(&database).await?;
            if drop_views {
                migration::drop_views(&database).await?;
            }
            println!("the database is up to date");
            Ok(ExitCode::SUCCESS)
        }
        MigrateCommand::Status { database } => {
            let pending = migration::pending(&open(&database).await?).await?;
            for name in &pending {
                println!("missing: {name}");
            }
            Ok(if pending.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(super::DIFFERENT)
            })
        }
    }
}

/// Writes the tables anew from the job log.
///
/// # Errors
/// What could not be read or written; the tables are then as they were.
pub(super) async fn rebuild(args: RebuildArgs) -> anyhow::Result<ExitCode> {
    let log = Log::new(Nats::connect(&args.nats.settings("fluxhls rebuild")).await?);
    let database = open(&args.database).await?;
    let rebuilt = project::rebuild(&database, &log).await?;
    println!("{rebuilt}");
    Ok(ExitCode::SUCCESS)
}
