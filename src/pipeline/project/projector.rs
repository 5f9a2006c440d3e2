//! The projector: verifies, rebuilds where it must, follows the log, and starts over after every
//! trouble.

use std::collections::BTreeSet;
use std::time::Duration;

use jetstream::{Log, StoredMessage};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::checkpoint::{self, Checkpoint};
use super::dead::{DEAD_LETTER_LIMIT, publish_dead_letters};
use super::error::{BATCH_LIMIT, ProjectError};
use super::feed::{self, Feed, FeedError};
use super::job_counters::JobCounters;
use super::references::References;
use super::{Database, batch, entry, metrics, rebuild};

/// The first pause after a trouble, doubled up to [`LONGEST_PAUSE`] while it lasts.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The position of a projector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    /// Stream sequence of the last fact in the tables.
    pub seq: u64,
    /// Facts known to the server beyond that.
    pub lag: u64,
    /// Whether the log was reached and its checkpoint verified; false while in trouble.
    pub following: bool,
    /// Whether another projector moved the checkpoint last.
    pub standby: bool,
    /// What prevents the tables from following the log, if anything does.
    pub trouble: Option<String>,
}

/// Brings the tables on with the log. Any number of them may run; one at a time is ahead.
#[derive(Debug)]
pub struct Projector {
    database: Database,
    log: Log,
    position: watch::Sender<Position>,
}

impl Projector {
    /// A projector of the log into a migrated database.
    #[must_use]
    pub fn new(database: Database, log: Log) -> Self {
        Self {
            database,
            log,
            position: watch::Sender::default(),
        }
    }

    /// The position of the projector, now and whenever it changes.
    #[must_use]
    pub fn position(&self) -> watch::Receiver<Position> {
        self.position.subscribe()
    }

