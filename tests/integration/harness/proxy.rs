//! A small TCP proxy in front of a service: it cuts, refuses, delays, swallows, and heals.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the proxy does to those who come through it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Closes every connection at once.
    Refuse,
    /// Passes on what is asked and swallows what is answered.
    Swallow,
    /// Holds back every answer for this long.
    Delay(Duration),
    /// Breaks off every answer to `GET <…path>` at that byte of the object, whichever range was asked for.
    CutReads {
        /// The end of the path, without its query.
        path: String,
        /// How many bytes of the object can be had.
        at: u64,
    },
}

/// A proxy that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    cuts: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port in front of `upstream`.
    pub(crate) async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (fault, faults) = watch::channel(Fault::None);
        let (count, cuts) = watch::channel(0);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, upstream, faults.clone(), count.clone()));
            }
        });
        Self {
            address,
            fault,
            cuts,
            task,
        }
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of what lies behind.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does this to all requests from now on, on open connections too.
    pub(crate) fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Waits until `n` answers were broken off since the start.
    pub(crate) async fn has_cut(&mut self, n: u64) {
        self.cuts.wait_for(|cuts| *cuts >= n).await.unwrap();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection. Each direction ends the other, so that a cut is seen at once.
async fn pass(client: TcpStream, upstream: SocketAddr, faults: watch::Receiver<Fault>, cuts: watch::Sender<u64>) {
    if *faults.borrow() == Fault::Refuse {
        return;
    }
    let Ok(server) = TcpStream::connect(upstream).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (limit, limits) = watch::channel(None);
    tokio::select! {
        () = requests(from_client, to_server, faults.clone(), limit) => {}
        () = answers(from_server, to_client, faults, limits, cuts) => {}
    }
}

/// Passes requests on and says how many body bytes the answer to the latest one may have.
async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    faults: watch::Receiver<Fault>,
    limit: watch::Sender<Option<u64>>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        if let Some(allowed) = allowance(&buffer[..n], &faults.borrow()) {
            limit.send_replace(allowed);
        }
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

/// For the head of a request: the bytes its answer may have, if the fault limits them. Nothing for what is no head.
fn allowance(bytes: &[u8], fault: &Fault) -> Option<Option<u64>> {
    let head = String::from_utf8_lossy(bytes);
    let line = head.lines().next()?;
    if !line.ends_with("HTTP/1.1") {
        return None;
    }
    let Fault::CutReads { path, at } = fault else {
        return Some(None);
    };
    let mut words = line.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    if method != "GET" || !target.split('?').next()?.ends_with(path.as_str()) {
        return Some(None);
    }
    let range = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("range: bytes=")
            .map(str::to_owned)
    });
    let first = range
        .and_then(|range| range.split('-').next()?.trim().parse::<u64>().ok())
        .unwrap_or(0);
    Some(Some(at.saturating_sub(first)))
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    faults: watch::Receiver<Fault>,
    mut limits: watch::Receiver<Option<u64>>,
    cuts: watch::Sender<u64>,
) {
    let mut buffer = vec![0; 64 * 1024];
    let mut left = None;
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        let mut bytes = &buffer[..n];
        let fault = faults.borrow().clone();
        match fault {
            Fault::Refuse => return,
            Fault::Delay(pause) => tokio::time::sleep(pause).await,
            Fault::Swallow => continue,
            Fault::None | Fault::CutReads { .. } => {}
        }
        if limits.has_changed().unwrap_or(false) {
            // A new answer begins: its head passes, and counts as no part of the body.
            let head = bytes
                .windows(4)
                .position(|end| end == b"\r\n\r\n")
                .map_or(0, |end| end + 4);
            left = limits.borrow_and_update().map(|allowed| allowed + head as u64);
        }
        let whole = left.is_none_or(|left| left >= bytes.len() as u64);
        if let (false, Some(left)) = (whole, left) {
            bytes = &bytes[..usize::try_from(left).unwrap()];
        }
        left = left.map(|left| left - bytes.len() as u64);
        if to.write_all(bytes).await.is_err() {
            return;
        }
        if !whole {
            cuts.send_modify(|cuts| *cuts += 1);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::clip::moving;
    use crate::harness::database::Engine;
    use crate::harness::output::http;
    use crate::harness::world::World;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_cut_hits_reads_of_that_object_beyond_that_byte_and_nothing_else() {
        let mut world = World::bare(Engine::Sqlite).await;
        let clip = moving("320x180", 2.0).make().await;
        let (cut, whole) = (world.upload(&clip).await, world.upload(&clip).await);
        let url = |key: &str| format!("{}/media/{key}", world.proxy.url()).parse().unwrap();
        let (cut_url, whole_url) = (url(&cut), url(&whole));
        world.proxy.set(Fault::CutReads { path: cut, at: 1000 });
        assert_eq!(http::get(&whole_url).await.body.len() as u64, clip.size());
        assert_eq!(http::try_get(&cut_url, "bytes=0-999").await.unwrap().body.len(), 1000);
        assert!(http::try_get(&cut_url, "bytes=500-1000").await.is_err());
        world.proxy.has_cut(1).await;
        world.proxy.set(Fault::None);
        assert_eq!(http::get(&cut_url).await.body.len() as u64, clip.size());
        world.proxy.set(Fault::Refuse);
        assert!(http::try_get(&whole_url, "bytes=0-0").await.is_err());
    }
}
