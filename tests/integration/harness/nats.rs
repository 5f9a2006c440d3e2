//! A real nats-server of a test's own, which the test may kill and start again over the same store.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use tokio::fs;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use super::process::{command, tool};

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(30);

/// A nats-server on loopback that flushes every message to disk, as production does on a single server.
#[derive(Debug)]
pub(crate) struct Nats {
    folder: PathBuf,
    port: u16,
    child: Child,
}

impl Nats {
    /// Starts a server on a free port with its store in `folder`.
    pub(crate) async fn start(folder: &Path) -> Self {
        let folder = folder.join("nats");
        fs::create_dir_all(&folder).await.unwrap();
        // The server itself picks the port: one we picked could be taken before it listens.
        let (child, port) = launch(&folder, -1).await;
        Self { folder, port, child }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// A connection of the test's.
    pub(crate) async fn connect(&self) -> Context {
        let options = async_nats::ConnectOptions::new().name("integration test");
        jetstream::new(options.connect(self.url()).await.unwrap())
    }

    /// `kill -9`.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Starts the server again, on the same port and store.
    pub(crate) async fn restart(&mut self) {
        (self.child, _) = launch(&self.folder, i32::from(self.port)).await;
    }
}

/// Starts a server and waits until it says that it is ready; returns the port it listens on.
async fn launch(folder: &Path, port: i32) -> (Child, u16) {
    let configuration = folder.join("nats.conf");
    let store = folder.join("store");
    let text = format!(
        "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: {store:?}, sync_interval: always, max_file: 4G }}\nlogtime: false\n"
    );
    fs::write(&configuration, text).await.unwrap();
    let mut child = command(tool("nats-server"))
        .arg("-c")
        .arg(&configuration)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("nats-server starts; run `make tools`");
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let ready = async {
        let mut port = None;
        let mut said = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some((_, address)) = line.split_once("client connections on ") {
                port = address.rsplit(':').next().and_then(|port| port.trim().parse().ok());
            }
            if line.contains("Server is ready") {
                return port.expect("the server names its port");
            }
            said.push_str(&line);
            said.push('\n');
        }
        panic!("nats-server ended at its start:\n{said}");
    };
    let port = tokio::time::timeout(START, ready)
        .await
        .expect("nats-server is ready in time");
    // A full pipe would stop the server.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_acknowledged_survives_the_death_of_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let mut nats = Nats::start(folder.path()).await;
        let config = jetstream::stream::Config {
            name: "KEPT".to_owned(),
            subjects: vec!["kept".to_owned()],
            ..Default::default()
        };
        nats.connect().await.create_stream(config).await.unwrap();
        nats.connect()
            .await
            .publish("kept", "word".into())
            .await
            .unwrap()
            .await
            .unwrap();
        nats.kill().await;
        nats.restart().await;
        let mut stream = nats.connect().await.get_stream("KEPT").await.unwrap();
        assert_eq!(stream.info().await.unwrap().state.messages, 1);
    }
}
