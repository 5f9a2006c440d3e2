//! A real nats-server of a test's own, or a cluster of three, which the test may kill and start again over the same stores.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::{self, Context};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::fs;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use super::process::{command, tool};

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(30);

/// What a server wants to see of those who come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Demands {
    /// Lines of its configuration.
    pub(crate) configuration: String,
    /// `user:password@` or `token@`, as it stands in a URL.
    pub(crate) login: String,
    /// The authority that signed its certificate.
    pub(crate) ca: Option<PathBuf>,
}

/// One or three nats-servers on loopback that flush every message to disk, as production does on a single server.
#[derive(Debug)]
pub(crate) struct Nats {
    servers: Vec<Server>,
    demands: Demands,
}

#[derive(Debug)]
struct Server {
    name: String,
    folder: PathBuf,
    listens: Listens,
    child: Child,
}

/// The ports of a server: for clients and, in a cluster, for its peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Listens {
    clients: u16,
    peers: Option<u16>,
}

impl Nats {
    /// Starts a server on a free port with its store in `folder`.
    pub(crate) async fn start(folder: &Path) -> Self {
        Self::demanding(folder, Demands::default()).await
    }

    /// Starts a server that does not let everybody in.
    pub(crate) async fn demanding(folder: &Path, demands: Demands) -> Self {
        let folder = folder.join("nats");
        let launched = launch("nats", &folder, None, None, &demands.configuration).await;
        let servers = vec![Server::of("nats", folder, launched)];
        Self { servers, demands }
    }

    /// Starts three servers that keep their streams together.
    pub(crate) async fn cluster(folder: &Path) -> Self {
        let mut servers: Vec<Server> = Vec::new();
        for name in ["ada", "bob", "cyd"] {
            let folder = folder.join(name);
            let peers = peers(&servers);
            let launched = launch(name, &folder, None, Some(&peers), "").await;
            servers.push(Server::of(name, folder, launched));
        }
        let demands = Demands::default();
        Self { servers, demands }
    }

    /// How many servers there are: as many copies a stream can have.
    pub(crate) fn size(&self) -> usize {
        self.servers.len()
    }

    /// Its URL, or those of all of its servers.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.demands.ca.is_some() { "tls" } else { "nats" };
        let urls = self
            .servers
            .iter()
            .map(|server| format!("{scheme}://{}127.0.0.1:{}", self.demands.login, server.listens.clients));
        urls.collect::<Vec<_>>().join(",")
    }

    /// Where its first server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.servers[0].listens.clients))
    }

    /// What the program gets to know of it.
    pub(crate) fn environment(&self) -> BTreeMap<&'static str, String> {
        let mut environment = BTreeMap::from([("NATS_URL", self.url()), ("STREAM_REPLICAS", self.size().to_string())]);
        if let Some(ca) = &self.demands.ca {
            environment.insert("NATS_CA", ca.display().to_string());
        }
        environment
    }

    /// A connection of the test's.
    pub(crate) async fn connect(&self) -> Context {
        let mut options = ConnectOptions::new().name("integration test");
        if let Some(ca) = &self.demands.ca {
            options = options.add_root_certificates(ca.clone()).require_tls(true);
        }
        if let Some((user, password)) = self.demands.login.trim_end_matches('@').split_once(':') {
            options = options.user_and_password(user.to_owned(), password.to_owned());
        }
        let urls = self
            .servers
            .iter()
            .map(|server| format!("nats://127.0.0.1:{}", server.listens.clients));
        jetstream::new(options.connect(urls.collect::<Vec<_>>()).await.unwrap())
    }

    /// `kill -9` to all of its servers.
    pub(crate) async fn kill(&mut self) {
        for server in &mut self.servers {
            server.child.kill().await.unwrap();
        }
    }

    /// Starts its servers again, on the same ports and stores.
    pub(crate) async fn restart(&mut self) {
        for name in self
            .servers
            .iter()
            .map(|server| server.name.clone())
            .collect::<Vec<_>>()
        {
            self.restart_one(&name).await;
        }
    }

    /// `kill -9` to one server of a cluster.
    pub(crate) async fn kill_one(&mut self, name: &str) {
        self.server(name).child.kill().await.unwrap();
    }

    /// Starts one server of a cluster again.
    pub(crate) async fn restart_one(&mut self, name: &str) {
        let peers = peers(&self.servers);
        let configuration = self.demands.configuration.clone();
        let server = self.server(name);
        let peers = server.listens.peers.map(|_| peers.as_str());
        let (folder, listens) = (server.folder.clone(), server.listens);
        let (child, now) = launch(name, &folder, Some(listens), peers, &configuration).await;
        assert_eq!(now, listens);
        server.child = child;
    }

    /// Sends a signal to all of its servers, such as those that freeze and thaw.
    pub(crate) fn signal(&self, signal: Signal) {
        for server in &self.servers {
            let id = i32::try_from(server.child.id().expect("the server runs")).unwrap();
            kill(Pid::from_raw(id), signal).unwrap();
        }
    }

    fn server(&mut self, name: &str) -> &mut Server {
        self.servers.iter_mut().find(|server| server.name == name).unwrap()
    }
}

impl Server {
    fn of(name: &str, folder: PathBuf, (child, listens): (Child, Listens)) -> Self {
        Self {
            name: name.to_owned(),
            folder,
            listens,
            child,
        }
    }
}

/// Where servers listen for each other.
fn peers(servers: &[Server]) -> String {
    let ports = servers.iter().filter_map(|server| server.listens.peers);
    ports.map(|port| format!("nats://127.0.0.1:{port} ")).collect()
}

/// Starts a server and waits until it says that it is ready. At first it picks its ports itself: those we picked could be
/// taken before it listens.
async fn launch(
    name: &str,
    folder: &Path,
    listens: Option<Listens>,
    peers: Option<&str>,
    more: &str,
) -> (Child, Listens) {
    fs::create_dir_all(folder).await.unwrap();
    let configuration = folder.join("nats.conf");
    let store = folder.join("store");
    let port = |port: Option<u16>| port.map_or(-1, i32::from);
    let clients = port(listens.map(|listens| listens.clients));
    let mut text = format!(
        "server_name: {name}\nlisten: \"127.0.0.1:{clients}\"\nlogtime: false\n\
         jetstream {{ store_dir: {store:?}, sync_interval: always, max_file: 4G }}\n{more}\n"
    );
    if let Some(peers) = peers {
        let port = port(listens.and_then(|listens| listens.peers));
        text.push_str(&format!(
            "cluster {{ name: three, listen: \"127.0.0.1:{port}\", routes: [ {peers} ] }}\n"
        ));
    }
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
        let (mut clients, mut peers) = (None, None);
        let mut said = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            clients = clients.or_else(|| port_after(&line, "client connections on "));
            peers = peers.or_else(|| port_after(&line, "route connections on "));
            if line.contains("Server is ready") {
                let clients = clients.expect("the server names its port");
                return Listens { clients, peers };
            }
            said.push_str(&line);
            said.push('\n');
        }
        panic!("nats-server ended at its start:\n{said}");
    };
    let listens = tokio::time::timeout(START, ready)
        .await
        .expect("nats-server is ready in time");
    // A full pipe would stop the server.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, listens)
}

fn port_after(line: &str, words: &str) -> Option<u16> {
    line.split_once(words)?.1.rsplit(':').next()?.trim().parse().ok()
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
