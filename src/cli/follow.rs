//! Follows one job to its end: a progress bar on a terminal, plain lines elsewhere, JSON for
//! scripts.

use std::io::IsTerminal as _;
use std::pin::Pin;
use std::time::Duration;

use async_nats::Message;
use futures::stream::{Stream, StreamExt as _, select};
use indicatif::{ProgressBar, ProgressStyle};
use jetstream::Log;
use serde_json::Value;
use streams::fact::{Ended, FactKind};
use streams::progress::Progress;
use streams::{JobId, Unread, subject, topology, wire};

use super::terminal;

/// How a job is shown.
#[derive(Debug, Clone)]
pub(super) enum ShownUpdate {
    /// A progress bar on a terminal, plain lines elsewhere.
    Bar,
    /// A progress bar among others, under this label.
    #[cfg(feature = "dev")]
    Among(indicatif::MultiProgress, String),
    /// Every fact and progress as one JSON object per line.
    Json,
}

/// An open feed of one job's facts and progress.
pub(super) struct Feed {
    log: Log,
    job: JobId,
    messages: Pin<Box<dyn Stream<Item = Message> + Send>>,
    show: Show,
}

enum Show {
    Bar(ProgressBar),
    Lines { label: String, percent: u32 },
    Json,
}

/// Opens the feed of a job. No later fact or progress is missed.
///
/// # Errors
/// When NATS refuses the subscription.
pub(super) async fn follow(log: &Log, job: &JobId, shown: ShownUpdate) -> anyhow::Result<Feed> {
    let client = &log.nats().client;
    let facts = client
        .subscribe(format!("live.{}", subject::facts_of(job)))
        .await?;
    let progress = client.subscribe(format!("hls.v1.progress.{job}.>")).await?;
    // The subscriptions leave now, ahead of whatever is published on this connection.
    client.flush().await?;

    let show = match shown {
        ShownUpdate::Json => Show::Json,
        ShownUpdate::Bar if std::io::stderr().is_terminal() => {
            Show::Bar(progress_bar(ProgressBar::new(1000), job.as_str()))
        }
        #[cfg(feature = "dev")]
        ShownUpdate::Among(all, label) if std::io::stderr().is_terminal() => {
            Show::Bar(progress_bar(all.add(ProgressBar::new(1000)), &label))
        }
        #[cfg(feature = "dev")]
        ShownUpdate::Among(_, label) => Show::Lines { label, percent: 0 },
        ShownUpdate::Bar => Show::Lines {
            label: job.to_string(),
            percent: 0,
        },
    };

    Ok(Feed {
        log: log.clone(),
        job: job.clone(),
        messages: Box::pin(select(facts, progress)),
        show,
    })
}

fn progress_bar(bar: ProgressBar, label: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:24!}  {bar:32}  {percent:>3} %  {msg}");
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("█▓░"));
    }
    bar.set_prefix(label.to_owned());
    bar.set_message("queued");
    bar
}

impl Feed {
    /// Shows the job until it has ended.
    ///
    /// # Errors
    /// When the connection is closed permanently, or the end of the job cannot be read.
    pub(super) async fn wait_until_ended(mut self) -> anyhow::Result<Ended> {
        let mut ask = true;
        loop {
            // The live feed is at most once, and begins now, so the log decides: it is asked at
            // first, after each silence of five seconds, and when the feed reports the end.
            if ask && let Some(ended) = self.ended().await? {
                self.print_end(&ended);
                return Ok(ended);
            }

            ask = match tokio::time::timeout(Duration::from_secs(5), self.messages.next()).await {
                Ok(Some(message)) => {
                    self.print_update(&message);
                    is_end(&message)
                }
                Ok(None) => anyhow::bail!("the connection to NATS is closed"),
                Err(_) => true,
            };
        }
    }

    async fn ended(&self) -> Result<Option<Ended>, Unread> {
        let subject = subject::fact(&self.job, FactKind::Ended);
        let recorded = self.log.last(topology::JOBS, &subject).await;
        recorded
            .map(|recorded| wire::read(&subject, &recorded.payload))
            .transpose()
    }

    fn print_update(&mut self, message: &Message) {
        let progress: Option<Progress> = message
            .subject
            .starts_with("hls.v1.progress.")
            .then(|| serde_json::from_slice(&message.payload).ok())
            .flatten();
        let fact = subject::parse_fact(message.subject.as_str()).map(|(_, kind)| kind.as_str());

        match &mut self.show {
            Show::Json => {
                if let Ok(Value::Object(mut body)) = serde_json::from_slice(&message.payload) {
                    body.insert("event".to_owned(), Value::from(fact.unwrap_or("progress")));
                    if let Ok(line) = terminal::json(&Value::Object(body)) {
                        println!("{line}");
                    }
                }
            }
            Show::Bar(bar) => match (progress, fact) {
                (Some(progress), _) => {
                    // The tasks of a job report side by side, and each value is a lower bound: the
                    // bar must not go back.
                    bar.set_position(bar.position().max(thousandths(progress.job_progress)));
                    bar.set_message(format!("{:.1}x", progress.speed));
                }
                (None, Some(fact)) => bar.set_message(fact),
                (None, None) => {}
            },
            Show::Lines { label, percent } => match (progress, fact) {
                (Some(progress), _) => {
                    let now = u32::try_from(thousandths(progress.job_progress) / 10).unwrap_or(0);
                    if now >= *percent + 10 {
                        *percent = now - now % 10;
                        eprintln!("{label}  {percent} %  {:.1}x", progress.speed);
                    }
                }
                (None, Some(fact)) => eprintln!("{label}  {fact}"),
                (None, None) => {}
            },
        }
    }

    fn print_end(&self, ended: &Ended) {
        let text = match &ended.error {
            Some(error) => format!(
                "failed: {}: {}",
                error.code,
                terminal::plain(&error.message)
            ),
            None => format!(
                "{} in {:.1} s",
                ended.outcome.as_str(),
                ended.elapsed_seconds
            ),
        };

        match &self.show {
            Show::Bar(bar) => {
                if ended.manifest_url.is_some() {
                    bar.set_position(1000);
                }
                bar.finish_with_message(text);
            }
            Show::Lines { label, .. } => eprintln!("{label}  {text}"),
            Show::Json => {}
        }
    }
}

fn is_end(message: &Message) -> bool {
    matches!(
        subject::parse_fact(message.subject.as_str()),
        Some((_, FactKind::Ended))
    )
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=1000"
)]
fn thousandths(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * 1000.0) as u64
}
