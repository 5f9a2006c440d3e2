//! `fluxhls doctor`: everything the service needs, one line each, with what to do.

mod bucket;
mod finding;
mod machine;
mod nats;
mod public;

use std::process::ExitCode;

use clap::Args;
use migration::Schema;
use sea_orm::DbErr;

use self::finding::{CHECK_TIMEOUT, Finding, State, with_timeout};
use crate::config::{DatabaseArgs, LadderArgs, NatsArgs, StorageArgs, WorkerArgs};
use crate::pipeline::project::error_text::describe_error;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Repair what can be repaired: create streams, run migrations, allow playback from `--origin`.
    #[arg(long)]
    fix: bool,
    /// Origins of pages that play from the bucket, for its CORS rules.
    #[arg(long, value_delimiter = ',')]
    origin: Vec<String>,
    /// Print one JSON object per line.
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

/// Checks every part, and repairs with `--fix`. Each part is checked independently of the others.
///
/// # Errors
/// Never for a problem that is found; the report names it.
pub(super) async fn doctor(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let mut healthy = true;
    let mut tell = |findings: Vec<Finding>| {
        for finding in findings {
            healthy &= finding.state != State::Fix;
            if args.json {
                println!("{}", finding.json());
            } else {
                println!("{finding}");
            }
        }
    };

    tell(machine::check(&args.worker, &args.ladder).await);
    tell(with_timeout("nats", CHECK_TIMEOUT, nats::check(&args.nats, args.fix)).await);
    tell(with_timeout("database", CHECK_TIMEOUT, check_database(&args)).await);
    tell(bucket::check(&args.storage, &args.origin, args.fix).await);

    Ok(if healthy {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::EXIT_DIFFERENT)
    })
}

/// Whether the tables exist and can be written; otherwise with the error of the database.
async fn check_database(args: &DoctorArgs) -> Vec<Finding> {
    const CHECK: &str = "database";
    let database = match super::database::connect(&args.database).await {
        Ok(database) => database,
        Err(error) => return vec![Finding::fix(CHECK, error.to_string())],
    };

    let looked = async {
        let schema = if args.fix {
            database.migrate().await?
        } else {
            database.schema().await?
        };
        if schema.may_run() {
            database.check_write().await?;
        }
        Ok::<_, DbErr>(schema)
    };

    vec![match looked.await {
        Ok(schema @ Schema::Current) => {
            Finding::ok(CHECK, format!("{schema}, and the tables can be written"))
        }
        Ok(schema @ Schema::Newer(_)) => Finding::warning(CHECK, schema.to_string()),
        Ok(schema) => Finding::fix(CHECK, schema.to_string()),
        Err(error) => Finding::fix(
            CHECK,
            format!("the tables cannot be used: {}", describe_error(&error)),
        ),
    }]
}
