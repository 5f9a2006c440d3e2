//! A real nats-server of a test's own, or a cluster of three, which the test may kill and start
//! again over the same stores.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::{self, Context};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use percent_encoding::percent_decode_str;
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
    /// Lines of the JetStream part of its configuration.
    pub(crate) jetstream: String,
    /// A credentials file that opens it for the test.
    pub(crate) credentials: Option<PathBuf>,
    /// What the program gets to know besides.
    pub(crate) environment: BTreeMap<&'static str, String>,
    /// `user:password@` or `token@`, as it is written in a URL.
    pub(crate) login: String,
    /// The authority that signed its certificate.
    pub(crate) ca: Option<PathBuf>,
}

/// One or three nats-servers on loopback that flush every message to disk, as production does on a
/// single server.
#[derive(Debug)]
pub(crate) struct Nats {
    servers: Vec<Server>,
    demands: Demands,
}

#[derive(Debug)]
struct Server {
    name: String,
    folder: PathBuf,
    configuration: String,
    jetstream: String,
    port: u16,
    child: Child,
}

impl Nats {
    /// Starts a server on a free port with its store in `folder`.
    pub(crate) async fn start(folder: &Path) -> Self {
        Self::demanding(folder, Demands::default()).await
    }

    /// Starts a server that does not let everyone in.
    pub(crate) async fn demanding(folder: &Path, demands: Demands) -> Self {
        Self::named("nats", folder, demands).await
    }

    /// As [`Nats::demanding`], with a name and so a folder of its own: that of a leaf node beside
    /// its hub.
    pub(crate) async fn named(name: &str, folder: &Path, demands: Demands) -> Self {
        let (configuration, jetstream) = (demands.configuration.clone(), demands.jetstream.clone());
        let server = Server::start(name, folder.join(name), configuration, jetstream).await;
        Self {
            servers: vec![server],
            demands,
        }
    }

    /// Gives its first server another configuration while it runs. What follows from it is to be
    /// waited for.
    pub(crate) async fn reload(&mut self, configuration: String) {
        let server = &mut self.servers[0];
        server.configuration = configuration;
        server.write(-1).await;
        self.signal(Signal::SIGHUP);
    }

    /// Starts three servers that keep their streams together.
    pub(crate) async fn cluster(folder: &Path) -> Self {
        // Each must know the others' ports before it starts, so these cannot be left to the
        // servers.
        let free = || TcpListener::bind("127.0.0.1:0").unwrap();
        let ports = [free(), free(), free()].map(|listener| listener.local_addr().unwrap().port());
        let peers: String = ports
            .iter()
            .map(|port| format!("nats://127.0.0.1:{port},"))
            .collect();

        let mut servers: Vec<Server> = Vec::new();
        for (name, port) in ["ada", "bob", "cyd"].into_iter().zip(ports) {
            let cluster = format!(
                "cluster {{ name: three, listen: \"127.0.0.1:{port}\", routes: [ {peers} ] }}"
            );
            servers.push(Server::start(name, folder.join(name), cluster, String::new()).await);
        }

        Self {
            servers,
            demands: Demands::default(),
        }
    }

    /// How many servers there are: as many copies a stream can have.
    pub(crate) fn size(&self) -> usize {
        self.servers.len()
    }

