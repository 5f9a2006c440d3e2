//! The command itself: starts everything, prints where it is, transcodes the given files, and ends
//! on Ctrl+C or when they are done.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use futures::future::try_join_all;
use indicatif::MultiProgress;
use serde_json::json;
use streams::fact::Ended;
use streams::task::TaskName;
use streams::work::WorkKind;
use streams::{FileId, JobId, subject, topology};

use super::rows::print;
use super::stack::{SHUTDOWN_GRACE, Stack, StackOptions};
use crate::cli::follow::{ShownUpdate, follow};
use crate::cli::submit::{publish, upload};
use crate::config::{LadderArgs, ToolArgs};
use crate::service::shutdown::Shutdown;

/// Arguments of `dev`.
#[derive(Debug, Args)]
pub(in crate::cli) struct DevArgs {
    /// Files to transcode immediately.
    files: Vec<PathBuf>,
    /// Folder for the state of `dev`.
    #[arg(long, default_value = "./.fluxhls", value_name = "FOLDER")]
    state: PathBuf,
    /// Start with an empty state folder.
    #[arg(long)]
    fresh: bool,
    /// End when the given files are done; exit with 3 if one did not complete.
    #[arg(long)]
    exit_when_done: bool,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
    /// Show log lines.
    #[arg(long, short)]
    pub(in crate::cli) verbose: bool,
    /// Port of the page; the next free one if it is in use.
    #[arg(long, default_value_t = 8080)]
    http_port: u16,
    /// Port of NATS; the next free one if it is in use.
    #[arg(long, default_value_t = 4222)]
    nats_port: u16,
    /// Port of the object store; the next free one if it is in use.
    #[arg(long, default_value_t = 9000)]
    s3_port: u16,
    /// Path of nats-server; default: searched for in PATH and .tools/venv/bin.
    #[arg(long, env = "NATS_SERVER", value_name = "PATH")]
    nats_server: Option<PathBuf>,
    #[command(flatten)]
    ladder: LadderArgs,
    #[command(flatten)]
    tool: ToolArgs,
}

/// Runs everything until Ctrl+C, or until the files are done.
///
/// # Errors
/// When something is missing, with how to get it.
pub(in crate::cli) async fn dev(args: DevArgs) -> anyhow::Result<ExitCode> {
    check_files_exist(&args.files)?;
    let state = prepare(&args.state, args.fresh)?;
    let shutdown = Shutdown::default();
    shutdown.on_signals(SHUTDOWN_GRACE)?;

    let wanted = StackOptions {
        state: state.clone(),
        http_port: args.http_port,
        nats_port: args.nats_port,
        s3_port: args.s3_port,
        nats_server: args.nats_server.clone(),
        profiles: args.ladder.profiles()?,
        tool: args.tool.locate()?,
    };

    let starting = Stack::start(&wanted, &shutdown);
    let Some(stack) = shutdown
        .stop
        .run_until_cancelled(starting)
        .await
        .transpose()?
    else {
        return Ok(ExitCode::SUCCESS);
    };

    print_urls(&stack, &args, &state);
    let code = tokio::select! {
        code = transcode(&stack, &args) => code,
        () = shutdown.stop.cancelled() => Ok(ExitCode::SUCCESS),
    };

    if !args.exit_when_done && code.is_ok() {
        shutdown.stop.cancelled().await;
    }
    shutdown.stop.cancel();
    shutdown.hand_back.cancel();
    // The one deadline around everything that ends, as in `run`.
    let stopped = shutdown.leave.run_until_cancelled(stack.stop()).await;

    anyhow::ensure!(
        stopped.is_some(),
        "exited before everything had stopped; the next start continues from there"
    );
    code
}

/// The state folder, emptied if requested. Only a folder that `dev` created is ever removed.
fn prepare(state: &Path, fresh: bool) -> anyhow::Result<PathBuf> {
    const MARK: &str = "fluxhls-dev";
    let named = || format!("cannot use {} as state folder", state.display());

    if fresh && state.exists() {
        anyhow::ensure!(
            state.join(MARK).exists(),
            "{}: `fluxhls dev` did not create it; remove it yourself",
            named()
        );
        std::fs::remove_dir_all(state).with_context(named)?;
    }

    std::fs::create_dir_all(state).with_context(named)?;
    std::fs::write(
        state.join(MARK),
        "State of `fluxhls dev`; it can be removed while `fluxhls dev` is not running.\n",
    )
    .with_context(named)?;
    std::fs::canonicalize(state).with_context(named)
}

