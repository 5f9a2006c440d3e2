//! The way to a server of any protocol, on which answers can be lost.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A way to a server until it is dropped.
#[derive(Debug)]
pub(crate) struct Wire {
    address: SocketAddr,
    deaf: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Wire {
    /// Listens on a free port before `upstream`.
    pub(crate) async fn to(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (deaf, deafness) = watch::channel(false);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, upstream, deafness.clone()));
            }
        });
        Self { address, deaf, task }
    }

    /// Where clients connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether what the server answers is lost from now on. What it is asked still reaches it.
    pub(crate) fn loses_answers(&self, lost: bool) {
        self.deaf.send_replace(lost);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection. Each direction ends the other.
async fn pass(client: TcpStream, upstream: SocketAddr, deaf: watch::Receiver<bool>) {
    let Ok(server) = TcpStream::connect(upstream).await else {
        return;
    };
    for side in [&client, &server] {
        // Else the last piece of a message waits for an acknowledgement, for as long as 40 ms.
        side.set_nodelay(true).unwrap();
    }
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(n @ 1..) = from_server.read(&mut buffer).await {
            if !*deaf.borrow() && to_client.write_all(&buffer[..n]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
        () = answers => {}
    }
}
