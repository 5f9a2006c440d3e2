//! What is seen while it happens, by someone who loses his connection as everybody else does.

use std::collections::BTreeMap;
use std::time::Duration;

use entity::transcoding_jobs;
use futures::StreamExt as _;
use sea_orm::{ConnectOptions, Database, EntityTrait as _};
use streams::{FactKind, subject, topology};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::harness::streams::Streams;

/// How often someone looks.
const PERIOD: Duration = Duration::from_millis(250);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// The columns of a job row that may never return to an earlier state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// `status`
    pub(super) status: String,
    /// `progress`
    pub(super) progress: i32,
    /// `fact_seq`
    pub(super) seq: i64,
}

/// Counts the jobs that have ended, until no one listens.
pub(super) fn ended(streams: &Streams) -> watch::Receiver<usize> {
    let (tell, told) = watch::channel(0);
    let streams = streams.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(PERIOD);
        while !tell.is_closed() {
            ticks.tick().await;
            if let Ok(Some(count)) = tokio::time::timeout(PATIENCE, count(&streams)).await {
                tell.send_if_modified(|known| std::mem::replace(known, count) != count);
            }
        }
    });
    told
}

/// Nothing while the server does not answer.
async fn count(streams: &Streams) -> Option<usize> {
    let stream = streams.js.get_stream_no_info(topology::JOBS).await.ok()?;
    let filter = subject::facts_of_kind(FactKind::Ended);
    let mut pages = stream.info_builder().subjects(filter).fetch().await.ok()?;
    let mut count = 0;
    while let Some(page) = pages.next().await {
        page.ok()?;
        count += 1;
    }
    Some(count)
}

/// Polls the rows of all jobs until `stop`; returns each change in the order in which it was seen.
pub(super) async fn rows(url: String, stop: CancellationToken) -> BTreeMap<String, Vec<Seen>> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).acquire_timeout(PATIENCE);
    let mut history: BTreeMap<String, Vec<Seen>> = BTreeMap::new();
    let mut ticks = tokio::time::interval(PERIOD);
    let mut connection = None;
    while !stop.is_cancelled() {
        ticks.tick().await;
        if connection.is_none() {
            connection = Database::connect(options.clone()).await.ok();
        }
        let Some(open) = &connection else { continue };
        let rows = tokio::time::timeout(PATIENCE, transcoding_jobs::Entity::find().all(open)).await;
        for row in rows.into_iter().flatten().flatten() {
            let seen = Seen {
                status: row.status.unwrap_or_default(),
                progress: row.progress.unwrap_or_default(),
                seq: row.fact_seq.unwrap_or_default(),
            };
            let of_job = history.entry(row.id).or_default();
            if of_job.last() != Some(&seen) {
                of_job.push(seen);
            }
        }
    }
    history
}
