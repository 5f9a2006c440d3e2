//! `fluxhls migrate` and `fluxhls rebuild`: the tables.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jetstream::{Log, Nats};
use migration::Schema;

use crate::config::{DatabaseArgs, NatsArgs};
use crate::pipeline::project::error_text::describe_error;
use crate::pipeline::project::{self, Database};

/// Arguments of `migrate`.
#[derive(Debug, Subcommand)]
pub(super) enum MigrateCommand {
    /// Create the tables, or adopt those of FluxStudio without losing data.
    Up {
        /// Also drop FluxStudio's two monitoring views and its clean-up function, which metrics and
        /// `jobs` replace.
        #[arg(long)]
        drop_views: bool,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Print the state of the schema and whether the tables can be written; exit with 4 if anything
    /// is missing.
    Status {
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

/// Arguments of `rebuild`.
#[derive(Debug, Args)]
pub(super) struct RebuildArgs {
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Connects to the database of the arguments.
///
/// # Errors
/// When the database is not set or cannot be reached.
pub(super) async fn connect(args: &DatabaseArgs) -> anyhow::Result<Database> {
    let settings = args.settings();
    Database::connect(
        &settings.ok_or_else(|| anyhow::anyhow!("set DATABASE_URL (postgres:// or sqlite://)"))?,
    )
    .await
}

/// Connects to a database whose tables this program can use.
///
/// # Errors
/// When the database is not set, cannot be reached, or has to be migrated first.
pub(super) async fn open_migrated(args: &DatabaseArgs) -> anyhow::Result<Database> {
    let database = connect(args).await?;
    let schema = database.schema().await?;
    anyhow::ensure!(schema.may_run(), "{schema}");
    Ok(database)
}

/// Brings the schema up to date, or prints what is missing.
///
/// # Errors
/// When the database refuses a change.
pub(super) async fn migrate(command: MigrateCommand) -> anyhow::Result<ExitCode> {
    match command {
        MigrateCommand::Up {
            drop_views,
            database,
        } => {
            let database = connect(&database).await?;
            let schema = database.migrate().await?;

            // That a program cannot run with the schema is no success, though nothing was to be
            // done.
            anyhow::ensure!(schema.may_run(), "{schema}");
            if drop_views {
                database.drop_views().await?;
            }

            match schema {
                Schema::Newer(_) => println!("{schema}; nothing was changed"),
                _ => println!("the database is up to date"),
            }
            Ok(ExitCode::SUCCESS)
        }
        MigrateCommand::Status { database } => status(&connect(&database).await?).await,
    }
}

/// Prints the state of the schema and whether its tables can be written.
async fn status(database: &Database) -> anyhow::Result<ExitCode> {
    let schema = database.schema().await?;
    if let Schema::Behind(missing) = &schema {
        for name in missing {
            println!("missing: {name}");
        }
        return Ok(ExitCode::from(super::EXIT_DIFFERENT));
    }

    println!("{schema}");
    if !schema.may_run() {
        return Ok(ExitCode::from(super::EXIT_DIFFERENT));
    }

    Ok(match database.check_write().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("the tables cannot be written: {}", describe_error(&error));
            ExitCode::from(super::EXIT_DIFFERENT)
        }
    })
}

/// Writes the tables again from the job log.
///
/// # Errors
/// When something cannot be read or written; the tables are then unchanged.
pub(super) async fn rebuild(args: RebuildArgs) -> anyhow::Result<ExitCode> {
    let log = Log::new(Nats::connect(&args.nats.settings("fluxhls rebuild")).await?);
    let database = open_migrated(&args.database).await?;
    let rebuilt = project::rebuild(&database, &log).await?;
    println!("{rebuilt}");
    Ok(ExitCode::SUCCESS)
}
