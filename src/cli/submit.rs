//! `fluxhls submit`: sends an upload event, and uploads the file first if one is given.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use async_nats::HeaderMap;
use clap::Args;
use jetstream::{Log, Nats, send};
use serde_json::{Value, json};
use storage::{Bucket, Storage};
use streams::{FileId, JobId, subject};
use tokio_util::io::ReaderStream;

use super::follow::{ShownUpdate, follow};
use crate::config::{NatsArgs, StorageArgs};

/// Arguments of `submit`.
#[derive(Debug, Args)]
pub(super) struct SubmitArgs {
    /// A file, or the s3:// or https:// URL of an object in a source bucket.
    source: String,
    /// The id of the file; default: a new one.
    #[arg(long)]
    file_id: Option<FileId>,
    /// The id of the job; default: a new one.
    #[arg(long)]
    job_id: Option<JobId>,
    /// The name that people see; default: the name of the file.
    #[arg(long)]
    name: Option<String>,
    /// Ladder profile.
    #[arg(long)]
    profile: Option<String>,
    /// Put every task into the high-priority lane.
    #[arg(long)]
    high_priority: bool,
    /// Wait until the job has ended; exit with 3 if it did not complete.
    #[arg(long)]
    wait: bool,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    storage: StorageArgs,
}

/// Sends the event and, if requested, waits for the end of the job.
///
/// # Errors
/// When something cannot be read, uploaded or published.
pub(super) async fn submit(args: SubmitArgs) -> anyhow::Result<ExitCode> {
    let log = Log::new(Nats::connect(&args.nats.settings("fluxhls submit")).await?);
    let file_id = args.file_id.clone().map_or_else(fresh_file_id, Ok)?;
    let job_id = args.job_id.clone().unwrap_or_else(JobId::fresh);

    let mut event = if args.source.contains("://") {
        json!({ "file_url": args.source, "name": name_of(&args.source) })
    } else {
        let bucket = args
            .storage
            .source_buckets()
            .into_iter()
            .next()
            .context("SOURCE_BUCKETS is empty")?;
        let storage = Storage::connect(&args.storage.settings()).await;
        upload(&storage.bucket(&bucket), &file_id, Path::new(&args.source)).await?
    };

    let settings = settings(&args);
    let fields = event.as_object_mut().context("an event is an object")?;
    fields.insert("file_id".to_owned(), json!(file_id));
    fields.insert("job_id".to_owned(), json!(job_id));
    fields.insert("settings".to_owned(), settings);
    if let Some(name) = &args.name {
        fields.insert("name".to_owned(), json!(name));
    }

    // The live feed is opened before the event is sent, so that nothing of the job is missed.
    let feed = follow(
        &log,
        &job_id,
        if args.json {
            ShownUpdate::Json
        } else {
            ShownUpdate::Bar
        },
    )
    .await?;
    publish(&log, &event).await?;

    if args.json {
        println!(
            "{}",
            json!({ "file_id": file_id, "job_id": job_id, "status": "pending" })
        );
    } else {
        println!("job {job_id} (file {file_id})");
    }

    if !args.wait {
        return Ok(ExitCode::SUCCESS);
    }

    let ended = feed.wait_until_ended().await?;
    Ok(if ended.error.is_none() && ended.manifest_url.is_some() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::JOB_NOT_COMPLETED)
    })
}

/// The last part of a URL, which is taken as the name of the file. For `s3://` it is the last part
/// of the key, unchanged.
fn name_of(url: &str) -> &str {
    let path = if url.starts_with("s3://") {
        url
    } else {
        url.split(['?', '#']).next().unwrap_or_default()
    };
    path.rsplit('/').next().unwrap_or_default()
}

fn fresh_file_id() -> anyhow::Result<FileId> {
    Ok(JobId::fresh().as_str().parse()?)
}

fn settings(args: &SubmitArgs) -> Value {
    let mut settings = json!({});
    if let Some(profile) = &args.profile {
        settings["profile"] = json!(profile);
    }
    if args.high_priority {
        settings["priority"] = json!("high");
    }
    settings
}

/// Uploads a file under `uploads/<file_id>/` and returns the fields for its event.
///
/// # Errors
/// When the file cannot be read or the bucket refuses it.
pub(super) async fn upload(
    bucket: &Bucket,
    file_id: &FileId,
    path: &Path,
) -> anyhow::Result<Value> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("file")
        .to_owned();

    let file = tokio::fs::File::open(path)
        .await
        .with_context(|| format!("cannot read {}", path.display()))?;
    let key = upload_key(file_id, &name);
    let stored = bucket
        .put_stream(&key, "application/octet-stream", ReaderStream::new(file))
        .await?;

    Ok(event_of(bucket, &key, &name, stored.size))
}

/// The fields of an event about an uploaded object.
#[must_use]
pub(super) fn event_of(bucket: &Bucket, key: &str, name: &str, size: u64) -> Value {
    json!({ "bucket": bucket.name(), "key": key, "name": name, "size": size })
}

/// The key of an uploaded file: its name without characters that an object key should not have, and
/// at most 120 characters of it.
#[must_use]
pub(super) fn upload_key(file_id: &FileId, name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
            c
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(plain).take(120).collect();
    format!("uploads/{file_id}/{}", name.trim_start_matches('.'))
}

/// Publishes an upload event and waits for the server to have stored it.
///
/// # Errors
/// When the stream is missing or full.
pub(super) async fn publish(log: &Log, event: &Value) -> anyhow::Result<()> {
    send(
        log,
        subject::UPLOAD,
        HeaderMap::new(),
        event.to_string().into(),
    )
    .await?;
    Ok(())
}
