//! Real PostgreSQL clusters: one for the whole test run, and those that a test has to itself and may kill.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::OnceCell;

use super::certificates::Certified;
use super::process::command;

/// What a cluster wants to see of those who come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Demands {
    /// The password of its one user; none asks for none.
    pub(crate) password: Option<String>,
    /// Its certificate. With one it lets nobody in who does not speak TLS.
    pub(crate) tls: Option<Certified>,
}

/// A cluster that ends when the test process does: its keeper waits for our end of the pipe to close.
#[derive(Debug)]
pub(crate) struct Cluster {
    port: u16,
    server: Pid,
    password: Option<String>,
    said: Lines<BufReader<ChildStdout>>,
    orders: ChildStdin,
    _keeper: Child,
}

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();

/// The URL of database `name` of the run's cluster, which is started on first use. Nobody may kill that one.
pub(crate) async fn url(name: &str) -> String {
    CLUSTER.get_or_init(Cluster::start).await.url(name)
}

impl Cluster {
    /// Starts a cluster that lets everybody in.
    pub(crate) async fn start() -> Self {
        Self::demanding(&Demands::default()).await
    }

    /// Starts a cluster that does not.
    pub(crate) async fn demanding(demands: &Demands) -> Self {
        // PostgreSQL refuses to run as root.
        let start = r#"[ "$(id -u)" -ne 0 ] || exec runuser -u postgres -- bash -c "$0"; exec bash -c "$0""#;
        let mut command = command("bash");
        command.args(["-c", start, include_str!("postgres.sh")]);
        if let Some(password) = &demands.password {
            command.env("CLUSTER_PASSWORD", password);
        }
        if let Some(Certified { certificate, key, .. }) = &demands.tls {
            command.env("CLUSTER_CERTIFICATE", certificate).env("CLUSTER_KEY", key);
        }
        // Not killed with its handle: it is to clean up, which it does when the pipe closes.
        command
            .kill_on_drop(false)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut keeper = command.spawn().expect("bash starts; PostgreSQL needs it");
        let orders = keeper.stdin.take().unwrap();
        let mut said = BufReader::new(keeper.stdout.take().unwrap()).lines();
        let (port, server) = heard(&mut said).await;
        Self {
            port,
            server,
            password: demands.password.clone(),
            said,
            orders,
            _keeper: keeper,
        }
    }

    /// The URL of a database of the cluster.
    pub(crate) fn url(&self, database: &str) -> String {
        let password = self.password.as_ref().map(|password| format!(":{password}"));
        let password = password.unwrap_or_default();
        format!("postgres://fluxhls{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// `kill -9` to the server, whose children leave at once.
    pub(crate) fn kill(&self) {
        kill(self.server, Signal::SIGKILL).unwrap();
    }

    /// Starts the server again, on the same port and data.
    pub(crate) async fn restart(&mut self) {
        self.orders.write_all(b"start\n").await.unwrap();
        (_, self.server) = heard(&mut self.said).await;
    }
}

/// The port and process of a server that just began to answer.
async fn heard(said: &mut Lines<BufReader<ChildStdout>>) -> (u16, Pid) {
    let line = tokio::time::timeout(Duration::from_secs(120), said.next_line()).await;
    let line = line.expect("PostgreSQL starts in time").unwrap();
    let line = line.expect("PostgreSQL starts; run `make tools`");
    let (port, server) = line.split_once(' ').expect("port and process");
    (port.parse().unwrap(), Pid::from_raw(server.parse().unwrap()))
}
