//! Real `PostgreSQL` clusters, one for each test, which may kill it.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// What a cluster demands of its clients. By default it lets everyone in.
#[derive(Debug, Clone, Default)]
pub struct Demands {
    /// The password of its one user.
    pub password: Option<String>,
    /// PEM of its certificate and of its key. With them it refuses connections without TLS.
    pub tls: Option<(String, String)>,
}

/// A running server on loopback with its data in a temporary folder.
///
/// It ends, and its folder is removed, when its handle is dropped or the test process ends: its
/// keeper waits until the pipe from the test process closes. Needs `initdb` and `pg_ctl` of
/// `PostgreSQL` 15 or newer, in `PATH` or where Debian installs them; as root it runs them as the
/// user `postgres`, because a server refuses to run as root.
#[derive(Debug)]
pub struct Cluster {
    port: u16,
    password: Option<String>,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _keeper: Child,
}

impl Cluster {
    /// Starts a cluster that lets everyone in.
    ///
    /// # Panics
    /// When the server does not start; what the tools said is on standard error.
    pub async fn start() -> Self {
        Self::demanding(&Demands::default()).await
    }

    /// Starts a cluster that demands something of its clients.
    ///
    /// # Panics
    /// When the server does not start; what the tools said is on standard error.
    pub async fn demanding(demands: &Demands) -> Self {
        // PostgreSQL refuses to run as root.
        let start = r#"[ "$(id -u)" -ne 0 ] || exec runuser -u postgres -- bash -c "$0"; exec bash -c "$0""#;
        let mut command = bash();
        command.args(["-c", start, include_str!("cluster.sh")]);

        if let Some(password) = &demands.password {
            command.env("CLUSTER_PASSWORD", password);
        }
        if let Some((certificate, key)) = &demands.tls {
            command
                .env("CLUSTER_CERTIFICATE", certificate)
                .env("CLUSTER_KEY", key);
        }

        // Not killed with its handle: it is to clean up, which it does when the pipe closes.
        command
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());

        let mut keeper = command.spawn().expect("bash starts; PostgreSQL needs it");
        let orders = keeper.stdin.take().expect("it is piped");
        let mut answers = BufReader::new(keeper.stdout.take().expect("it is piped")).lines();
        let port = answers
            .next_line()
            .await
            .expect("the keeper can be read")
            .expect("PostgreSQL starts; run `make tools`");

        Self {
            port: port.parse().expect("the keeper prints a port"),
            password: demands.password.clone(),
            orders,
            answers,
            _keeper: keeper,
        }
    }

    /// The URL of its database `name`.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
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

    /// The port on loopback where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// `kill -9` of the server; its backends end when they notice.
    ///
    /// # Panics
    /// When the keeper has ended.
    pub async fn kill(&mut self) {
        self.order("kill").await;
    }

    /// Starts it again, on the same port and data, and waits until it has recovered.
    ///
    /// # Panics
    /// When the server does not start.
    pub async fn restart(&mut self) {
        self.order("start").await;
    }

    async fn order(&mut self, word: &str) {
        self.orders
            .write_all(format!("{word}\n").as_bytes())
            .await
            .expect("the keeper listens");
        let answer = self.answers.next_line().await.expect("the keeper answers");
        assert_eq!(answer.as_deref(), Some(word), "PostgreSQL does not {word}");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test server is nothing that `ffmpeg` or `dev` could start"
)]
fn bash() -> Command {
    Command::new("bash")
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
