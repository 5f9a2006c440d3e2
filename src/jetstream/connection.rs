//! The connection to NATS, and the refusal of servers that cannot keep the promises we build on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::rustls::pki_types::pem::PemObject as _;
use async_nats::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use async_nats::{Client, ConnectOptions, Event, jetstream};
use metrics::{counter, gauge};
use secrecy::ExposeSecret as _;

use super::NatsSettings;
use super::refusal::advice;
use super::settings::Login;

/// How long one server may take to let us in.
const PATIENCE: Duration = Duration::from_secs(5);

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
    /// The server could not be reached or refused us.
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
    connected: Arc<AtomicBool>,
}

impl Nats {
    /// Connects to any of the servers, keeps reconnecting for ever, and refuses servers older than the contract allows.
    ///
    /// # Errors
    /// When a setting is of no use, no server can be reached within five seconds each, they refuse us, or are too old.
    pub async fn connect(settings: &NatsSettings) -> Result<Self, ConnectError> {
        let servers = settings.servers()?;
        let connected = Arc::new(AtomicBool::new(true));
        let seen = Arc::clone(&connected);
        let mut options = ConnectOptions::new()
            .name(&settings.name)
            .connection_timeout(PATIENCE)
            // A frozen server is noticed after two missed pings: 20 s, well within ack_wait.
            .ping_interval(Duration::from_secs(10))
            .max_reconnects(None)
            .event_callback(move |event| {
                let seen = Arc::clone(&seen);
                async move { observe(&event, &seen) }
            });
        if servers.tls || settings.ca.is_some() || settings.certificate.is_some() {
            options = options.require_tls(true);
        }
        options = certified(options, settings)?;
        options = identified(options, settings, servers.login.as_ref()).await?;
        let unreachable = |reason: String, fix: String| ConnectError::Unreachable {
            url: servers.shown(),
            reason,
            fix,
        };
        let patience = PATIENCE * u32::try_from(servers.addresses.len() + 1).unwrap_or(u32::MAX);
        let client = tokio::time::timeout(patience, options.connect(servers.addresses.clone()))
            .await
            .map_err(|_| {
                let reason = format!("no answer within {} seconds", patience.as_secs());
                unreachable(reason, "check NATS_URL and that nats-server runs".to_owned())
            })?
            .map_err(|error| unreachable(error.to_string(), advice(&error, settings, servers.login.is_some())))?;
        streams::provision::check_server(&client.server_info().version)?;
        let js = jetstream::context::ContextBuilder::new()
            .timeout(Duration::from_secs(5))
            .build(client.clone());
        gauge!("fluxhls_nats_connected").set(1.0);
        counter!("fluxhls_nats_reconnects_total").increment(0);
        Ok(Self { client, js, connected })
    }

    /// Whether the connection stands right now.
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

/// Adds the certificates of the settings, after a look at each: the client itself would say only that there was no TLS.
fn certified(mut options: ConnectOptions, settings: &NatsSettings) -> Result<ConnectOptions, ConnectError> {
    if let Some(path) = &settings.ca {
        certificates("NATS_CA", path)?;
        options = options.add_root_certificates(path.clone());
    }
    match (&settings.certificate, &settings.key) {
        (Some(certificate), Some(key)) => {
            certificates("NATS_CERT", certificate)?;
            PrivateKeyDer::from_pem_file(key)
                .map_err(|error| unfit("NATS_KEY", key, &format!("holds no private key in PEM ({error})")))?;
            Ok(options.add_client_certificate(certificate.clone(), key.clone()))
        }
        (None, None) => Ok(options),
        (Some(path), None) => Err(unfit("NATS_CERT", path, "has no key; set NATS_KEY, too")),
        (None, Some(path)) => Err(unfit("NATS_KEY", path, "has no certificate; set NATS_CERT, too")),
    }
}

fn certificates(setting: &'static str, path: &Path) -> Result<(), ConnectError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if !found.is_empty() => Ok(()),
        Ok(_) => Err(unfit(setting, path, "holds no certificate in PEM")),
        Err(error) => Err(unfit(setting, path, &format!("holds no certificate in PEM ({error})"))),
    }
}

/// Adds who we are: the credentials file, the nkey, or what the URL says.
async fn identified(
    options: ConnectOptions,
    settings: &NatsSettings,
    login: Option<&Login>,
) -> Result<ConnectOptions, ConnectError> {
    if let Some(path) = &settings.credentials {
        let read = options.credentials_file(path).await;
        return read.map_err(|error| unfit("NATS_CREDENTIALS", path, &format!("is no credentials file ({error})")));
    }
    if let Some(path) = &settings.nkey {
        return Ok(options.nkey(seed(path)?));
    }
    Ok(match login {
        Some(Login::Password(user, password)) => {
            options.user_and_password(user.clone(), password.expose_secret().to_owned())
        }
        Some(Login::Token(token)) => options.token(token.expose_secret().to_owned()),
        None => options,
    })
}

/// The seed in a file as `nk -gen user` or `nsc` writes it.
fn seed(path: &Path) -> Result<String, ConnectError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| unfit("NATS_NKEY", path, &format!("cannot be read ({error})")))?;
    let seed = text.lines().map(str::trim).find(|line| line.starts_with("SU"));
    seed.filter(|seed| nkeys::KeyPair::from_seed(seed).is_ok())
        .map(str::to_owned)
        .ok_or_else(|| {
            unfit(
                "NATS_NKEY",
                path,
                "holds no seed of a user, which is a line that begins with SU",
            )
        })
}

fn unfit(setting: &'static str, path: &Path, why: &str) -> ConnectError {
    ConnectError::Setting {
        setting,
        reason: format!("{} {why}", path.display()),
    }
}
