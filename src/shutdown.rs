//! The two signals that end the program, and the two moments of its end.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The end of the program in two moments: `stop` (take nothing new), then `hand_back` (return what is not finished).
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Take nothing new.
    pub stop: CancellationToken,
    /// The grace period is over: hand back what is not finished.
    pub hand_back: CancellationToken,
}

impl Shutdown {
    /// Ends the program on SIGTERM or SIGINT: `stop` at once, `hand_back` after `grace` or on a second signal.
    ///
    /// # Errors
    /// When the signals cannot be caught.
    pub fn on_signals(&self, grace: Duration) -> std::io::Result<()> {
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
            tokio::select! {
                () = tokio::time::sleep(grace) => {}
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            shutdown.hand_back.cancel();
        });
        Ok(())
    }
}
