//! A small HTTP proxy in front of the object store: it cuts, refuses, delays, stalls, answers in the store's place, and heals.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) use super::fault::Fault;
use super::fault::{Fate, Mishap};

/// How many bytes of what is sent, or of an answer, pass before a mishap in its middle.
const MIDDLE: u64 = 4096;
/// The size of the pieces of a trickling answer.
const PIECE: usize = 16 * 1024;

/// A proxy that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    cuts: watch::Receiver<u64>,
    writes: watch::Receiver<Vec<String>>,
    task: JoinHandle<()>,
}

/// What all connections share.
#[derive(Debug, Clone)]
struct Shared {
    upstream: SocketAddr,
    faults: watch::Receiver<Fault>,
    cuts: watch::Sender<u64>,
    writes: watch::Sender<Vec<String>>,
    requests: Arc<AtomicU64>,
}

impl Proxy {
    /// Listens on a free port in front of `upstream`.
    pub(crate) async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (fault, faults) = watch::channel(Fault::None);
        let (count, cuts) = watch::channel(0);
        let (write, writes) = watch::channel(Vec::new());
        let shared = Shared {
            upstream,
            faults,
            cuts: count,
            writes: write,
            requests: Arc::default(),
        };
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, shared.clone()));
            }
        });
        Self {
            address,
            fault,
            cuts,
            writes,
            task,
        }
    }

    /// Where clients connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of what lies behind.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does this to all requests from now on; [`Fault::Refuse`] and [`Fault::Delay`] on open connections too. What stands still for an
    /// earlier fault is let go, by closing its connection.
    pub(crate) fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Waits until `n` requests or answers were cut, stalled or answered in the store's place since the start.
    pub(crate) async fn has_cut(&mut self, n: u64) {
        self.cuts.wait_for(|cuts| *cuts >= n).await.unwrap();
    }

    /// How many that were so far.
    pub(crate) fn cuts(&self) -> u64 {
        *self.cuts.borrow()
    }

    /// The path of every object that was written, as often as it was tried.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.writes.borrow().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection. Each direction ends the other, so that a cut is seen at once.
async fn pass(client: TcpStream, shared: Shared) {
    if *shared.faults.borrow() == Fault::Refuse {
        return;
    }
    let Ok(server) = TcpStream::connect(shared.upstream).await else {
        return;
    };
    for side in [&client, &server] {
        // Else the last piece of a message waits for an acknowledgement, for as long as 40 ms.
        side.set_nodelay(true).unwrap();
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (fate, fates) = watch::channel(Fate::default());
    let requests = Requests {
        from: from_client,
        to: to_server,
        fate,
        shared: shared.clone(),
    };
    let answers = Answers {
        from: from_server,
        to: to_client,
        fates,
        shared,
    };
    let (canned, can) = tokio::sync::oneshot::channel();
    tokio::select! {
        () = requests.pass(canned) => {}
        () = answers.pass(can) => {}
    }
}

/// The way of what is sent.
struct Requests {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    fate: watch::Sender<Fate>,
    shared: Shared,
}

/// The head of a request, as far as the proxy cares.
struct Head {
    method: String,
    path: String,
    first_byte: u64,
    body: u64,
}

impl Requests {
    /// Passes requests on, one after the other, each by its own fate. One that is answered in the store's place is the connection's last.
    async fn pass(mut self, canned: tokio::sync::oneshot::Sender<String>) {
        while let Some((bytes, head)) = self.head().await {
            let n = self.shared.requests.fetch_add(1, Ordering::Relaxed);
            let fault = self.shared.faults.borrow_and_update().clone();
            let fate = fault.fate(n, &head.method, &head.path, head.first_byte);
            if head.method == "PUT" {
                self.shared.writes.send_modify(|writes| writes.push(head.path.clone()));
            }
            self.fate.send_replace(fate);
            match fate.mishap {
                Some(Mishap::Answer(status, code)) => {
                    self.shared.count();
                    if self.body(head.body, false).await {
                        let _ = canned.send(canned_answer(status, code, head.method == "HEAD"));
                    }
                    return std::future::pending().await;
                }
                Some(mishap @ (Mishap::CutRequest | Mishap::StallRequest)) if head.body > 0 => {
                    self.shared.count();
                    let middle = (head.body / 2).min(MIDDLE);
                    let passed = self.to.write_all(&bytes).await.is_ok() && self.body(middle, true).await;
                    if passed && mishap == Mishap::StallRequest {
                        let _ = self.shared.faults.changed().await;
                    }
                    return;
                }
                _ => {}
            }
            if self.to.write_all(&bytes).await.is_err() || !self.body(head.body, true).await {
                return;
            }
        }
    }

    /// Reads up to the end of the next head; nothing at the end of the connection.
    async fn head(&mut self) -> Option<(Vec<u8>, Head)> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(self.from.read_u8().await.ok()?);
        }
        let head = Head::read(&String::from_utf8_lossy(&bytes))?;
        Some((bytes, head))
    }

    /// Passes so many bytes of a body on, or swallows them; false where they do not come.
    async fn body(&mut self, length: u64, passes: bool) -> bool {
        let mut body = (&mut self.from).take(length);
        let copied = if passes {
            tokio::io::copy(&mut body, &mut self.to).await
        } else {
            tokio::io::copy(&mut body, &mut tokio::io::sink()).await
        };
        copied.is_ok_and(|copied| copied == length)
    }
}

