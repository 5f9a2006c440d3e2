//! `fluxhls dead`: lists, shows and retries dead letters.

use std::collections::{BTreeMap, VecDeque};
use std::process::ExitCode;

use anyhow::Context as _;
use async_nats::HeaderMap;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use jetstream::{Log, Nats, StoredMessage, send};
use serde::Serialize;
use serde_json::{Value, json};
use streams::dead::{self, Summary, TaskReport};
use streams::subject::{self, DeadOrigin};
use streams::{JobId, topology};

use super::jobs::Output;
use super::terminal;
use super::timeout::answered;
use crate::config::NatsArgs;
use crate::job::retry::{JobToRetry, find_job_to_retry, publish_retry};

/// Commands on dead letters.
#[derive(Debug, Subcommand)]
pub(super) enum DeadCommand {
    /// List the newest dead letters.
    List {
        /// Largest number of dead letters to list.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        nats: NatsArgs,
    },
    /// Show one dead letter with its whole content.
    Show(DeadLetterArgs),
    /// Retry the work of a dead letter; exit with 4 if this command cannot do that.
    Retry(DeadLetterArgs),
}

/// Arguments that name a dead letter.
#[derive(Debug, Args)]
pub(super) struct DeadLetterArgs {
    /// Its sequence, as `dead list` prints it.
    seq: u64,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    nats: NatsArgs,
}

/// One line of the list.
#[derive(Debug, Serialize)]
struct Line {
    seq: u64,
    time: DateTime<Utc>,
    subject: String,
    #[serde(flatten)]
    summary: Summary,
}

