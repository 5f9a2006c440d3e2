//! `fluxhls jobs prune`: removes old rows and unneeded objects.

use std::process::ExitCode;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use clap::Args;

use super::open;
use crate::config::{NatsArgs, StorageArgs, WorkerArgs};
use crate::operations::prune::{Pruner, Removed};

/// Arguments of `jobs prune`.
#[derive(Debug, Args)]
pub(super) struct PruneArgs {
    /// Days for which the row of an ended job is kept, unless its output is public; may be a
    /// fraction.
    #[arg(long, default_value = "30", value_parser = days, value_name = "DAYS")]
    keep_days: Duration,
    /// Hours for which objects are kept after they are no longer needed; may be a fraction.
    #[arg(long, default_value = "1", value_parser = hours, value_name = "HOURS")]
    grace_hours: Duration,
    /// Remove nothing; print what would be removed.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object instead of lines.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    storage: StorageArgs,
    #[command(flatten)]
    worker: WorkerArgs,
}

/// Removes old rows and unneeded objects, once.
///
/// # Errors
/// When a service does not answer. Everything removed before that was rightly removed.
pub(super) async fn prune(args: PruneArgs) -> anyhow::Result<ExitCode> {
    let pruner = Pruner {
        jobs: open::jobs(
            "fluxhls jobs prune",
            &args.nats,
            &args.storage,
            &args.worker,
        )
        .await?,
        keep: TimeDelta::from_std(args.keep_days)?,
        grace: TimeDelta::from_std(args.grace_hours)?,
        dry_run: args.dry_run,
    };

    let removed = pruner.run(Utc::now()).await?;
    if args.json {
        println!("{}", serde_json::to_string(&removed)?);
    } else {
        print_report(&removed, args.dry_run);
    }

    Ok(ExitCode::SUCCESS)
}

fn print_report(removed: &Removed, dry_run: bool) {
    let Removed {
        rows,
        objects,
        bytes,
        ..
    } = removed;
    let verb = if dry_run { "would remove" } else { "removed" };
    println!("{verb} {rows} rows of jobs and {objects} objects of {bytes} bytes");

    for job in &removed.unread {
        println!("skipped job {job}: its receipt cannot be read; see `fluxhls verify`");
    }
    for (folder, strays) in &removed.unknown {
        let (objects, bytes) = (strays.objects, strays.bytes);
        println!(
            "kept {folder}: {objects} objects of {bytes} bytes that belong to no job in the log"
        );
    }
}

fn hours(text: &str) -> Result<Duration, String> {
    duration(text, 3600.0)
}

fn days(text: &str) -> Result<Duration, String> {
    duration(text, 86_400.0)
}

fn duration(text: &str, unit: f64) -> Result<Duration, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| format!("{text:?} is not a number"))?;
    let most = 100.0 * 365.0 * 86_400.0;
    Duration::try_from_secs_f64(number * unit)
        .ok()
        .filter(|duration| duration.as_secs_f64() <= most)
        .ok_or_else(|| format!("{text} is not between 0 and a hundred years"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_understood_and_nonsense_is_not() {
        assert_eq!(hours("0.5"), Ok(Duration::from_secs(1800)));
        assert_eq!(days("30"), Ok(Duration::from_secs(30 * 86_400)));
        for text in ["", "-1", "NaN", "inf", "1e300", "an hour"] {
            assert!(hours(text).is_err(), "{text}");
        }
    }
}
