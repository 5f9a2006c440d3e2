//! The connection to NATS, and the refusal of servers without the required guarantees.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::rustls::pki_types::pem::PemObject as _;
use async_nats::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use async_nats::{Client, ClientError, ConnectOptions, Event, ServerError, jetstream};
use metrics::{counter, gauge};

use super::identity::{Identity, unfit_file};
use super::refusal::advice;
use super::{ConnectionHealth, NatsSettings};

/// How long one server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no usable connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A setting is of no use.
    #[error("{setting}: {reason}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What is wrong with it and what it should be, without any secret.
        reason: String,
    },
    /// The server could not be reached or refused the connection.
    #[error("cannot connect to NATS at {url}: {reason}; {fix}")]
    Unreachable {
        /// The URLs without user information.
        url: String,
        /// The client's words.
        reason: String,
        /// What to do.
        fix: String,
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
    /// What did not work when it was tried last.
    pub health: ConnectionHealth,
    connected: Arc<AtomicBool>,
}

impl Nats {
    /// Connects to any of the servers, keeps reconnecting forever, and refuses servers older than
    /// the contract allows.
    ///
    /// # Errors
    /// When a setting is not valid, no server can be reached within five seconds each, they refuse
    /// the connection, or are too old.
    pub async fn connect(settings: &NatsSettings) -> Result<Self, ConnectError> {
        let servers = settings.servers()?;
        let identity = Identity::of(settings, servers.login.as_ref())?;

        let connected = Arc::new(AtomicBool::new(true));
        let health = ConnectionHealth::new(settings.api.prefix());
        let watcher = Watcher {
            connected: Arc::clone(&connected),
            health: health.clone(),
            identity: identity.clone(),
        };

        let mut options = add_identity(identity.clone())?
            .name(&settings.name)
            .connection_timeout(CONNECT_TIMEOUT)
            // A frozen server is noticed after two missed pings: 20 s, well within ack_wait.
            .ping_interval(Duration::from_secs(10))
            .max_reconnects(None)
            .event_callback(move |event| {
                let watcher = watcher.clone();
                async move { watcher.observe(&event) }
            });

        // Without `require_tls` the client continues in plain text if the server offers no TLS.
        if servers.tls || settings.ca.is_some() || settings.certificate.is_some() {
            options = options.require_tls(true);
        }
        options = add_certificates(options, settings)?;

        let unreachable = |reason: String, fix: String| ConnectError::Unreachable {
            url: servers.shown(),
            reason,
            fix,
        };
        let patience =
            CONNECT_TIMEOUT * u32::try_from(servers.addresses.len() + 1).unwrap_or(u32::MAX);
        let client = tokio::time::timeout(patience, options.connect(servers.addresses.clone()))
            .await
            .map_err(|_| {
                let reason = format!("no answer within {} seconds", patience.as_secs());
                unreachable(
                    reason,
                    "check NATS_URL and that nats-server runs".to_owned(),
                )
            })?
            .map_err(|error| {
                unreachable(
                    error.to_string(),
                    advice(&error, settings, identity.as_ref()),
                )
            })?;

        // Older servers can let several writers win one compare-and-set (nats-server issue 4320).
        streams::provision::check_server(&client.server_info().version)?;

        let js = jetstream::context::ContextBuilder::new()
            .timeout(Duration::from_secs(5))
            .api_prefix(settings.api.prefix())
            .build(client.clone());

        gauge!("fluxhls_nats_connected").set(1.0);
        // The counter exists from the start, so that its first increase is seen.
        counter!("fluxhls_nats_reconnects_total").increment(0);
        Ok(Self {
            client,
            js,
            health,
            connected,
        })
    }

    /// Whether the connection is up right now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Sends what is still queued, so that the last acknowledgements leave before the process does.
    pub async fn flush(&self) {
        if tokio::time::timeout(Duration::from_secs(5), self.client.flush())
            .await
            .is_err()
        {
            tracing::warn!(
                "NATS did not accept the last messages within 5 seconds; unacknowledged tasks are delivered again"
            );
        }
    }
}

/// Handles the events of the connection.
#[derive(Clone)]
struct Watcher {
    connected: Arc<AtomicBool>,
    health: ConnectionHealth,
    identity: Option<Identity>,
}

