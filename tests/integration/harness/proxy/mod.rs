//! A small HTTP proxy in front of the object store: it cuts, refuses, delays, stalls, answers in
//! the store's place, and heals.

mod answers;
mod requests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::fault::Fate;
pub(crate) use super::fault::Fault;
use super::wire::reach;
use answers::Answers;
use requests::Requests;

/// How many bytes of what is sent, or of an answer, pass before a mishap in its middle.
const MIDDLE: u64 = 4096;

/// A proxy that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    cuts: watch::Receiver<u64>,
    writes: watch::Receiver<Vec<String>>,
    struck: Arc<AtomicU64>,
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
    struck: Arc<AtomicU64>,
}

impl Proxy {
    /// Listens on a free port in front of `upstream`.
    pub(crate) async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();

        let (fault, faults) = watch::channel(Fault::None);
        let (count, cuts) = watch::channel(0);
        let (write, writes) = watch::channel(Vec::new());
        let struck = Arc::<AtomicU64>::default();
        let shared = Shared {
            upstream,
            faults,
            cuts: count,
            writes: write,
            requests: Arc::default(),
            struck: Arc::clone(&struck),
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
            struck,
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

    /// Does this to all requests from now on; [`Fault::Refuse`] and [`Fault::Delay`] on open
    /// connections too. What stands still for an earlier fault is let go, by closing its
    /// connection.
    pub(crate) fn set(&self, fault: Fault) {
        self.struck.store(0, Ordering::Relaxed);
        self.fault.send_replace(fault);
    }

    /// Waits until `n` requests or answers were cut, stalled or answered in the store's place since
    /// the start.
    pub(crate) async fn has_cut(&mut self, n: u64) {
        self.cuts.wait_for(|cuts| *cuts >= n).await.unwrap();
    }

    /// How many that were so far.
    pub(crate) fn cuts(&self) -> u64 {
        *self.cuts.borrow()
    }

    /// How often each segment was written, by `<rendition>/<n>`: that of another attempt is another
    /// object, `<rendition>/<n>-<attempt>.m4s`.
    pub(crate) fn segment_writes(&self) -> BTreeMap<String, u32> {
        let mut segments = BTreeMap::new();
        for path in self
            .writes
            .borrow()
            .iter()
            .filter(|path| path.ends_with(".m4s"))
        {
            let (segment, _attempt) = path.rsplit_once('-').unwrap();
            *segments.entry(segment.to_owned()).or_default() += 1;
        }
        segments
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
    let Some(server) = reach(shared.upstream, &client).await else {
        return;
    };

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
    use crate::harness::fault::{Mishap, Which};
    use crate::harness::output::http;
    use crate::harness::world::World;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_cut_hits_reads_of_that_object_beyond_that_byte_and_nothing_else() {
        let mut world = World::bare(Engine::Sqlite).await;
        let clip = moving("320x180", 2.0).make().await;
        let (cut, whole) = (world.upload(&clip).await, world.upload(&clip).await);
        let url = |key: &str| {
            format!("{}/media/{key}", world.proxy.url())
                .parse()
                .unwrap()
        };
        let (cut_url, whole_url) = (url(&cut), url(&whole));

        world.proxy.set(Fault::CutReads {
            path: cut,
            at: 1000,
        });
        assert_eq!(http::get(&whole_url).await.body.len() as u64, clip.size());
        assert_eq!(
            http::try_get(&cut_url, "bytes=0-999")
                .await
                .unwrap()
                .body
                .len(),
            1000
        );
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

        world
            .proxy
            .set(strike(100, &[Mishap::Answer(503, "SlowDown")]));
        let answer = http::get(&url(&struck)).await;
        assert_eq!(answer.status, 503);
        assert!(String::from_utf8_lossy(&answer.body).contains("<Code>SlowDown</Code>"));
        assert_eq!(http::get(&url(&spared)).await.status, 200);

        world.proxy.set(strike(100, &[Mishap::CutAnswer]));
        assert!(http::try_get(&url(&struck), "bytes=0-99").await.is_err());
        world.proxy.has_cut(2).await;

        world
            .proxy
            .set(strike(30, &[Mishap::Answer(500, "InternalError")]));
        let mut hits = 0;
        for _ in 0..100 {
            hits += u32::from(http::get(&url(&struck)).await.status == 500);
        }
        assert!((15..=45).contains(&hits), "{hits} of 100 were struck");
    }
}