    /// Its URL, or those of all of its servers.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.demands.ca.is_some() {
            "tls"
        } else {
            "nats"
        };
        let urls = self
            .servers
            .iter()
            .map(|server| format!("{scheme}://{}127.0.0.1:{}", self.demands.login, server.port));
        urls.collect::<Vec<_>>().join(",")
    }

    /// Where its first server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.servers[0].port))
    }

    /// What the program gets to know of it.
    pub(crate) fn environment(&self) -> BTreeMap<&'static str, String> {
        let mut environment = BTreeMap::from([
            ("NATS_URL", self.url()),
            ("STREAM_REPLICAS", self.size().to_string()),
        ]);
        if let Some(ca) = &self.demands.ca {
            environment.insert("NATS_CA", ca.display().to_string());
        }
        environment.extend(self.demands.environment.clone());
        environment
    }

    /// Lets the program know one more setting.
    pub(crate) fn tell(&mut self, name: &'static str, value: String) {
        self.demands.environment.insert(name, value);
    }

    /// A connection of the test's.
    pub(crate) async fn connect(&self) -> Context {
        let mut options = ConnectOptions::new().name("integration test");
        if let Some(path) = &self.demands.credentials {
            options = options.credentials_file(path).await.unwrap();
        }
        if let Some(ca) = &self.demands.ca {
            options = options.add_root_certificates(ca.clone()).require_tls(true);
        }

        // A URL has them percent-encoded (RFC 3986, section 3.2.1).
        let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        if let Some((user, password)) = self.demands.login.trim_end_matches('@').split_once(':') {
            options = options.user_and_password(plain(user), plain(password));
        }

        let urls = self
            .servers
            .iter()
            .map(|server| format!("nats://127.0.0.1:{}", server.port));
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
        for server in &mut self.servers {
            server.restart().await;
        }
    }

    /// Starts its servers again over the same stores, with these lines in their configurations.
    pub(crate) async fn reconfigure(&mut self, configuration: &str) {
        for server in &mut self.servers {
            configuration.clone_into(&mut server.configuration);
            server.child.kill().await.unwrap();
            server.restart().await;
        }
    }

    /// `kill -9` to one server of a cluster.
    pub(crate) async fn kill_one(&mut self, name: &str) {
        self.server(name).child.kill().await.unwrap();
    }

    /// Starts one server of a cluster again.
    pub(crate) async fn restart_one(&mut self, name: &str) {
        self.server(name).restart().await;
    }

    /// Sends a signal to all of its servers, such as those that freeze and thaw.
    pub(crate) fn signal(&self, signal: Signal) {
        for server in &self.servers {
            let id = i32::try_from(server.child.id().expect("the server runs")).unwrap();
            kill(Pid::from_raw(id), signal).unwrap();
        }
    }

    fn server(&mut self, name: &str) -> &mut Server {
        self.servers
            .iter_mut()
            .find(|server| server.name == name)
            .unwrap()
    }
}

impl Server {
    async fn start(name: &str, folder: PathBuf, configuration: String, jetstream: String) -> Self {
        fs::create_dir_all(&folder).await.unwrap();
        // The server itself picks the port: one we picked could be taken before it listens.
        let file = write(name, &folder, -1, &configuration, &jetstream).await;
        let (child, port) = launch(&file).await;

        Self {
            name: name.to_owned(),
            folder,
            configuration,
            jetstream,
            port,
            child,
        }
    }

    async fn restart(&mut self) {
        let file = self.write(i32::from(self.port)).await;
        (self.child, _) = launch(&file).await;
    }

    async fn write(&self, port: i32) -> PathBuf {
        write(
            &self.name,
            &self.folder,
            port,
            &self.configuration,
            &self.jetstream,
        )
        .await
    }
}

/// Writes a server's configuration file.
async fn write(
    name: &str,
    folder: &Path,
    port: i32,
    configuration: &str,
    jetstream: &str,
) -> PathBuf {
    let file = folder.join("nats.conf");
    let store = folder.join("store");
    let text = format!(
        "server_name: {name}\nlisten: \"127.0.0.1:{port}\"\nlogtime: false\n\
         jetstream {{ store_dir: {store:?}, sync_interval: always, max_file: 4G\n{jetstream}\n}}\n{configuration}\n"
    );
    fs::write(&file, text).await.unwrap();
    file
}

/// Starts a server and waits until it says that it is ready; returns the port it listens on.
async fn launch(file: &Path) -> (Child, u16) {
    let mut child = command(tool("nats-server"))
        .arg("-c")
        .arg(file)
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
                port = address
                    .rsplit(':')
                    .next()
                    .and_then(|port| port.trim().parse().ok());
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
