//! One real PostgreSQL cluster for the whole test run.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin};
use tokio::sync::OnceCell;

use super::process::command;

/// A cluster that ends when the test process does: its keeper waits for our end of the pipe to close.
#[derive(Debug)]
struct Cluster {
    port: u16,
    _keeper: Child,
    _open: ChildStdin,
}

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();

/// The URL of database `name` of the cluster, which is started on first use.
pub(crate) async fn url(name: &str) -> String {
    let cluster = CLUSTER.get_or_init(Cluster::start).await;
    format!("postgres://fluxhls@127.0.0.1:{}/{name}", cluster.port)
}

impl Cluster {
    async fn start() -> Self {
        // PostgreSQL refuses to run as root.
        let start = r#"[ "$(id -u)" -ne 0 ] || exec runuser -u postgres -- bash -c "$0"; exec bash -c "$0""#;
        let mut command = command("bash");
        command.args(["-c", start, include_str!("postgres.sh")]);
        // Not killed with its handle: it is to clean up, which it does when the pipe closes.
        command
            .kill_on_drop(false)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut keeper = command.spawn().expect("bash starts; PostgreSQL needs it");
        let open = keeper.stdin.take().unwrap();
        let mut lines = BufReader::new(keeper.stdout.take().unwrap()).lines();
        let port = lines
            .next_line()
            .await
            .unwrap()
            .expect("PostgreSQL starts; run `make tools`");
        Self {
            port: port.parse().unwrap(),
            _keeper: keeper,
            _open: open,
        }
    }
}
