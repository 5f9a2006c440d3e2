//! The NATS servers and the credentials for them.

use std::path::PathBuf;

use clap::Args;
use jetstream::{Api, NatsSettings};
use secrecy::SecretString;
use streams::topology::{self, Sizing};

/// The NATS servers.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "NATS")]
pub struct NatsArgs {
    /// One or several comma-separated nats:// or tls:// URLs. A user and password
    /// (`nats://user:password@host`) or a token (`nats://token@host`) are best given in the
    /// environment, because everyone on a machine can see command lines.
    #[arg(
        long,
        env = "NATS_URL",
        default_value = "nats://127.0.0.1:4222",
        hide_env_values = true
    )]
    pub nats_url: SecretString,
    /// A credentials file, as `nsc` writes it.
    #[arg(
        long,
        env = "NATS_CREDENTIALS",
        value_name = "FILE",
        conflicts_with = "nats_nkey"
    )]
    pub nats_credentials: Option<PathBuf>,
    /// A file with the seed of an nkey, as `nk -gen user` prints it.
    #[arg(long, env = "NATS_NKEY", value_name = "FILE")]
    pub nats_nkey: Option<PathBuf>,
    /// The user whose password is in `NATS_PASSWORD_FILE`.
    #[arg(long, env = "NATS_USER", requires = "nats_password_file", conflicts_with_all = ["nats_credentials", "nats_nkey"])]
    pub nats_user: Option<String>,
    /// A file with the password of `NATS_USER`. Like every file with a secret, it is read at each
    /// connect, so it can be rotated.
    #[arg(
        long,
        env = "NATS_PASSWORD_FILE",
        value_name = "FILE",
        requires = "nats_user"
    )]
    pub nats_password_file: Option<PathBuf>,
    /// A file with a token.
    #[arg(long, env = "NATS_TOKEN_FILE", value_name = "FILE", conflicts_with_all = ["nats_credentials", "nats_nkey", "nats_user"])]
    pub nats_token_file: Option<PathBuf>,
    /// The JetStream domain, if the servers of `NATS_URL` are leaf nodes and the streams are
    /// elsewhere.
    #[arg(
        long,
        env = "NATS_JETSTREAM_DOMAIN",
        value_name = "NAME",
        conflicts_with = "nats_jetstream_api_prefix"
    )]
    pub nats_jetstream_domain: Option<String>,
    /// The prefix of the subjects of the JetStream API, if another account exports it under its own
    /// prefix.
    #[arg(long, env = "NATS_JETSTREAM_API_PREFIX", value_name = "SUBJECT")]
    pub nats_jetstream_api_prefix: Option<String>,
    /// The authorities that may sign the certificates of the servers, in PEM; default: those of the
    /// system. Requires TLS.
    #[arg(long, env = "NATS_CA", value_name = "FILE")]
    pub nats_ca: Option<PathBuf>,
    /// A client certificate, in PEM. Requires TLS.
    #[arg(long, env = "NATS_CERT", value_name = "FILE", requires = "nats_key")]
    pub nats_cert: Option<PathBuf>,
    /// The private key of that certificate, in PEM.
    #[arg(long, env = "NATS_KEY", value_name = "FILE", requires = "nats_cert")]
    pub nats_key: Option<PathBuf>,
    /// Copies of every stream, used when provisioning: 3 in production, on a cluster.
    #[arg(long, env = "STREAM_REPLICAS", default_value_t = 1)]
    pub stream_replicas: usize,
    /// Bytes that streams may hold, as NAME=BYTES, separated by commas; used when provisioning. By
    /// default `HLS_UPLOADS` may hold 1073741824, and the others as much as the account allows.
    #[arg(long, env = "STREAM_MAX_BYTES", value_name = "NAME=BYTES", value_delimiter = ',', value_parser = max_bytes)]
    pub stream_max_bytes: Vec<(String, i64)>,
    /// Largest number of messages of a consumer that are in work or wait for a retry; used when
    /// provisioning.
    #[arg(long, env = "CONSUMER_MAX_ACK_PENDING", default_value_t = topology::MAX_ACK_PENDING, value_parser = clap::value_parser!(i64).range(1..))]
    pub consumer_max_ack_pending: i64,
}

/// One limit of a stream, as `NAME=BYTES`.
fn max_bytes(text: &str) -> Result<(String, i64), String> {
    let (name, bytes) = text
        .split_once('=')
        .ok_or("it must look like HLS_UPLOADS=4294967296")?;
    if !topology::STREAMS.contains(&name) {
        return Err(format!(
            "there is no stream {name}; the streams are {}",
            topology::STREAMS.join(", ")
        ));
    }

    match bytes.parse() {
        Ok(bytes) if bytes > 0 => Ok((name.to_owned(), bytes)),
        _ => Err(format!("{bytes} is not a number of bytes")),
    }
}

impl NatsArgs {
    /// The settings of the connection named `name`.
    #[must_use]
    pub fn settings(&self, name: &str) -> NatsSettings {
        NatsSettings {
            url: self.nats_url.clone(),
            credentials: self.nats_credentials.clone(),
            nkey: self.nats_nkey.clone(),
            user: self.nats_user.clone(),
            password_file: self.nats_password_file.clone(),
            token_file: self.nats_token_file.clone(),
            api: match (&self.nats_jetstream_domain, &self.nats_jetstream_api_prefix) {
                // The command line does not take both.
                (Some(domain), _) => Api::Domain(domain.clone()),
                (None, Some(prefix)) => Api::Prefix(prefix.clone()),
                (None, None) => Api::Here,
            },
            ca: self.nats_ca.clone(),
            certificate: self.nats_cert.clone(),
            key: self.nats_key.clone(),
            name: name.to_owned(),
        }
    }

    /// The sizes of streams and consumers.
    #[must_use]
    pub fn sizing(&self) -> Sizing {
        Sizing {
            replicas: self.stream_replicas,
            max_bytes: self.stream_max_bytes.iter().cloned().collect(),
            max_ack_pending: self.consumer_max_ack_pending,
        }
    }
}