impl Watcher {
    fn observe(&self, event: &Event) {
        match event {
            Event::Connected => {
                gauge!("fluxhls_nats_connected").set(1.0);
                self.health.reconnected();
                // The client reports its first connect here, too, which is no reconnect: the flag
                // is true from the start.
                if !self.connected.swap(true, Ordering::Relaxed) {
                    counter!("fluxhls_nats_reconnects_total").increment(1);
                    tracing::info!("NATS is connected again");
                }
            }
            Event::Disconnected => {
                self.connected.store(false, Ordering::Relaxed);
                gauge!("fluxhls_nats_connected").set(0.0);
                tracing::warn!("NATS is disconnected; reconnecting");
            }
            Event::ServerError(error) => self.record_server_error(error),
            Event::ClientError(ClientError::Other(reason)) => {
                self.health.refused(self.explain_failure(reason))
            }
            other => tracing::debug!(event = %other, "NATS connection event"),
        }
    }

    /// The server denies an operation, or is about to end the connection.
    fn record_server_error(&self, error: &ServerError) {
        let words = error.to_string();
        // Without the first letter, so that its case does not matter.
        if words.contains("ermissions Violation") {
            if self.health.denied(&words) {
                tracing::warn!(
                    reason = words,
                    "NATS denied an operation; see /readyz and docs/nats.md"
                );
            }
        } else {
            tracing::warn!(reason = words, "NATS complains");
            self.health.refused(self.explain_failure(&words));
        }
    }

    /// Why a connection failed, with the setting to check. A file that cannot be read explains more
    /// than the client does.
    fn explain_failure(&self, reason: &str) -> String {
        let unreadable = self
            .identity
            .as_ref()
            .and_then(|identity| identity.read(b"").err());
        if let Some(error) = unreadable {
            return error.to_string();
        }

        let reason = reason.trim_start_matches("nats: ");
        let setting = self.identity.as_ref().map_or("NATS_URL", Identity::setting);
        if reason.to_lowercase().contains("auth") {
            format!(
                "{reason}; check {setting}, which is read again at every try, and that the server knows it"
            )
        } else {
            format!("{reason}; check that nats-server runs and can be reached")
        }
    }
}

/// Adds the certificates of the settings, after a look at each: the client itself would say only
/// that there was no TLS.
fn add_certificates(
    mut options: ConnectOptions,
    settings: &NatsSettings,
) -> Result<ConnectOptions, ConnectError> {
    if let Some(path) = &settings.ca {
        certificates("NATS_CA", path)?;
        options = options.add_root_certificates(path.clone());
    }

    match (&settings.certificate, &settings.key) {
        (Some(certificate), Some(key)) => {
            certificates("NATS_CERT", certificate)?;
            PrivateKeyDer::from_pem_file(key).map_err(|error| {
                unfit_file(
                    "NATS_KEY",
                    key,
                    &format!("holds no private key in PEM ({error})"),
                )
            })?;
            Ok(options.add_client_certificate(certificate.clone(), key.clone()))
        }
        (None, None) => Ok(options),
        (Some(path), None) => Err(unfit_file(
            "NATS_CERT",
            path,
            "has no key; set NATS_KEY, too",
        )),
        (None, Some(path)) => Err(unfit_file(
            "NATS_KEY",
            path,
            "has no certificate; set NATS_CERT, too",
        )),
    }
}

fn certificates(setting: &'static str, path: &Path) -> Result<(), ConnectError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if !found.is_empty() => Ok(()),
        Ok(_) => Err(unfit_file(setting, path, "holds no certificate in PEM")),
        Err(error) => Err(unfit_file(
            setting,
            path,
            &format!("holds no certificate in PEM ({error})"),
        )),
    }
}

/// Options with the identity, which is read at each connect. A file that is not usable now is
/// reported at once.
fn add_identity(identity: Option<Identity>) -> Result<ConnectOptions, ConnectError> {
    let Some(identity) = identity else {
        return Ok(ConnectOptions::new());
    };
    identity.read(b"")?;
    Ok(ConnectOptions::with_auth_callback(move |nonce| {
        let answer = identity.answer(&nonce);
        async move { answer }
    }))
}
