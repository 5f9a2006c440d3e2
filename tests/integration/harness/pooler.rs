//! A real PgBouncer of a test's own, in transaction mode.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

use super::process::{Process, command};
use super::until;

/// A pooler before a server on loopback; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Pooler {
    port: u16,
    process: Process,
}

impl Pooler {
    /// Starts one that has `size` connections for each database of the server at `server`.
    pub(crate) async fn start(folder: &Path, server: u16, size: u32) -> Self {
        let home = folder.join("pgbouncer");
        std::fs::create_dir_all(&home).unwrap();

        // It does not report a port of its own choosing.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();

        let users = home.join("users.txt");
        std::fs::write(&users, "\"fluxhls\" \"\"\n").unwrap();
        let configuration = home.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = {size}\n\
             max_client_conn = 100\n",
            users.display()
        );
        std::fs::write(&configuration, text).unwrap();

        let mut pgbouncer = if home.metadata().unwrap().uid() == 0 {
            // It refuses to run as root, and setpriv becomes what it starts.
            let mut setpriv = command("setpriv");
            setpriv.args([
                "--reuid=nobody",
                "--regid=nogroup",
                "--clear-groups",
                "--",
                "pgbouncer",
            ]);
            for path in [folder, &home, &users, &configuration] {
                chown(path, Some(65_534), Some(65_534)).unwrap();
            }
            setpriv
        } else {
            command("pgbouncer")
        };
        pgbouncer.arg(&configuration);

        let process = Process::start(pgbouncer, "pgbouncer", folder);
        let pooler = Self { port, process };
        until("PgBouncer listens; `make tools` installs it", async || {
            pooler
                .said()
                .contains(&format!("listening on 127.0.0.1:{port}"))
        })
        .await;
        pooler
    }

    /// The URL of a database through it.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://fluxhls@127.0.0.1:{}/{database}", self.port)
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        self.process.said()
    }
}
