//! `fluxhls adopt`: turns the unfinished rows of FluxStudio's worker into jobs.

use std::process::ExitCode;

use anyhow::Context as _;
use async_nats::HeaderMap;
use chrono::{TimeDelta, Utc};
use clap::Args;
use jetstream::{Log, Nats, send};
use serde_json::json;
use storage::Locator;
use streams::{FactKind, JobId, subject, topology, upload};

use super::terminal;
use super::timeout::answered;
use crate::config::{DatabaseArgs, NatsArgs, StorageArgs};
use crate::pipeline::project::Database;
use crate::pipeline::project::adoption::{self, Orphan};

/// Arguments of `adopt`.
#[derive(Debug, Args)]
pub(super) struct AdoptArgs {
    /// Change nothing; print what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Seconds after which a job that is `processing` counts as stuck: the old worker leaves no
    /// other sign when it dies. Use 0 when it is stopped.
    #[arg(long, default_value_t = 3600)]
    stuck_after: u32,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    storage: StorageArgs,
}

/// What happens to a row.
#[derive(Debug, PartialEq, Eq)]
enum AdoptionOutcome {
    /// Its event is sent.
    Sent,
    /// Its event was already sent.
    Known,
    /// Its file is marked as deleted.
    Deleted,
    /// Its job would fail at once, so the row is left for an operator.
    Left(String),
}

impl AdoptionOutcome {
    const fn word(&self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Known => "known",
            Self::Deleted => "deleted",
            Self::Left(_) => "left",
        }
    }
}

/// Sends an upload event for each row that waits for the old worker.
///
/// # Errors
/// When a service cannot be reached. Events sent before that stay sent, and it is safe to run this
/// again.
pub(super) async fn adopt(args: AdoptArgs) -> anyhow::Result<ExitCode> {
    let log = Log::new(Nats::connect(&args.nats.settings("fluxhls adopt")).await?);
    let database = super::database::open_migrated(&args.database).await?;
    let locator = args.storage.locator()?;
    let adopter = Adopter {
        args: &args,
        log,
        database,
        locator,
    };

    let before = Utc::now() - TimeDelta::seconds(args.stuck_after.into());
    let (mut sent, mut left) = (0, 0);
    let orphans = adoption::orphans(&adopter.database.read().await?, before).await?;
    for id in orphans {
        let fate = adopter.adopt_file(&id).await.with_context(|| {
            format!("job {id} was not sent; {sent} were before it, and running this again continues from there")
        })?;
        match fate {
            Some(AdoptionOutcome::Sent) => sent += 1,
            Some(AdoptionOutcome::Left(_)) => left += 1,
            _ => {}
        }
    }

    if !args.json {
        let would = if args.dry_run { "would be" } else { "were" };
        println!("{sent} jobs {would} sent, {left} left as they are");
    }

    Ok(if left == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::EXIT_DIFFERENT)
    })
}

struct Adopter<'a> {
    args: &'a AdoptArgs,
    log: Log,
    database: Database,
    locator: Locator,
}

impl Adopter<'_> {
    /// Handles one row and prints the result; does nothing if the row no longer exists.
    async fn adopt_file(&self, id: &str) -> anyhow::Result<Option<AdoptionOutcome>> {
        // The row is read again, since it may have changed since the list was made.
        let Some(orphan) = adoption::orphan(&self.database.read().await?, id).await? else {
            return Ok(None);
        };

        let fate = self.adoption_outcome(&orphan).await?;
        if fate == AdoptionOutcome::Sent && !self.args.dry_run {
            let event = orphan.event().to_string();
            answered(send(
                &self.log,
                subject::UPLOAD,
                HeaderMap::new(),
                event.into(),
            ))
            .await??;
        }

        let why = match &fate {
            AdoptionOutcome::Left(why) => Some(why.as_str()),
            _ => None,
        };

        if self.args.json {
            let file = &orphan.job.file_id;
            println!(
                "{}",
                json!({ "job_id": id, "file_id": file, "action": fate.word(), "reason": why })
            );
        } else {
            let name = terminal::plain(&orphan.file.name);
            println!(
                "{:<8} {id}  {name}  {}",
                fate.word(),
                terminal::plain(why.unwrap_or_default())
            );
        }
        Ok(Some(fate))
    }

    async fn adoption_outcome(&self, orphan: &Orphan) -> anyhow::Result<AdoptionOutcome> {
        let Ok(job) = orphan.job.id.parse::<JobId>() else {
            return Ok(AdoptionOutcome::Left(
                "its id cannot be part of a subject".to_owned(),
            ));
        };

        if orphan.is_deleted() {
            return Ok(AdoptionOutcome::Deleted);
        }

        // The id of the row is the identity of its event: sent twice, it still makes one job.
        let accepted = subject::fact(&job, FactKind::Accepted);
        if answered(self.log.last(topology::JOBS, &accepted))
            .await?
            .is_some()
        {
            return Ok(AdoptionOutcome::Known);
        }

        Ok(match self.reason_to_skip(orphan) {
            Some(why) => AdoptionOutcome::Left(why),
            None => AdoptionOutcome::Sent,
        })
    }

    /// Why its event would be a dead letter, or its job fail at once; the rule is that of intake.
    fn reason_to_skip(&self, orphan: &Orphan) -> Option<String> {
        let body = orphan.event().to_string();
        match upload::read(None, body.as_bytes(), &self.args.storage.output_root) {
            Err(malformed) => Some(malformed.to_string()),
            // Intake would make a job of such an event, and end it at once as `invalid_event`.
            Ok(arrival) if !arrival.violations.is_empty() => Some(arrival.violations.join("; ")),
            Ok(arrival) => {
                let forbidden = self.locator.locate(&arrival.upload.file_url).err()?;
                Some(format!(
                    "{forbidden}; SOURCE_BUCKETS says which buckets are allowed"
                ))
            }
        }
    }
}
