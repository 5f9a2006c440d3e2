//! How long a command waits for the job log.

use std::time::Duration;

use anyhow::Context as _;

/// How long a command waits for the log; the log itself would wait forever.
const LOG_TIMEOUT: Duration = Duration::from_secs(20);

/// The answer of the log within [`LOG_TIMEOUT`].
pub(super) async fn answered<T>(reading: impl Future<Output = T>) -> anyhow::Result<T> {
    let answer = tokio::time::timeout(LOG_TIMEOUT, reading).await;
    answer.context("the job log does not answer; check NATS and run `fluxhls provision`")
}
