//! The server info: a NATS server opens every connection with one `INFO {json}` line.

use std::io;
use std::net::SocketAddr;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;

/// Bytes, more than any server info has; a server that sends more is not a NATS server.
const MAX_GREETING_BYTES: u64 = 64 * 1024;

/// The fields of the server info that are used.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(super) struct ServerInfo {
    /// Distinguishes the child from another server that took the port in between.
    pub(super) server_name: String,
    /// Whether JetStream is up.
    #[serde(default)]
    pub(super) jetstream: bool,
}

impl ServerInfo {
    /// Connects and reads the server info.
    ///
    /// # Errors
    /// Why the connection or the server info failed; `InvalidData` when something else answers.
    pub(super) async fn from_server(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        let mut line = String::new();
        BufReader::new(stream.take(MAX_GREETING_BYTES))
            .read_line(&mut line)
            .await?;
        Self::from_line(&line).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the answer is not the INFO line of a NATS server",
            )
        })
    }

    fn from_line(line: &str) -> Option<Self> {
        serde_json::from_str(line.strip_prefix("INFO ")?.trim()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_is_told_from_other_protocols() {
        let server_info = ServerInfo::from_line(
            "INFO {\"server_name\":\"a\",\"jetstream\":true,\"port\":1} \r\n",
        );
        assert_eq!(
            server_info,
            Some(ServerInfo {
                server_name: "a".to_owned(),
                jetstream: true
            })
        );

        for foreign in [
            "",
            "HTTP/1.1 400 Bad Request\r\n",
            "INFO\r\n",
            "INFO nonsense\r\n",
        ] {
            assert_eq!(ServerInfo::from_line(foreign), None, "{foreign}");
        }
    }
}