impl Head {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.lines().next()?.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?);
        let field = |name: &str| {
            text.lines().find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let first_byte = field("range").and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse().ok());
        Some(Self {
            method,
            path: target.split('?').next()?.to_owned(),
            first_byte: first_byte.unwrap_or(0),
            body: field("content-length")
                .and_then(|length| length.parse().ok())
                .unwrap_or(0),
        })
    }
}

/// What the proxy answers in the store's place.
fn canned_answer(status: u16, code: &str, is_head: bool) -> String {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>struck by the test</Message></Error>"
    );
    let length = body.len();
    let body = if is_head { String::new() } else { body };
    format!(
        "HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// The way of answers.
struct Answers {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    fates: watch::Receiver<Fate>,
    shared: Shared,
}

impl Answers {
    async fn pass(mut self, canned: tokio::sync::oneshot::Receiver<String>) {
        tokio::select! {
            () = self.pass_stored() => {}
            answer = canned => match answer {
                Ok(answer) => drop(self.to.write_all(answer.as_bytes()).await),
                Err(_) => std::future::pending().await,
            },
        }
    }

    async fn pass_stored(&mut self) {
        let mut buffer = vec![0; 64 * 1024];
        let (mut left, mut fate) = (None, Fate::default());
        while let Ok(n @ 1..) = self.from.read(&mut buffer).await {
            let mut bytes = &buffer[..n];
            let fault = self.shared.faults.borrow_and_update().clone();
            match fault {
                Fault::Refuse => return,
                Fault::Delay(pause) => tokio::time::sleep(pause).await,
                Fault::None | Fault::CutReads { .. } | Fault::Strike { .. } => {}
            }
            if self.fates.has_changed().unwrap_or(false) {
                // A new answer begins: its head passes, and counts as no part of the body.
                fate = *self.fates.borrow_and_update();
                let head = bytes
                    .windows(4)
                    .position(|end| end == b"\r\n\r\n")
                    .map_or(0, |end| end + 4);
                left = fate.limit(&bytes[..head]).map(|allowed| allowed + head as u64);
            }
            let whole = left.is_none_or(|left| left >= bytes.len() as u64);
            if let (false, Some(left)) = (whole, left) {
                bytes = &bytes[..usize::try_from(left).unwrap()];
            }
            left = left.map(|left| left - bytes.len() as u64);
            if self.write(bytes, fate).await.is_err() {
                return;
            }
            if !whole {
                self.shared.count();
                if fate.mishap == Some(Mishap::StallAnswer) {
                    let _ = self.shared.faults.changed().await;
                }
                return;
            }
        }
    }

    async fn write(&mut self, bytes: &[u8], fate: Fate) -> std::io::Result<()> {
        let Some(Mishap::Trickle(pause)) = fate.mishap else {
            return self.to.write_all(bytes).await;
        };
        for piece in bytes.chunks(PIECE) {
            tokio::time::sleep(pause).await;
            self.to.write_all(piece).await?;
        }
        Ok(())
    }
}

impl Fate {
    /// How many bytes of the body behind this head of an answer pass, where not all of them do.
    fn limit(self, head: &[u8]) -> Option<u64> {
        match self.mishap {
            Some(Mishap::CutAnswer | Mishap::StallAnswer) => {
                let text = String::from_utf8_lossy(head).to_ascii_lowercase();
                let length = text
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<u64>().ok());
                Some((length.unwrap_or(0) / 2).min(MIDDLE))
            }
            _ => self.allowed,
        }
    }
}

impl Shared {
    fn count(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::clip::moving;
    use crate::harness::database::Engine;
    use crate::harness::fault::Which;
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

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_strike_hits_its_share_of_requests_and_its_object_alone() {
        let mut world = World::bare(Engine::Sqlite).await;
        let clip = moving("320x180", 2.0).make().await;
        let (struck, spared) = (world.upload(&clip).await, world.upload(&clip).await);
        let root = world.proxy.url();
        let url = |key: &str| format!("{root}/media/{key}").parse().unwrap();
        let strike = |percent, mishaps| Fault::Strike {
            which: Which::Path(struck.clone()),
            percent,
            mishaps,
        };
        world.proxy.set(strike(100, &[Mishap::Answer(503, "SlowDown")]));
        let answer = http::get(&url(&struck)).await;
        assert_eq!(answer.status, 503);
        assert!(String::from_utf8_lossy(&answer.body).contains("<Code>SlowDown</Code>"));
        assert_eq!(http::get(&url(&spared)).await.status, 200);
        world.proxy.set(strike(100, &[Mishap::CutAnswer]));
        assert!(http::try_get(&url(&struck), "bytes=0-99").await.is_err());
        world.proxy.has_cut(2).await;
        world.proxy.set(strike(30, &[Mishap::Answer(500, "InternalError")]));
        let mut hits = 0;
        for _ in 0..100 {
            hits += u32::from(http::get(&url(&struck)).await.status == 500);
        }
        assert!((15..=45).contains(&hits), "{hits} of 100 were struck");
    }
}
