//! `fluxhls delete`: requests the deletion of a file, and waits until it is complete.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use async_nats::HeaderMap;
use clap::Args;
use jetstream::{Log, Nats, send};
use serde_json::json;
use streams::delete::{Delete, Tombstone};
use streams::{EventOrder, FileId, OutputPrefix, dead, subject, topology, wire};
use tokio::time::Instant;

use super::timeout::answered;
use crate::config::NatsArgs;

/// How often the command checks whether the file is deleted.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// After how long the command prints what it waits for.
const HINT_AFTER: Duration = Duration::from_secs(10);

/// Arguments of `delete`.
#[derive(Debug, Args)]
pub(super) struct DeleteArgs {
    /// The file. Its jobs are canceled, its objects removed, and the rows of its jobs deleted;
    /// later uploads are not affected.
    file_id: FileId,
    /// The prefix of its output, if the file is older than the log (90 days) and the output is not
    /// under the default prefix.
    #[arg(long)]
    output_prefix: Option<OutputPrefix>,
    /// Print one JSON object instead of a sentence.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    nats: NatsArgs,
}

/// Publishes the event and waits until a process with the role intake has carried it out.
///
/// # Errors
/// When the event cannot be published, or becomes a dead letter.
pub(super) async fn delete(args: DeleteArgs) -> anyhow::Result<ExitCode> {
    let log = Log::new(Nats::connect(&args.nats.settings("fluxhls delete")).await?);

    let event = Delete {
        file_id: args.file_id,
        output_prefix: args.output_prefix,
    };
    let body = serde_json::to_vec(&event)?;
    let seq = answered(send(&log, subject::DELETE, HeaderMap::new(), body.into())).await??;
    let jobs = wait_until_deleted(&log, &event.file_id, seq).await?;

    if args.json {
        println!(
            "{}",
            json!({ "file_id": event.file_id, "seq": seq, "jobs": jobs })
        );
    } else {
        println!("file {} is deleted, with {jobs} jobs", event.file_id);
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits until the tombstone confirms the deletion; returns the number of deleted jobs.
async fn wait_until_deleted(log: &Log, file: &FileId, seq: u64) -> anyhow::Result<usize> {
    let began = Instant::now();
    let mut hinted = false;

    let stored = answered(log.at(topology::UPLOADS, seq)).await?;
    let stored = stored.context("the request is no longer in its stream; send it again")?;
    let ours = EventOrder::new(seq, stored.time);

    loop {
        let tombstone = log.last(topology::JOBS, &subject::deleted(file)).await;
        let tombstone: Option<Tombstone> = tombstone
            .map(|found| wire::read(&found.subject, &found.payload))
            .transpose()?;
        // The tombstone may be that of an earlier request, which does not cover this one, or of a
        // later one, which does.
        if let Some(Tombstone {
            event,
            done: Some(jobs),
            ..
        }) = tombstone
            && !ours.is_after(&event)
        {
            return Ok(jobs);
        }

        if let Some(letter) = log
            .last(topology::DEAD, &subject::dead_message("delete", seq))
            .await
        {
            let reason = letter.header(dead::REASON).unwrap_or("it is a dead letter");
            anyhow::bail!("the request was refused: {reason}; see `fluxhls dead list`");
        }

        if !hinted && began.elapsed() >= HINT_AFTER {
            hinted = true;
            eprintln!(
                "waiting for a process with the role intake, and for the storage; the request is stored and is carried out even if this command ends"
            );
        }

        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
