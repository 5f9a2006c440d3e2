//! Keeps the lease on a task while this worker works on it, and notices when it is lost.
//!
//! The server does not fence acknowledgements: a worker that was paused beyond `ack_wait` can still
//! extend, remove or return the message that another one holds by now. So only the newest attempt
//! speaks for the task, and each heartbeat checks whether that is the attempt of this worker.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use jetstream::Delivery;
use streams::fact::FactKind;
use streams::{JobId, TaskKey, subject, topology};
use tokio::time::Instant;

use super::Jobs;

/// How long the work counter may stay unchanged before the work counts as stuck. ffmpeg has its own,
/// equal deadline; this one covers everything else, and leaves that one the first word.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(150);

/// A monotone counter of work done: frames, bytes read or uploaded, objects checked. Clones count
/// together.
#[derive(Debug, Clone, Default)]
pub struct WorkCounter(Arc<AtomicU64>);

impl WorkCounter {
    /// Counts work.
    pub fn add(&self, work: u64) {
        self.0.fetch_add(work, Ordering::Relaxed);
    }

    /// Counts what `total` grows by, each second, until dropped.
    pub async fn follow(&self, total: impl Fn() -> u64) -> Infallible {
        let mut counted = 0;
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = total();
            self.add(now.saturating_sub(counted));
            counted = now;
        }
    }

    /// Work counted so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why a lease ended before its work did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseEnd {
    /// Another worker started the task, or the server confirmed no heartbeat for `ack_wait`.
    Lost,
    /// The job was canceled, decided or ended meanwhile.
    JobDecided,
    /// The work counter did not move for [`STALL_TIMEOUT`].
    Stalled,
    /// The worker shuts down, and its grace period is over.
    HandedBack,
}

/// Heartbeats until the lease ends. Dropped when the work is done.
pub(super) async fn hold_lease(
    jobs: &Jobs,
    delivery: &Delivery,
    key: &TaskKey,
    attempt: u64,
    work_counter: &WorkCounter,
) -> LeaseEnd {
    tokio::select! {
        end = send_heartbeats(jobs, delivery, key, attempt, work_counter) => end,
        () = wait_until_job_decided(jobs, &key.job_id) => LeaseEnd::JobDecided,
    }
}

async fn send_heartbeats(
    jobs: &Jobs,
    delivery: &Delivery,
    key: &TaskKey,
    attempt: u64,
    work_counter: &WorkCounter,
) -> LeaseEnd {
    let mut confirmed = Instant::now();
    let (mut count, mut moved) = (work_counter.count(), Instant::now());

    loop {
        tokio::time::sleep(topology::HEARTBEAT).await;

        if work_counter.count() != count {
            (count, moved) = (work_counter.count(), Instant::now());
        } else if moved.elapsed() >= STALL_TIMEOUT {
            return LeaseEnd::Stalled;
        }

        // After a pause of the whole process this comes first: the deadline is judged by the
        // current answer of the server.
        let beat = async {
            let alive = delivery.heartbeat().await;
            (
                alive,
                jobs.is_newest_attempt(&key.job_id, key.task, attempt).await,
                is_job_decided(jobs, &key.job_id).await,
            )
        };

        match tokio::time::timeout(topology::HEARTBEAT, beat).await {
            // A newer attempt holds the task even if the server confirmed the heartbeat.
            Ok((_, false, _)) => return LeaseEnd::Lost,
            Ok((_, _, true)) => return LeaseEnd::JobDecided,
            Ok((true, true, false)) => confirmed = Instant::now(),
            // One missed confirmation is no loss: the server redelivers after `ack_wait` at the
            // earliest.
            Ok((false, true, false)) | Err(_) if confirmed.elapsed() >= topology::ACK_WAIT => {
                return LeaseEnd::Lost;
            }
            Ok((false, true, false)) | Err(_) => {}
        }
    }
}

async fn is_job_decided(jobs: &Jobs, job: &JobId) -> bool {
    let facts = jobs
        .log
        .subjects(topology::JOBS, &subject::facts_of(job))
        .await;
    [FactKind::Cancel, FactKind::Verdict, FactKind::Ended]
        .into_iter()
        .any(|kind| facts.contains_key(&subject::fact(job, kind)))
}

/// Ends when the job's cancel, verdict or end is published on core NATS: faster than the next
/// heartbeat, but not sure to come.
async fn wait_until_job_decided(jobs: &Jobs, job: &JobId) {
    let mut subjects = jobs
        .log
        .subscribe(format!("live.{}", subject::facts_of(job)))
        .await;
    while let Some(subject) = subjects.next().await {
        if let Some((_, FactKind::Cancel | FactKind::Verdict | FactKind::Ended)) =
            subject::parse_fact(&subject)
        {
            return;
        }
    }
    // Without a subscription the heartbeats alone ask, so this branch must not end the
    // `select!`.
    std::future::pending().await
}