    /// Projects until `stop`. No trouble ends it: it pauses, longer each time, and resumes from the
    /// checkpoint.
    pub async fn run(self, stop: CancellationToken) {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let reached = self.position.borrow().seq;
            let trouble = tokio::select! {
                trouble = self.follow() => trouble,
                () = stop.cancelled() => return,
            };

            // Any progress since the last trouble starts the pauses over.
            if self.position.borrow().seq != reached {
                pause = SHORTEST_PAUSE;
            }

            match trouble {
                Ok(Rewound) => {
                    self.position
                        .send_modify(|position| position.following = false);
                    tracing::info!(
                        "the tables were rebuilt by another process; resuming from there"
                    );
                }
                Err(error) => {
                    // Readiness names the release that is needed.
                    if let ProjectError::Newer(unread) = &error {
                        self.log.newer().note(unread);
                    }
                    tracing::warn!(%error, pause_ms = pause.as_millis(), "projection interrupted; trying again");
                    self.position.send_modify(|position| {
                        position.following = false;
                        position.trouble = Some(error.to_string());
                    });
                    stop.run_until_cancelled(self.report_lag()).await;
                }
            }

            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                () = stop.cancelled() => return,
            }
        }
    }

    /// Follows the log from the checkpoint until there is trouble.
    async fn follow(&self) -> Result<Rewound, ProjectError> {
        let references = self.read_references().await?;
        let mut at = self.resume().await?;
        let mut feed = Feed::open(self.log.nats(), at.seq()).await?;
        self.publish_position(&at, &feed, Writer::This);

        loop {
            let mut messages = feed.next().await?;
            // After a batch of another projector the feed still brings facts that are in the
            // tables.
            messages.retain(|message| message.seq > at.seq());
            let (mut messages, newer) = entry::split_at_newer(messages);

            while let Some(last) = messages.last() {
                let to = at.after(last);
                let apply = self.apply_batch(references, &at, &to, &messages);
                let applied = timeout(BATCH_LIMIT, apply).await;
                let writer = applied.map_err(|_| ProjectError::Silent)??;
                if writer == Writer::This {
                    at = to;
                    self.publish_position(&at, &feed, writer);
                    break;
                }

                // Its batch may end within this one.
                match checkpoint::read(&self.database.read().await?).await? {
                    Some(theirs) if theirs.seq() > at.seq() && theirs.is_same_stream(&at) => {
                        at = theirs
                    }
                    _ => return Ok(Rewound),
                }
                self.publish_position(&at, &feed, writer);
                messages.retain(|message| message.seq > at.seq());
            }

            // The facts before the newer one are in the tables by now.
            if let Some(unread) = newer {
                return Err(unread.into());
            }
        }
    }

    /// Checks the schema before anything is written, and reads which references the tables have.
    async fn read_references(&self) -> Result<References, ProjectError> {
        let transaction = self.database.read().await?;
        let schema = migration::schema(&transaction).await?;
        if !schema.may_run() {
            return Err(ProjectError::Schema(schema));
        }
        Ok(References::read(&transaction).await?)
    }

    /// Reports how far the tables are behind the log while they do not follow it. If the log does
    /// not answer either, that is unknown.
    async fn report_lag(&self) {
        let from = self.position.borrow().seq;
        if let Ok(Ok(feed)) = timeout(DEAD_LETTER_LIMIT, Feed::open(self.log.nats(), from)).await {
            metrics::report_position(feed.pending(), false);
        }
    }

    /// The checkpoint to continue from, after proof that the tables still come from this log;
    /// rebuilds if not.
    async fn resume(&self) -> Result<Checkpoint, ProjectError> {
        let found = checkpoint::read(&self.database.read().await?).await?;
        let Some(mismatch) = self.find_mismatch(found.as_ref()).await? else {
            // `find_mismatch` has a reason wherever there is no checkpoint.
            return found.ok_or(ProjectError::Feed(FeedError::Changed));
        };
        if found.is_some() {
            tracing::warn!(
                reason = mismatch,
                "the tables do not come from this log; rebuilding them"
            );
        }

        let (at, rebuilt) = rebuild::run(&self.database, &self.log).await?;
        tracing::info!("{rebuilt}");
        Ok(at)
    }

    /// Why the tables may not come from this log; none when they do.
    async fn find_mismatch(
        &self,
        at: Option<&Checkpoint>,
    ) -> Result<Option<&'static str>, ProjectError> {
        let Some(at) = at else {
            return Ok(Some("nothing was projected yet"));
        };

        let nats = self.log.nats();
        let state = feed::state(nats).await?;
        if !at.is_of(state.created) {
            return Ok(Some("the stream was created again"));
        }
        if at.seq() > state.last_seq {
            return Ok(Some("the log ends before the checkpoint"));
        }
        if at.seq() == 0 || at.seq() < state.first_seq {
            // Nothing was there yet, or it aged out: no message to compare with, and none that
            // could have changed. A log without any message says that 0 is its first, and the
            // server refuses to be asked for that one.
            return Ok(None);
        }

        let is_there = feed::message(nats, at.seq())
            .await?
            .is_some_and(|message| at.is_at(&message));
        Ok((!is_there).then_some("the log holds another message at the checkpoint"))
    }

    /// Applies a batch in one transaction with its checkpoint, unless another projector was first.
    async fn apply_batch(
        &self,
        references: References,
        from: &Checkpoint,
        to: &Checkpoint,
        messages: &[StoredMessage],
    ) -> Result<Writer, ProjectError> {
        let transaction = self.database.write().await?;
        // First, so that a second projector waits for this row, and then finds out that it lost.
        if !checkpoint::advance(&transaction, from, to).await? {
            transaction.rollback().await?;
            return Ok(Writer::Another);
        }

        let applied = batch::apply(&transaction, references, messages, &BTreeSet::new()).await?;
        let mut counters = JobCounters::default();
        applied
            .entries
            .iter()
            .for_each(|entry| counters.count(&entry.fact));
        checkpoint::add_job_counters(&transaction, counters).await?;
        // Before the commit that skips their facts: after a crash in between they are delivered
        // again, with equal ids.
        publish_dead_letters(&self.log, &applied.dead).await?;
        transaction.commit().await?;

        // Counted after the commit: a batch that is rolled back is delivered again.
        metrics::count_batch(&applied);
        Ok(Writer::This)
    }

    fn publish_position(&self, at: &Checkpoint, feed: &Feed, writer: Writer) {
        let (lag, standby) = (feed.pending(), writer == Writer::Another);
        metrics::report_position(lag, standby);
        self.position.send_replace(Position {
            seq: at.seq(),
            lag,
            following: true,
            standby,
            trouble: None,
        });
    }
}

/// Which projector moved the checkpoint last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    This,
    Another,
}

/// The checkpoint moved back, or to another stream: another process rebuilt the tables.
struct Rewound;