fn print_urls(stack: &Stack, args: &DevArgs, state: &Path) {
    let page = format!("http://{}", stack.page);
    if args.json {
        let ready = json!({
            "event": "ready", "page": page, "metrics": format!("{page}/metrics"), "nats": stack.nats.url(),
            "s3": stack.store.endpoint(), "bucket": stack.store.bucket(), "state": state,
        });
        println!("{ready}");
        return;
    }

    let moved = |found: u16, wanted: u16| {
        if found == wanted {
            String::new()
        } else {
            format!("   (port {wanted} was taken)")
        }
    };

    println!(
        "fluxhls {} dev    state {} (kept; --fresh wipes it)\n",
        env!("CARGO_PKG_VERSION"),
        state.display()
    );
    println!(
        "  player   {page}{}",
        moved(stack.page.port(), args.http_port)
    );
    println!("  metrics  {page}/metrics");
    println!(
        "  nats     {}   nats-server {}{}",
        stack.nats.url(),
        stack.nats.version(),
        moved(stack.nats.address().port(), args.nats_port)
    );
    println!(
        "  s3       {}   bucket {}, key dev / dev-secret{}",
        stack.store.endpoint(),
        stack.store.bucket(),
        moved(stack.store.address().port(), args.s3_port)
    );
    println!("  sql      sqlite {}", state.join("dev.db").display());
    println!("  ffmpeg   {}\n", stack.ffmpeg);

    if !args.exit_when_done {
        println!("  drop a file on the player page; Ctrl+C stops everything\n");
    }
}

async fn transcode(stack: &Stack, args: &DevArgs) -> anyhow::Result<ExitCode> {
    let bars = MultiProgress::new();
    let ended = try_join_all(
        args.files
            .iter()
            .map(|file| transcode_file(stack, args, file, &bars)),
    )
    .await?;
    if args.files.is_empty() || args.json {
        return Ok(exit_code(&ended));
    }

    print(stack, &ended).await?;
    for ended in ended.iter().filter(|ended| ended.manifest_url.is_some()) {
        println!("  play     http://{}/#{}", stack.page, ended.head.job_id);
        println!(
            "  hls      {}",
            ended.manifest_url.as_deref().unwrap_or_default()
        );
    }
    Ok(exit_code(&ended))
}

fn exit_code(ended: &[Ended]) -> ExitCode {
    if ended.iter().all(|ended| ended.manifest_url.is_some()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(crate::cli::JOB_NOT_COMPLETED)
    }
}

async fn transcode_file(
    stack: &Stack,
    args: &DevArgs,
    file: &Path,
    bars: &MultiProgress,
) -> anyhow::Result<Ended> {
    let log = &stack.service.jobs.log;
    let file_id: FileId = JobId::fresh().as_str().parse()?;
    let job_id = JobId::fresh();

    let mut event = upload(&stack.service.jobs.output, &file_id, file).await?;
    let fields = event.as_object_mut().context("an event is an object")?;
    fields.insert("file_id".to_owned(), json!(file_id));
    fields.insert("job_id".to_owned(), json!(job_id));

    let label = file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let shown = if args.json {
        ShownUpdate::Json
    } else {
        ShownUpdate::Among(bars.clone(), label.clone())
    };

    // The live feed is opened before the event is sent, so that nothing of the job is missed.
    let feed = follow(log, &job_id, shown).await?;
    let published = std::time::SystemTime::now();
    publish(log, &event).await?;
    let ended = feed.wait_until_ended().await?;

    if !args.json
        && let Some(first) = first_encode(stack, &job_id).await
    {
        let wait = first
            .signed_duration_since(chrono::DateTime::<chrono::Utc>::from(published))
            .as_seconds_f64();
        bars.suspend(|| {
            println!("{label}: the first ffmpeg started {wait:.3} s after the upload event");
        });
    }
    Ok(ended)
}

/// When the first encode of a job was started.
async fn first_encode(stack: &Stack, job: &JobId) -> Option<chrono::DateTime<chrono::Utc>> {
    let mut first = None;
    for task in [TaskName::video(0), TaskName::TRACKS] {
        let subject = subject::work(job, WorkKind::Attempt, task);
        let at = stack
            .service
            .jobs
            .log
            .last(topology::WORK, &subject)
            .await
            .map(|attempt| attempt.time);
        first = [first, at].into_iter().flatten().min();
    }

    first
}

/// The files of a command line, as paths that exist.
///
/// # Errors
/// When one does not exist; the first one is named.
fn check_files_exist(files: &[PathBuf]) -> anyhow::Result<()> {
    match files.iter().find(|file| !file.is_file()) {
        Some(missing) => anyhow::bail!("{} is not a file", missing.display()),
        None => Ok(()),
    }
}
