//! The way to a server of any protocol, on which answers can be lost and bytes are counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A way to a server until it is dropped.
#[derive(Debug)]
pub(crate) struct Wire {
    address: SocketAddr,
    deaf: watch::Sender<bool>,
    passed: Arc<Passed>,
    task: JoinHandle<()>,
}

/// Bytes that passed, heads and all.
#[derive(Debug, Default)]
struct Passed {
    asked: AtomicU64,
    answered: AtomicU64,
}

impl Wire {
    /// Listens on a free port before `upstream`.
    pub(crate) async fn to(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (deaf, deafness) = watch::channel(false);
        let passed = Arc::new(Passed::default());
        let counts = Arc::clone(&passed);

        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(
                    client,
                    upstream,
                    deafness.clone(),
                    Arc::clone(&counts),
                ));
            }
        });

        Self {
            address,
            deaf,
            passed,
            task,
        }
    }

    /// Where clients connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether what the server answers is lost from now on. What it is asked still reaches it.
    pub(crate) fn loses_answers(&self, lost: bool) {
        self.deaf.send_replace(lost);
    }

    /// Bytes that clients sent so far.
    pub(crate) fn asked(&self) -> u64 {
        self.passed.asked.load(Ordering::Relaxed)
    }

    /// Bytes that the server answered so far.
    pub(crate) fn answered(&self) -> u64 {
        self.passed.answered.load(Ordering::Relaxed)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection. Each direction ends the other.
async fn pass(
    client: TcpStream,
    upstream: SocketAddr,
    deaf: watch::Receiver<bool>,
    passed: Arc<Passed>,
) {
    let Some(server) = reach(upstream, &client).await else {
        return;
    };

    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let deafness = || *deaf.borrow();
    tokio::select! {
        () = carry(from_client, to_server, &passed.asked, || false) => {}
        () = carry(from_server, to_client, &passed.answered, deafness) => {}
    }
}

/// The server for a client, where it can be reached. Neither's last piece of a message waits for an
/// acknowledgement, which takes up to 40 ms.
pub(super) async fn reach(upstream: SocketAddr, client: &TcpStream) -> Option<TcpStream> {
    let server = TcpStream::connect(upstream).await.ok()?;
    for side in [client, &server] {
        side.set_nodelay(true).unwrap();
    }
    Some(server)
}

/// One direction, until either side is done. What comes while it is `lost` is swallowed.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    count: &AtomicU64,
    lost: impl Fn() -> bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        count.fetch_add(n as u64, Ordering::Relaxed);
        if !lost() && to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}
