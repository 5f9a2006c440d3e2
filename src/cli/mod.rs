//! The command line: the commands and their arguments. What they do is in other modules.
//!
//! Exit codes: 0 done; 1 the command failed, and standard error says why; 2 the command line is
//! wrong; 3 the job failed or was canceled, or (`plan`) the file would be refused; 4 something
//! differs from the expected state (`provision --check`, `migrate status`, `doctor`, `verify`),
//! rows were left as they are (`adopt`), or the command does not apply (`jobs cancel`, `jobs
//! retry`, `dead retry`).

mod adopt;
mod database;
mod dead;
mod delete;
#[cfg(feature = "dev")]
mod dev;
mod doctor;
mod follow;
mod jobs;
mod open;
mod plan;
mod provision;
mod prune;
mod retry;
mod run;
pub mod schema;
mod submit;
mod terminal;
mod timeout;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sea_orm::DbErr;

use crate::config;
use crate::pipeline::project::error_text::describe_error;
use crate::telemetry::init_logs;

/// Exit code of a command whose job failed or was canceled.
pub const JOB_NOT_COMPLETED: u8 = 3;
/// Exit code of a check that found a difference.
pub const EXIT_DIFFERENT: u8 = 4;

/// fluxhls transcodes uploaded videos into HLS.
#[derive(Debug, Parser)]
#[command(name = "fluxhls", version, about, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    telemetry: config::TelemetryArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on this machine: NATS, SQLite, S3, all roles, and a page to drop files on.
    #[cfg(feature = "dev")]
    Dev(dev::DevArgs),
    /// Run roles of the service until SIGTERM.
    Run(run::RunArgs),
    /// Send a file, or the URL of one in a source bucket, to be transcoded.
    Submit(submit::SubmitArgs),
    /// Show, cancel and retry jobs; remove the rows and objects of old ones.
    #[command(subcommand)]
    Jobs(jobs::JobsCommand),
    /// Delete a file: end its jobs and remove all of its output.
    Delete(delete::DeleteArgs),
    /// Show and retry dead letters.
    #[command(subcommand)]
    Dead(dead::DeadCommand),
    /// Show the plan for a file, with reasons, without any service.
    Plan(plan::PlanArgs),
    /// Check a finished output again, object by object, and repair it.
    Verify(Box<verify::VerifyArgs>),
    /// Create or update the streams and consumers.
    Provision(provision::ProvisionArgs),
    /// Bring the database to the current schema.
    #[command(subcommand)]
    Migrate(database::MigrateCommand),
    /// Turn the unfinished rows of FluxStudio's worker into jobs.
    Adopt(adopt::AdoptArgs),
    /// Rebuild the tables from the job log.
    Rebuild(database::RebuildArgs),
    /// Print the machine-readable contract: JSON Schemas and AsyncAPI.
    Schema(schema::SchemaArgs),
    /// Check everything the service needs, and print what to do.
    Doctor(doctor::DoctorArgs),
}

/// An error and its causes in one line, with what to do. The text of a database error appears once,
/// and without the lines of its source.
#[must_use]
pub fn sentence(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        if let Some(database) = cause.downcast_ref::<DbErr>() {
            parts.push(describe_error(database));
            break;
        }

        // Many errors repeat their cause in their own words.
        let said = cause.to_string();
        if !parts.last().is_some_and(|last| last.contains(&said)) {
            parts.push(said);
        }
    }

    parts.join(": ")
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// Why it failed.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        #[cfg(debug_assertions)]
        crate::crash::arm(config::crash_points());

        let filter = match &self.command {
            // These talk to a person on the terminal; the log would talk between their lines.
            #[cfg(feature = "dev")]
            Command::Dev(args) if !args.verbose => config::quiet_log_filter(),
            Command::Run(_) => config::log_filter(),
            #[cfg(feature = "dev")]
            Command::Dev(_) => config::log_filter(),
            _ => config::quiet_log_filter(),
        };

        let collector = self.telemetry.collector().filter(|_| self.command.works());
        let traces = init_logs(self.telemetry.log_format, &filter, collector.as_ref())?;
        let outcome = self.command.run().await;
        // The last spans leave before the process does.
        traces.flush().await;
        outcome
    }
}

impl Command {
    /// Whether it does the service's work, which traces show.
    const fn works(&self) -> bool {
        match self {
            Self::Run(_) => true,
            #[cfg(feature = "dev")]
            Self::Dev(_) => true,
            _ => false,
        }
    }

    async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            #[cfg(feature = "dev")]
            Self::Dev(args) => dev::dev(args).await,
            Self::Run(args) => run::run(args).await,
            Self::Submit(args) => submit::submit(args).await,
            Self::Jobs(command) => jobs::jobs(command).await,
            Self::Delete(args) => delete::delete(args).await,
            Self::Dead(command) => dead::dead(command).await,
            Self::Plan(args) => plan::plan(args).await,
            Self::Verify(args) => verify::verify(*args).await,
            Self::Provision(args) => provision::provision(args).await,
            Self::Migrate(command) => database::migrate(command).await,
            Self::Adopt(args) => adopt::adopt(args).await,
            Self::Rebuild(args) => database::rebuild(args).await,
            Self::Schema(args) => schema::schema(&args),
            Self::Doctor(args) => doctor::doctor(args).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn an_error_and_its_causes_are_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read the file: {0}")]
        struct Unreadable(#[from] std::io::Error);

        let error = Unreadable(std::io::Error::other("it is gone"));
        let error = anyhow::Error::from(error).context("job j was not sent");
        assert_eq!(
            sentence(&error),
            "job j was not sent: cannot read the file: it is gone"
        );

        let error =
            anyhow::Error::from(DbErr::Migration("run it again".to_owned())).context("the tables");
        assert_eq!(sentence(&error), "the tables: run it again");
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
