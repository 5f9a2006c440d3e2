//! `fluxhls provision`: streams and consumers.

use std::process::ExitCode;

use clap::Args;
use jetstream::Nats;
use streams::merge::LargerValue;
use streams::provision::{self, ProvisionError, Report};

use crate::config::NatsArgs;

/// Arguments of `provision`.
#[derive(Debug, Args)]
pub(super) struct ProvisionArgs {
    /// Change nothing; print what differs, and exit with 4 if anything does.
    #[arg(long)]
    check: bool,
    /// Also lower copies, limits and ages that are larger than requested. By default they are kept
    /// and reported.
    #[arg(long)]
    lower: bool,
    #[command(flatten)]
    nats: NatsArgs,
}

/// Creates or updates streams and consumers, or prints where they differ.
///
/// # Errors
/// When the server refuses a request, or denies it to this user.
pub(super) async fn provision(args: ProvisionArgs) -> anyhow::Result<ExitCode> {
    let nats = Nats::connect(&args.nats.settings("fluxhls provision")).await?;
    let (sizing, larger) = (
        args.nats.sizing(),
        if args.lower {
            LargerValue::Lower
        } else {
            LargerValue::Keep
        },
    );

    let report = if args.check {
        allowed(&nats, provision::check(&nats.js, &sizing, larger)).await?
    } else {
        allowed(&nats, provision::apply(&nats.js, &sizing, larger)).await?
    };

    for kept in &report.kept {
        println!("{kept}; --lower reduces it");
    }
    for drift in &report.drifts {
        println!("{drift}");
    }

    if args.check {
        return Ok(if report.drifts.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(super::EXIT_DIFFERENT)
        });
    }

    anyhow::ensure!(
        report.drifts.is_empty(),
        "nats-server cannot change these: delete the consumer with `nats consumer rm` and run this again (no job is lost: the sweep queues its \
         tasks again), or move the messages of the stream to a new one"
    );

    println!("streams and consumers have the expected configuration");
    Ok(ExitCode::SUCCESS)
}

/// The report of the server, or the permission that is missing: the server never answers a request
/// that it denies.
///
/// # Errors
/// What it refuses or denies.
pub(super) async fn allowed(
    nats: &Nats,
    asked: impl Future<Output = Result<Report, ProvisionError>>,
) -> anyhow::Result<Report> {
    tokio::select! {
        report = asked => Ok(report?),
        denial = nats.health.denial() => anyhow::bail!(denial),
    }
}
