//! Where NATS is, and how it lets us in.

use std::path::PathBuf;

use clap::Args;
use secrecy::SecretString;

use crate::jetstream::NatsSettings;

/// Where NATS is.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "NATS")]
pub struct NatsArgs {
    /// One or several comma-separated nats:// or tls:// URLs. A user and password (`nats://user:password@host`) or a token
    /// (`nats://token@host`) are best given in the environment, since everybody on a machine can see command lines.
    #[arg(
        long,
        env = "NATS_URL",
        default_value = "nats://127.0.0.1:4222",
        hide_env_values = true
    )]
    pub nats_url: SecretString,
    /// A credentials file, as `nsc` makes it.
    #[arg(long, env = "NATS_CREDENTIALS", value_name = "FILE", conflicts_with = "nats_nkey")]
    pub nats_credentials: Option<PathBuf>,
    /// A file with the seed of an nkey, as `nk -gen user` makes it.
    #[arg(long, env = "NATS_NKEY", value_name = "FILE")]
    pub nats_nkey: Option<PathBuf>,
    /// The authorities that may sign the servers' certificates, in PEM; default: those of the system. Demands TLS.
    #[arg(long, env = "NATS_CA", value_name = "FILE")]
    pub nats_ca: Option<PathBuf>,
    /// A certificate to show to servers, in PEM. Demands TLS.
    #[arg(long, env = "NATS_CERT", value_name = "FILE", requires = "nats_key")]
    pub nats_cert: Option<PathBuf>,
    /// The private key of that certificate, in PEM.
    #[arg(long, env = "NATS_KEY", value_name = "FILE", requires = "nats_cert")]
    pub nats_key: Option<PathBuf>,
    /// Copies of every stream when provisioning: 3 in production, on a cluster.
    #[arg(long, env = "STREAM_REPLICAS", default_value_t = 1)]
    pub stream_replicas: usize,
}

impl NatsArgs {
    /// The settings of the connection named `name`.
    #[must_use]
    pub fn settings(&self, name: &str) -> NatsSettings {
        NatsSettings {
            url: self.nats_url.clone(),
            credentials: self.nats_credentials.clone(),
            nkey: self.nats_nkey.clone(),
            ca: self.nats_ca.clone(),
            certificate: self.nats_cert.clone(),
            key: self.nats_key.clone(),
            name: name.to_owned(),
        }
    }

    /// How streams are to be sized.
    #[must_use]
    pub const fn sizing(&self) -> streams::topology::Sizing {
        streams::topology::Sizing {
            replicas: self.stream_replicas,
        }
    }
}