impl Line {
    fn of(letter: &StoredMessage) -> Self {
        Self {
            seq: letter.seq,
            time: letter.time,
            subject: letter.subject.clone(),
            summary: Summary::of(&letter.subject, &letter.headers, &letter.payload),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When a service cannot be reached, or there is no such dead letter.
pub(super) async fn dead(command: DeadCommand) -> anyhow::Result<ExitCode> {
    match command {
        DeadCommand::List {
            limit,
            output,
            nats,
        } => {
            let log = open(&nats).await?;
            print_list(&log, limit, &output).await?;
            Ok(ExitCode::SUCCESS)
        }
        DeadCommand::Show(args) => {
            let log = open(&args.nats).await?;
            print_detail(&read_dead_letter(&log, args.seq).await?, &args.output)?;
            Ok(ExitCode::SUCCESS)
        }
        DeadCommand::Retry(args) => {
            let log = open(&args.nats).await?;
            let outcome = retry_message(&log, &read_dead_letter(&log, args.seq).await?).await?;
            Ok(outcome.print_outcome(&args.output))
        }
    }
}

async fn open(nats: &NatsArgs) -> anyhow::Result<Log> {
    Ok(Log::new(
        Nats::connect(&nats.settings("fluxhls dead")).await?,
    ))
}

async fn read_dead_letter(log: &Log, seq: u64) -> anyhow::Result<StoredMessage> {
    let found = answered(log.at(topology::DEAD, seq)).await?;
    found.with_context(|| format!("there is no dead letter {seq}; see `fluxhls dead list`"))
}

async fn print_list(log: &Log, limit: usize, output: &Output) -> anyhow::Result<()> {
    let mut lines = VecDeque::new();
    let read = log.replay(topology::DEAD, Vec::new(), 0, |letter| {
        // A replay goes from the oldest to the newest, so what is cut off here are the oldest.
        lines.push_front(Line::of(&letter));
        lines.truncate(limit);
    });
    answered(read).await?.map_err(|error| {
        anyhow::anyhow!("the dead letters cannot be read: {error}; run `fluxhls provision`")
    })?;

    if output.json {
        println!("{}", terminal::json(&lines)?);
        return Ok(());
    }

    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["seq", "time", "subject", "code", "job", "file", "reason"]);
    for Line {
        seq,
        time,
        subject,
        summary,
    } in lines
    {
        table.add_row([
            seq.to_string(),
            time.format("%Y-%m-%d %H:%M:%S").to_string(),
            subject,
            summary.code,
            terminal::plain(&summary.job_id.unwrap_or_default()),
            terminal::plain(&summary.file_id.unwrap_or_default()),
            terminal::plain(&summary.reason),
        ]);
    }

    println!("{table}");
    Ok(())
}

/// A dead letter with its whole content.
#[derive(Debug, Serialize)]
struct DeadLetterDetail {
    #[serde(flatten)]
    line: Line,
    headers: BTreeMap<String, Vec<String>>,
    /// For a task: the command, its output, and the result of the probe.
    report: Option<TaskReport>,
    /// The original bytes, if they are text.
    payload: Option<String>,
    /// Otherwise the original bytes as hexadecimal digits.
    payload_hex: Option<String>,
}

impl DeadLetterDetail {
    fn of(letter: &StoredMessage) -> Self {
        let text = std::str::from_utf8(&letter.payload).ok().map(str::to_owned);
        let hex = || hex::encode(&letter.payload);
        let values = |values: &Vec<async_nats::HeaderValue>| {
            values
                .iter()
                .map(|value| value.as_str().to_owned())
                .collect()
        };
        let headers = letter.headers.iter();

        Self {
            line: Line::of(letter),
            headers: headers
                .map(|(name, all)| (name.to_string(), values(all)))
                .collect(),
            report: letter
                .header(dead::REPORT)
                .and_then(|text| serde_json::from_str(text).ok()),
            payload_hex: text.is_none().then(hex),
            payload: text,
        }
    }
}

fn print_detail(recorded: &StoredMessage, output: &Output) -> anyhow::Result<()> {
    let letter = DeadLetterDetail::of(recorded);
    if output.json {
        println!("{}", terminal::json(&letter)?);
        return Ok(());
    }

    let Line {
        seq,
        time,
        subject,
        summary,
    } = &letter.line;
    println!(
        "letter   {seq}  {}  {subject}",
        time.format("%Y-%m-%d %H:%M:%S%.3f")
    );
    println!(
        "code     {}\nreason   {}",
        summary.code,
        terminal::whole(&summary.reason)
    );
    println!(
        "job      {}",
        terminal::plain(summary.job_id.as_deref().unwrap_or("-"))
    );
    println!(
        "file     {}",
        terminal::plain(summary.file_id.as_deref().unwrap_or("-"))
    );

    for (name, values) in letter
        .headers
        .iter()
        .filter(|(name, _)| *name != dead::REPORT)
    {
        for value in values {
            println!("header   {}", terminal::whole(&format!("{name}: {value}")));
        }
    }

    if let Some(report) = &letter.report {
        if let Some(probe) = &report.probe {
            println!("probe    {}", terminal::whole(&probe.to_string()));
        }
        println!("command  {}", terminal::whole(&report.argv.join(" ")));
        println!("stderr\n{}", terminal::whole(&report.stderr));
    }

    let payload = letter.payload.or(letter.payload_hex).unwrap_or_default();
    println!("payload\n{}", terminal::whole(&payload));
    Ok(())
}

/// The result of a retry.
enum RetryOutcome {
    /// The event was published again, at this sequence.
    Event(u64),
    /// A new job repeats the one of the task.
    Job(JobId),
    /// The task is on the queue again.
    Task,
    /// Nothing was done, and why.
    No(String),
}

impl RetryOutcome {
    fn print_outcome(&self, output: &Output) -> ExitCode {
        let (text, value) = match self {
            Self::Event(seq) => (
                format!("published again, as message {seq} of {}", topology::UPLOADS),
                json!({ "retried": "event", "seq": seq }),
            ),
            Self::Job(job) => (
                format!("job {job} repeats it"),
                json!({ "retried": "job", "job_id": job }),
            ),
            Self::Task => (
                "the task is on the queue again".to_owned(),
                json!({ "retried": "task" }),
            ),
            Self::No(why) => (
                why.clone(),
                json!({ "retried": Value::Null, "reason": why }),
            ),
        };

        println!("{}", if output.json { value.to_string() } else { text });
        match self {
            Self::No(_) => ExitCode::from(super::EXIT_DIFFERENT),
            _ => ExitCode::SUCCESS,
        }
    }
}

async fn retry_message(log: &Log, letter: &StoredMessage) -> anyhow::Result<RetryOutcome> {
    match subject::parse_dead(&letter.subject) {
        Some(DeadOrigin::Upload(seq)) => publish_event(log, letter, subject::UPLOAD, seq).await,
        Some(DeadOrigin::Delete(seq)) => publish_event(log, letter, subject::DELETE, seq).await,
        Some(DeadOrigin::Project(_)) => Ok(RetryOutcome::No(
            "a fact that the tables could not store; `fluxhls rebuild` applies it again once they can"
                .to_owned(),
        )),
        Some(DeadOrigin::Task(job, _)) => {
            let old = match answered(find_job_to_retry(log, &job)).await? {
                JobToRetry::Ended(old) => old,
                JobToRetry::Open => {
                    let why = format!("job {job} has not ended yet; it continues without a retry");
                    return Ok(RetryOutcome::No(why));
                }
                JobToRetry::Unread(unread) => return Err(unread.into()),
                JobToRetry::Unknown => anyhow::bail!("the log has no job {job}; send its upload event again"),
            };

            let new = JobId::fresh();
            answered(publish_retry(log, &old, &new)).await??;
            Ok(RetryOutcome::Job(new))
        }
        Some(DeadOrigin::Advisory(..)) => requeue_task(log, letter).await,
        None => anyhow::bail!("{} is not a subject this version knows", letter.subject),
    }
}

/// Publishes an event again, unchanged: from its own stream if the dead letter holds only a part of
/// it.
async fn publish_event(
    log: &Log,
    letter: &StoredMessage,
    subject: &'static str,
    seq: u64,
) -> anyhow::Result<RetryOutcome> {
    let is_whole = [dead::CUT, dead::TRUNCATED]
        .into_iter()
        .all(|header| letter.header(header).is_none());

    let original = if is_whole {
        letter.clone()
    } else {
        let found = answered(log.at(topology::UPLOADS, seq)).await?;

        // The number alone may be that of another event, of a stream that was made again.
        let is_original = |found: &StoredMessage| {
            let time = found.time.to_rfc3339_opts(SecondsFormat::Nanos, true);
            letter.header(dead::ORIGIN_TIME) == Some(time.as_str())
        };
        found
            .filter(is_original)
            .context("the dead letter holds only part of the event, which is no longer in its stream; publish the event again")?
    };

    // The server's headers are left out, above all `Nats-Msg-Id`: by it the stream would drop the
    // event as a duplicate.
    let mut headers = HeaderMap::new();
    for (name, values) in original
        .headers
        .iter()
        .filter(|(name, _)| dead::is_original(name.as_ref()))
    {
        for value in values {
            headers.append(name.clone(), value.clone());
        }
    }

    let seq = answered(send(log, subject, headers, original.payload)).await??;
    Ok(RetryOutcome::Event(seq))
}

/// Removes a message that the server no longer delivers from the queue, and queues its task again.
async fn requeue_task(log: &Log, advisory: &StoredMessage) -> anyhow::Result<RetryOutcome> {
    let body: Value = serde_json::from_slice(&advisory.payload).unwrap_or_default();
    let seq = body["stream_seq"]
        .as_u64()
        .context("the advisory names no message")?;
    let stuck = answered(log.at(topology::TASKS, seq)).await?;

    let Some(key) = stuck.and_then(|stuck| subject::parse_task(&stuck.subject)) else {
        let why = "the message is no longer on the queue; if its job is open, the sweep queues it again within two minutes";
        return Ok(RetryOutcome::No(why.to_owned()));
    };

    // A subject of the queue holds one task at a time, so the stuck one must go first.
    let tasks = log.nats().js.get_stream_no_info(topology::TASKS).await?;
    tasks.delete_message(seq).await?;
    // Where this fails, the sweep finds a job without a task, and plans it again.
    answered(log.enqueue(&key, None)).await??;
    Ok(RetryOutcome::Task)
}
