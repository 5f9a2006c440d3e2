//! Streams and consumers as values: what `provision` creates and what `--check` compares with.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Republish, RetentionPolicy, StorageType,
};

use crate::subject;
use crate::task::{Class, Lane};

/// Upload events.
pub const UPLOADS: &str = "HLS_UPLOADS";
/// The job log: the truth.
pub const JOBS: &str = "HLS_JOBS";
/// Messages between workers.
pub const WORK: &str = "HLS_WORK";
/// The queue.
pub const TASKS: &str = "HLS_TASKS";
/// Last progress of each task.
pub const PROGRESS: &str = "HLS_PROGRESS";
/// Dead letters.
pub const DEAD: &str = "HLS_DEAD";

/// The durable consumer of upload events.
pub const INTAKE: &str = "intake";
/// Most tasks on the queue; a full queue refuses and the sweep plans again.
pub const MAX_TASKS: i64 = 1_000_000;
/// Bytes that a server must accept in one message: the largest fact (`accepted`, 300 KiB) with its
/// headers, and room to spare.
pub const MIN_PAYLOAD: usize = 512 * 1024;
/// How long a worker may be silent before its task goes to another.
pub const ACK_WAIT: Duration = Duration::from_secs(30);
/// How often a worker sends a heartbeat: a third of [`ACK_WAIT`].
pub const HEARTBEAT: Duration = Duration::from_secs(10);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Most messages of a consumer that may be in work or wait for their repetition. Delayed retries
/// count, so the limit must be far above the slots of all workers.
pub const MAX_ACK_PENDING: i64 = 10_000;

/// The name of every stream of the contract.
pub const STREAMS: [&str; 6] = [UPLOADS, JOBS, WORK, TASKS, PROGRESS, DEAD];

/// What an installation may choose about its streams and consumers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizing {
    /// Copies of every stream: 1 on a single server, 3 in production.
    pub replicas: usize,
    /// Bytes that streams may hold, by name, if that differs from the contract (1 GiB for
    /// `HLS_UPLOADS`, nothing for the others).
    pub max_bytes: BTreeMap<String, i64>,
    /// Messages of a consumer that may be in work or wait for their repetition.
    pub max_ack_pending: i64,
}

impl Default for Sizing {
    fn default() -> Self {
        Self {
            replicas: 1,
            max_bytes: BTreeMap::new(),
            max_ack_pending: MAX_ACK_PENDING,
        }
    }
}

/// A durable consumer and the stream it reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Durable {
    /// The stream.
    pub stream: &'static str,
    /// Its configuration; `durable_name` is set.
    pub config: pull::Config,
}

impl Durable {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.config.durable_name.as_deref().unwrap_or_default()
    }
}

/// Every stream of the contract, as large as an installation wants it.
#[must_use]
pub fn streams(sizing: &Sizing) -> Vec<Config> {
    let mut streams = contract(sizing.replicas);
    for stream in &mut streams {
        if let Some(bytes) = sizing.max_bytes.get(&stream.name) {
            stream.max_bytes = *bytes;
        }
    }
    streams
}

fn contract(replicas: usize) -> Vec<Config> {
    let base = |name: &str, subjects: &[&str], days: u32| Config {
        name: name.to_owned(),
        subjects: subjects
            .iter()
            .map(|subject| (*subject).to_owned())
            .collect(),
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        max_age: DAY * days,
        num_replicas: replicas,
        ..Config::default()
    };

    vec![
        Config {
            duplicate_window: Duration::from_secs(60 * 60),
            max_bytes: 1 << 30,
            description: Some("Upload and delete events from publishers".to_owned()),
            ..base(UPLOADS, &[subject::UPLOAD, subject::DELETE], 14)
        },
        Config {
            allow_direct: true,
            deny_delete: true,
            republish: Some(Republish {
                source: subject::ALL_FACTS.to_owned(),
                destination: subject::ALL_LIVE.to_owned(),
                headers_only: false,
            }),
            description: Some(
                "The job log: facts, identities, prefix owners. Never purge it".to_owned(),
            ),
            ..base(
                JOBS,
                &[
                    subject::ALL_FACTS,
                    subject::ALL_SOURCES,
                    subject::ALL_CURRENT,
                ],
                90,
            )
        },
        Config {
            description: Some("Attempts and results of tasks".to_owned()),
            ..base(WORK, &[subject::ALL_WORK], 14)
        },
        Config {
            retention: RetentionPolicy::WorkQueue,
            max_messages: MAX_TASKS,
            description: Some("The queue: one live task per subject".to_owned()),
            // No age limit: a task may wait for a worker as long as it has to.
            ..base(TASKS, &[subject::ALL_TASKS], 0)
        },
        Config {
            discard: DiscardPolicy::Old,
            // Only the last value counts, and a new one must never be refused.
            max_messages_per_subject: 1,
            description: Some("Last progress of each task".to_owned()),
            ..base(PROGRESS, &[subject::ALL_PROGRESS], 1)
        },
        dead_letters(base(DEAD, &[subject::ALL_DEAD], 90)),
    ]
}

