//! The signals that end the program, and the three moments of its end.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long a process may take after its grace period to release unfinished tasks.
const HAND_BACK_LIMIT: Duration = Duration::from_secs(5);

/// The end of the program has three moments. Each is also awaited in one place that limits
/// everything before it, because much of what a process waits for (NATS, the storage, a lock of the
/// database) may never arrive.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Take nothing new.
    pub stop: CancellationToken,
    /// The grace period is over: end what is not finished, and hand it back.
    pub hand_back: CancellationToken,
    /// Leave, whatever is not done. What is left undone is as after `kill -9`: others do it.
    pub leave: CancellationToken,
}

impl Shutdown {
    /// Ends the program on SIGTERM or SIGINT: `stop` at once, `hand_back` after `grace`, `leave`
    /// five seconds later or on a second signal.
    ///
    /// # Errors
    /// When the signals cannot be caught.
    pub fn on_signals(&self, grace: Duration) -> std::io::Result<()> {
        // From here on neither signal ends the process directly.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;

        let shutdown = self.clone();
        tokio::spawn(async move {
            let received = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            tracing::info!(
                signal = received,
                grace_seconds = grace.as_secs(),
                "stopping; tasks in work may finish"
            );
            shutdown.stop.cancel();

            let deadline = async {
                tokio::time::sleep(grace).await;
                shutdown.hand_back.cancel();
                tokio::time::sleep(HAND_BACK_LIMIT).await;
            };
            tokio::select! {
                () = deadline => {}
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            shutdown.leave.cancel();
        });
        Ok(())
    }
}
