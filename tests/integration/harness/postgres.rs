//! Real PostgreSQL clusters: one for the whole test run, and those that a test has to itself and
//! may kill.

use std::process::Stdio;

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
    /// Its certificate. With one it lets no one in who does not speak TLS.
    pub(crate) tls: Option<Certified>,
}

/// A cluster that ends when its handle is dropped or the test process ends: its keeper waits for
/// our end of the pipe to close.
#[derive(Debug)]
pub(crate) struct Cluster {
    port: u16,
    password: Option<String>,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _keeper: Child,
}

static SHARED: OnceCell<Cluster> = OnceCell::const_new();

impl Cluster {
    /// The cluster of the whole test run, started on first use. No one may kill it.
    pub(crate) async fn shared() -> &'static Self {
        SHARED.get_or_init(Self::start).await
    }

    /// Starts a cluster of a test's own that lets everyone in.
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
        if let Some(Certified {
            certificate, key, ..
        }) = &demands.tls
        {
            command
                .env("CLUSTER_CERTIFICATE", certificate)
                .env("CLUSTER_KEY", key);
        }

        // Not killed with its handle: it is to clean up, which it does when the pipe closes.
        command
            .kill_on_drop(false)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());

        let mut keeper = command.spawn().expect("bash starts; PostgreSQL needs it");
        let orders = keeper.stdin.take().unwrap();
        let mut answers = BufReader::new(keeper.stdout.take().unwrap()).lines();
        let port = answers
            .next_line()
            .await
            .unwrap()
            .expect("PostgreSQL starts; run `make tools`");

        Self {
            port: port.parse().unwrap(),
            password: demands.password.clone(),
            orders,
            answers,
            _keeper: keeper,
        }
    }

    /// The URL of its database `name`.
    pub(crate) fn url(&self, name: &str) -> String {
        let password = self
            .password
            .as_ref()
            .map(|password| format!(":{password}"));
        let password = password.unwrap_or_default();
        format!(
            "postgres://fluxhls{password}@127.0.0.1:{}/{name}",
            self.port
        )
    }

    /// Where it listens on loopback.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// `kill -9` of the server; its backends end when they notice.
    pub(crate) async fn kill(&mut self) {
        self.order("kill").await;
    }

    /// Starts it again, on the same port and data, and waits until it has recovered.
    pub(crate) async fn restart(&mut self) {
        self.order("start").await;
    }

    async fn order(&mut self, word: &str) {
        self.orders
            .write_all(format!("{word}\n").as_bytes())
            .await
            .unwrap();
        let answer = self.answers.next_line().await.unwrap();
        assert_eq!(answer.as_deref(), Some(word), "PostgreSQL does not {word}");
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait as _;

    use super::*;

    #[tokio::test]
    async fn what_was_committed_survives_the_death_of_the_server() {
        let mut cluster = Cluster::start().await;
        let url = cluster.url("postgres");
        let before = sea_orm::Database::connect(&url).await.unwrap();
        before
            .execute_unprepared("CREATE TABLE kept (word TEXT); INSERT INTO kept VALUES ('word')")
            .await
            .unwrap();

        cluster.kill().await;
        let reached = tokio::net::TcpStream::connect(("127.0.0.1", cluster.port)).await;
        assert!(reached.is_err(), "no one listens there any more");

        cluster.restart().await;
        let after = sea_orm::Database::connect(&url).await.unwrap();
        let removed = after.execute_unprepared("DELETE FROM kept").await.unwrap();
        assert_eq!(removed.rows_affected(), 1);
    }
}