/// Dead letters also include the advisories of the server about the queue, as a fallback for
/// messages that fluxhls itself did not handle.
fn dead_letters(base: Config) -> Config {
    let mut subjects = base.subjects.clone();
    for advisory in ["MAX_DELIVERIES", "MSG_TERMINATED"] {
        subjects.push(format!("$JS.EVENT.ADVISORY.CONSUMER.{advisory}.{TASKS}.>"));
    }

    Config {
        subjects,
        discard: DiscardPolicy::Old,
        description: Some("Dead letters, and advisories of the server about the queue".to_owned()),
        ..base
    }
}

/// The name of the durable that serves tasks of a class and lane. Only `encode` has one per lane.
#[must_use]
pub const fn durable(class: Class, lane: Lane) -> &'static str {
    match (class, lane) {
        (Class::Plan, _) => "plan",
        (Class::Tracks, _) => "tracks",
        (Class::Package, _) => "package",
        (Class::Encode, Lane::Hi) => "encode-hi",
        (Class::Encode, Lane::Lo) => "encode-lo",
    }
}

/// Every durable consumer of the contract.
#[must_use]
pub fn durables(sizing: &Sizing) -> Vec<Durable> {
    let base = |name: &str| pull::Config {
        durable_name: Some(name.to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        // Attempts are counted in the log, not by the server: a message that reached a delivery
        // limit would lie there unseen.
        max_deliver: -1,
        max_ack_pending: sizing.max_ack_pending,
        max_waiting: 4096,
        ..pull::Config::default()
    };

    let task = |class: Class, lane: Option<Lane>| Durable {
        stream: TASKS,
        config: pull::Config {
            filter_subject: subject::tasks_in(class, lane),
            ..base(durable(class, lane.unwrap_or(Lane::Lo)))
        },
    };

    vec![
        Durable {
            stream: UPLOADS,
            config: pull::Config {
                // By name, so that this consumer does not receive events that a later release adds
                // to the stream.
                filter_subjects: vec![subject::UPLOAD.to_owned(), subject::DELETE.to_owned()],
                ..base(INTAKE)
            },
        },
        task(Class::Plan, None),
        task(Class::Tracks, None),
        task(Class::Package, None),
        task(Class::Encode, Some(Lane::Hi)),
        task(Class::Encode, Some(Lane::Lo)),
    ]
}

#[cfg(test)]
mod tests {
    use strum::VariantArray as _;

    use super::*;

    #[test]
    fn every_class_and_lane_has_exactly_one_consumer() {
        let names: Vec<_> = durables(&Sizing::default())
            .into_iter()
            .filter_map(|durable| durable.config.durable_name)
            .collect();
        for &class in Class::VARIANTS {
            for lane in [Lane::Hi, Lane::Lo] {
                assert_eq!(
                    names
                        .iter()
                        .filter(|name| *name == durable(class, lane))
                        .count(),
                    1
                );
            }
        }
    }

    #[test]
    fn the_queue_keeps_tasks_for_ever_and_refuses_when_full() {
        let tasks = streams(&Sizing::default())
            .into_iter()
            .find(|stream| stream.name == TASKS)
            .unwrap();
        assert_eq!(tasks.max_age, Duration::ZERO);
        assert_eq!(tasks.discard, DiscardPolicy::New);
        assert_eq!(tasks.retention, RetentionPolicy::WorkQueue);
    }
}
