//! The connection to NATS, and the refusal of servers that cannot keep the promises we build on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, jetstream};
use metrics::{counter, gauge};

/// Where NATS is and how to be let in.
#[derive(Debug, Clone)]
pub struct NatsSettings {
    /// One or several comma-separated `nats://` or `tls://` URLs.
    pub url: String,
    /// A credentials file.
    pub credentials: Option<PathBuf>,
    /// The name the server shows for this connection.
    pub name: String,
}

/// Why there is no usable connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server could not be reached or refused us.
    #[error("cannot connect to NATS at {url}: {reason}; check NATS_URL and that nats-server runs")]
    Unreachable {
        /// The URL without user information.
        url: String,
        /// The client's words.
        reason: String,
    },
    /// The server is too old.
    #[error(transparent)]
    TooOld(#[from] streams::provision::ProvisionError),
}

/// A connection to NATS. Clones share it.
#[derive(Debug, Clone)]
pub struct Nats {
    /// The core client.
    pub client: Client,
    /// The JetStream API over it.
    pub js: jetstream::Context,
    connected: Arc<AtomicBool>,
}

impl Nats {
    /// Connects, keeps reconnecting for ever, and refuses servers older than the contract allows.
    ///
    /// # Errors
    /// When the server cannot be reached within ten seconds, refuses the credentials, or is too old.
    pub async fn connect(settings: &NatsSettings) -> Result<Self, ConnectError> {
        let unreachable = |reason: String| ConnectError::Unreachable {
            url: without_user(&settings.url),
            reason,
        };
        let connected = Arc::new(AtomicBool::new(true));
        let seen = Arc::clone(&connected);
        let mut options = ConnectOptions::new()
            .name(&settings.name)
            // A frozen server is noticed after two missed pings: 20 s, well within ack_wait.
            .ping_interval(Duration::from_secs(10))
            .max_reconnects(None)
            .event_callback(move |event| {
                let seen = Arc::clone(&seen);
                async move { observe(&event, &seen) }
            });
        if let Some(path) = &settings.credentials {
            options = options
                .credentials_file(path)
                .await
                .map_err(|error| unreachable(format!("credentials file {}: {error}", path.display())))?;
        }
        let servers: Vec<&str> = settings.url.split(',').map(str::trim).collect();
        let client = tokio::time::timeout(Duration::from_secs(10), options.connect(servers))
            .await
            .map_err(|_| unreachable("no answer within 10 seconds".to_owned()))?
            .map_err(|error| unreachable(error.to_string()))?;
        streams::provision::check_server(&client.server_info().version)?;
        let js = jetstream::context::ContextBuilder::new()
            .timeout(Duration::from_secs(5))
            .build(client.clone());
        gauge!("fluxhls_nats_connected").set(1.0);
        Ok(Self { client, js, connected })
    }

    /// Whether the connection stands right now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// How many bytes the server takes in one message, headers included.
    #[must_use]
    pub fn max_payload(&self) -> usize {
        self.client.max_payload()
    }

    /// Sends what is still queued, so that the last acknowledgements leave before the process does.
    pub async fn flush(&self) {
        if tokio::time::timeout(Duration::from_secs(5), self.client.flush())
            .await
            .is_err()
        {
            tracing::warn!(
                "NATS did not take the last messages within 5 seconds; unacknowledged tasks are delivered again"
            );
        }
    }
}

fn observe(event: &Event, connected: &AtomicBool) {
    match event {
        Event::Connected => {
            gauge!("fluxhls_nats_connected").set(1.0);
            if !connected.swap(true, Ordering::Relaxed) {
                counter!("fluxhls_nats_reconnects_total").increment(1);
                tracing::info!("NATS is connected again");
            }
        }
        Event::Disconnected => {
            connected.store(false, Ordering::Relaxed);
            gauge!("fluxhls_nats_connected").set(0.0);
            tracing::warn!("NATS is disconnected; reconnecting");
        }
        other => tracing::debug!(event = %other, "NATS connection event"),
    }
}

/// A URL list without user names and passwords, fit for messages.
fn without_user(urls: &str) -> String {
    let strip = |url: &str| match url.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, host)| host)),
        None => url.rsplit_once('@').map_or(url, |(_, host)| host).to_owned(),
    };
    urls.split(',').map(strip).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_in_a_message_has_no_password() {
        assert_eq!(
            without_user("nats://u:p@a:4222,tls://t@b,c:1"),
            "nats://a:4222,tls://b,c:1"
        );
    }
}
