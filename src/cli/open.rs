//! The connections of commands that work on jobs.

use std::time::Duration;

use jetstream::{Log, Nats};
use storage::Storage;

use crate::config::{NatsArgs, StorageArgs, WorkerArgs};
use crate::job::{CircuitBreaker, JobSettings, Jobs};

/// Connects to the log and the output bucket as `name`.
///
/// # Errors
/// When NATS cannot be reached.
pub(super) async fn jobs(
    name: &str,
    nats: &NatsArgs,
    storage: &StorageArgs,
    worker: &WorkerArgs,
) -> anyhow::Result<Jobs> {
    let log = Log::new(Nats::connect(&nats.settings(name)).await?);
    let output = Storage::connect(&storage.settings())
        .await
        .bucket(&storage.s3_bucket);

    let settings = JobSettings {
        worker: worker.worker_name(),
        public_base_url: storage.public_base_url(),
        live_base_url: storage.live_base_url(),
        output_root: storage.output_root.clone(),
        source_wait: Duration::from_secs(worker.source_wait),
        retry_delay: Duration::from_secs(worker.retry_delay),
    };

    Ok(Jobs {
        log,
        output,
        settings,
        breaker: CircuitBreaker::default(),
    })
}
