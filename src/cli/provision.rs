//! `fluxhls provision`: streams and consumers.

use std::process::ExitCode;

use clap::Args;
use streams::provision;

use crate::config::NatsArgs;
use crate::jetstream::Nats;

/// What `provision` takes.
#[derive(Debug, Args)]
pub struct ProvisionArgs {
    /// Change nothing; say what differs and exit with 4 if anything does.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    nats: NatsArgs,
}

/// Creates or updates streams and consumers, or tells where they differ.
///
/// # Errors
/// What the server refused.
pub async fn provision(args: ProvisionArgs) -> anyhow::Result<ExitCode> {
    let nats = Nats::connect(&args.nats.settings("fluxhls provision")).await?;
    if !args.check {
        provision::apply(&nats.js, args.nats.sizing()).await?;
        println!("streams and consumers are as they should be");
        return Ok(ExitCode::SUCCESS);
    }
    let drifts = provision::check(&nats.js, args.nats.sizing()).await?;
    for drift in &drifts {
        println!("{drift}");
    }
    Ok(if drifts.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::DIFFERENT)
    })
}
