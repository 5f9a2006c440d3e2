//! Rebuild: the whole log folded aside, then put into the tables in one transaction.
//!
//! Nothing is deleted because it is not in the log: rows older than the log, and all columns that
//! no fact sets, stay. A live projector notices the rebuild by the checkpoint and continues from
//! where the rebuild ended.

use std::collections::BTreeMap;

use jetstream::Log;
use streams::delete::Tombstone;
use streams::{EventOrder, FileId, Unread, subject, topology, wire};

use super::Database;
use super::batch;
use super::checkpoint::{self, Checkpoint};
use super::dead::{DeadFact, publish_dead_letters};
use super::entry::Entry;
use super::error::ProjectError;
use super::feed::{self, Feed};
use super::fold::Fold;
use super::job_counters::JobCounters;
use super::references::References;
use super::rows;

/// What a rebuild did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Rebuilt {
    /// Facts that were read.
    pub facts: u64,
    /// Those that the tables cannot store, which are dead letters.
    pub dead: usize,
    /// Stream sequence of the last of them: the new checkpoint.
    pub seq: u64,
}

impl std::fmt::Display for Rebuilt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { facts, dead, seq } = self;
        write!(
            f,
            "rebuilt the tables from {facts} facts, up to sequence {seq}; {dead} of them cannot be stored in the tables"
        )
    }
}

/// Rebuilds `files` and `transcoding_jobs` from the whole job log.
///
/// # Errors
/// When the log cannot be read or the database is in the way; then the tables are as they were.
pub async fn rebuild(database: &Database, log: &Log) -> Result<Rebuilt, ProjectError> {
    run(database, log).await.map(|(_, rebuilt)| rebuilt)
}

pub(super) async fn run(
    database: &Database,
    log: &Log,
) -> Result<(Checkpoint, Rebuilt), ProjectError> {
    let (references, before) = {
        let transaction = database.read().await?;
        (
            References::read(&transaction).await?,
            checkpoint::read(&transaction).await?,
        )
    };

    // The log is folded first, so that the transaction is not open for as long as that takes.
    let folded = fold(log, before).await?;

    let transaction = database.write().await?;
    // First, for the row's lock: a live projector waits here and then finds out.
    checkpoint::put(&transaction, &folded.to).await?;
    rows::clear_guards(&transaction).await?;

    let deleted = folded.fold.deleted().clone();
    let changes = folded.fold.into_changes();
    let mut dead = folded.dead;
    if batch::try_apply(&transaction, references, &changes)
        .await?
        .is_some()
    {
        // Something in there is refused. Which fact it is shows only in going through them again,
        // batch by batch. That finds the broken ones, too.
        dead.clear();
        let mut feed = Feed::open(log.nats(), 0).await?;
        let mut at = 0;
        while at < folded.to.seq() {
            let mut messages = feed.next().await?;
            messages.retain(|message| message.seq <= folded.to.seq());
            at = messages
                .last()
                .map_or(folded.to.seq(), |message| message.seq);
            let applied = batch::apply(&transaction, references, &messages, &deleted).await?;
            dead.extend(applied.dead);
        }
    }

    publish_dead_letters(log, &dead).await?;
    transaction.commit().await?;

    let rebuilt = Rebuilt {
        facts: folded.facts,
        dead: dead.len(),
        seq: folded.to.seq(),
    };
    Ok((folded.to, rebuilt))
}

/// The delete event of each deleted file.
async fn tombstones(log: &Log) -> Result<BTreeMap<FileId, EventOrder>, ProjectError> {
    let mut tombstones = BTreeMap::new();
    for subject in log
        .subjects(topology::JOBS, subject::ALL_DELETED)
        .await
        .into_keys()
    {
        let Some(recorded) = log.last(topology::JOBS, &subject).await else {
            continue;
        };

        match wire::read::<Tombstone>(&subject, &recorded.payload) {
            Ok(tombstone) => drop(tombstones.insert(tombstone.file_id, tombstone.event)),
            Err(unread @ Unread::Newer { .. }) => return Err(unread.into()),
            Err(unread @ Unread::Broken { .. }) => {
                tracing::error!(%unread, "a deletion cannot be taken into account")
            }
        }
    }

    Ok(tombstones)
}

/// The whole log, folded.
struct Folded {
    fold: Fold,
    facts: u64,
    dead: Vec<DeadFact>,
    to: Checkpoint,
}

/// The counts before a rebuild, and the sequence from which on its log adds to them.
///
/// Jobs that were counted may no longer be in the log; so if the tables came from this log, the
/// counts continue from the checkpoint. Otherwise everything in the log is counted, and no count is
/// lowered.
fn counted(before: Option<&Checkpoint>, state: &feed::LogState) -> (JobCounters, u64) {
    match before {
        Some(at) if at.is_of(state.created) && at.seq() <= state.last_seq => {
            (at.job_counters(), at.seq())
        }
        _ => (JobCounters::default(), 0),
    }
}

async fn fold(log: &Log, before: Option<Checkpoint>) -> Result<Folded, ProjectError> {
    let state = feed::state(log.nats()).await?;
    let (mut counters, since) = counted(before.as_ref(), &state);
    let mut feed = Feed::open(log.nats(), 0).await?;
    let mut folded = Folded {
        fold: Fold::over(tombstones(log).await?),
        facts: 0,
        dead: Vec::new(),
        to: Checkpoint::start(state.created),
    };

    while feed.pending() > 0 {
        for message in feed.next().await? {
            match Entry::read(&message) {
                Ok(entry) => {
                    folded.fold.push(&entry);
                    // What is up to there was counted before.
                    if message.seq > since {
                        counters.count(&entry.fact);
                    }
                }
                Err(unread @ Unread::Newer { .. }) => return Err(unread.into()),
                Err(unread @ Unread::Broken { .. }) => {
                    folded
                        .dead
                        .push(DeadFact::new(&message, unread.to_string()));
                }
            }
            folded.facts += 1;
            folded.to = folded.to.after(&message);
        }
    }

    let least = before.map(|at| at.job_counters()).unwrap_or_default();
    folded.to = folded.to.with_job_counters(counters.max(least));
    Ok(folded)
}
