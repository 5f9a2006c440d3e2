//! The server itself: one object, one path, loopback only.

use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use axum::http::{HeaderMap, StatusCode, response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures::StreamExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cache::{BlockCache, BlockKey, Version};
use super::fault::SourceFault;
use super::range::{Wanted, wanted};
use super::reading::read;
use super::settings::SourceSettings;
use crate::storage::{At, Bucket, Op, StorageError};

/// How long closing waits for connections that were told to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest file name extension that is passed on to ffmpeg, as a hint at the container.
const MAX_EXTENSION: usize = 5;

/// What to serve: one version of one object.
#[derive(Debug, Clone)]
pub struct Source {
    /// The bucket it is in.
    pub bucket: Bucket,
    /// Its key.
    pub key: String,
    /// The entity tag of the version that is meant, with or without quotes.
    pub etag: String,
    /// The size of that version in bytes.
    pub size: u64,
}

/// What was read of a source.
#[derive(Debug, Clone)]
pub struct SourceReport {
    /// Bytes fetched from S3 for this server.
    pub bytes_read: u64,
    /// Bytes given to the client, from S3 or from the cache.
    pub bytes_served: u64,
    /// Requests of the client.
    pub requests: u64,
    /// The first read that failed.
    pub fault: Option<SourceFault>,
}

/// A running server for one task. Dropping it stops it, too.
#[derive(Debug)]
pub struct SourceServer {
    url: String,
    served: Arc<Served>,
    serving: JoinHandle<io::Result<()>>,
    stop: DropGuard,
}

/// What all connections of one server share.
#[derive(Debug)]
pub(super) struct Served {
    source: Source,
    version: Arc<Version>,
    cache: BlockCache,
    bytes_read: AtomicU64,
    bytes_served: AtomicU64,
    requests: AtomicU64,
    fault: OnceLock<SourceFault>,
    stopped: CancellationToken,
}

impl SourceServer {
    /// Starts to serve `source` on a free port of 127.0.0.1, reading through `cache`. Nothing is fetched yet.
    ///
    /// # Errors
    /// Where no port can be opened.
    pub async fn open(source: Source, cache: BlockCache) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let path = path(&source.key);
        let url = format!("http://{}{path}", listener.local_addr()?);
        let stop = CancellationToken::new();
        let served = Arc::new(Served::new(source, cache, stop.clone()));
        let router = Router::new().route(&path, get(answer)).with_state(Arc::clone(&served));
        let server = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        let serving = tokio::spawn(server.into_future());
        Ok(Self { url, served, serving, stop: stop.drop_guard() })
    }

    /// Where the source is: the only address that answers anything but 404. Holds no credential, but whoever knows it
    /// can read the source.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Bytes fetched from S3 so far; it only grows.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.served.bytes_read.load(Ordering::Relaxed)
    }

    /// Bytes given to the client so far, from S3 or from the cache; it only grows.
    #[must_use]
    pub fn bytes_served(&self) -> u64 {
        self.served.bytes_served.load(Ordering::Relaxed)
    }

    /// The first read that failed. Ask after ffmpeg has ended: what it made is worth nothing if there is one.
    #[must_use]
    pub fn fault(&self) -> Option<SourceFault> {
        self.served.fault.get().cloned()
    }

    /// Cuts what is still being read, closes the port and says what was read.
    pub async fn close(self) -> SourceReport {
        drop(self.stop);
        let abort = self.serving.abort_handle();
        if tokio::time::timeout(CLOSE_TIMEOUT, self.serving).await.is_err() {
            abort.abort();
        }
        SourceReport {
            bytes_read: self.served.bytes_read.load(Ordering::Relaxed),
            bytes_served: self.served.bytes_served.load(Ordering::Relaxed),
            requests: self.served.requests.load(Ordering::Relaxed),
            fault: self.served.fault.get().cloned(),
        }
    }
}

impl Served {
    fn new(source: Source, cache: BlockCache, stopped: CancellationToken) -> Self {
        let version = Version {
            bucket: source.bucket.name().to_owned(),
            key: source.key.clone(),
            etag: source.etag.clone(),
        };
        Self {
            source,
            version: Arc::new(version),
            cache,
            bytes_read: AtomicU64::new(0),
            bytes_served: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            fault: OnceLock::new(),
            stopped,
        }
    }

    pub(super) const fn settings(&self) -> &SourceSettings {
        self.cache.settings()
    }

    pub(super) const fn block_size(&self) -> u64 {
        self.settings().block_size
    }

    pub(super) fn count_served(&self, bytes: u64) {
        self.bytes_served.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Keeps the first fault; later ones are its consequences.
    pub(super) fn record(&self, fault: SourceFault) {
        tracing::warn!(%fault, "source fault");
        let _ = self.fault.set(fault);
    }

    /// One block of the source, from the cache or from S3.
    pub(super) async fn block(&self, index: u64) -> Result<Bytes, StorageError> {
        let key = BlockKey { version: Arc::clone(&self.version), index };
        let block = self.cache.block(&key, self.fetch(index));
        match tokio::time::timeout(self.settings().block_timeout, block).await {
            Ok(block) => block,
            Err(_) => Err(StorageError::Unavailable {
                at: At { op: Op::GetRange, bucket: self.source.bucket.name().into(), key: self.source.key.clone() },
                reason: format!("no block after {:?}", self.settings().block_timeout),
            }),
        }
    }

    async fn fetch(&self, index: u64) -> Result<Bytes, StorageError> {
        let start = index * self.block_size();
        let range = start..self.source.size.min(start + self.block_size());
        let block = self.source.bucket.get_range(&self.source.key, &self.source.etag, range).await?;
        self.bytes_read.fetch_add(block.len() as u64, Ordering::Relaxed);
        Ok(block)
    }
}

/// An unguessable path, ending like the key does where that is harmless: ffmpeg takes an extension for a hint.
fn path(key: &str) -> String {
    let token: String = rand::random::<[u8; 16]>().iter().map(|byte| format!("{byte:02x}")).collect();
    let extension = key.rsplit('/').next().and_then(|file| file.rsplit_once('.')).map_or("", |(_, extension)| extension);
    let harmless = (1..=MAX_EXTENSION).contains(&extension.len()) && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if harmless { format!("/{token}/source.{}", extension.to_ascii_lowercase()) } else { format!("/{token}/source") }
}

/// Answers GET and HEAD (whose body axum drops unread, so that it fetches nothing).
async fn answer(State(served): State<Arc<Served>>, headers: HeaderMap) -> Response {
    served.requests.fetch_add(1, Ordering::Relaxed);
    if served.fault.get().is_some() {
        // The task has failed already; the sooner its ffmpeg notices the better.
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let size = served.source.size;
    let head = Response::builder().header(ACCEPT_RANGES, "bytes").header(CONTENT_TYPE, "application/octet-stream");
    let range = headers.get(RANGE).and_then(|value| value.to_str().ok());
    match wanted(range, size) {
        Wanted::Whole => with_body(head.status(StatusCode::OK), served, 0..size),
        Wanted::Part(part) => {
            let content_range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            with_body(head.status(StatusCode::PARTIAL_CONTENT).header(CONTENT_RANGE, content_range), served, part)
        }
        Wanted::Unsatisfiable => {
            let head = head.status(StatusCode::RANGE_NOT_SATISFIABLE).header(CONTENT_RANGE, format!("bytes */{size}"));
            finished(head.body(Body::empty()))
        }
    }
}

fn with_body(head: response::Builder, served: Arc<Served>, range: std::ops::Range<u64>) -> Response {
    let head = head.header(CONTENT_LENGTH, range.end - range.start);
    let stopped = served.stopped.clone().cancelled_owned();
    finished(head.body(Body::from_stream(read(served, range).boxed().take_until(Box::pin(stopped)))))
}

fn finished(response: Result<Response, axum::http::Error>) -> Response {
    response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

#[cfg(all(test, feature = "dev"))]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::storage::ObjectKind;
    use crate::storage::testing::{Fault, TestS3, clip, fetch, noise, request, run};

    const KEY: &str = "uploads/holiday.MP4";
    const KIB: u64 = 1024;

    fn small_blocks() -> BlockCache {
        let settings = SourceSettings { block_size: 64 * KIB, cache_bytes: 4096 * KIB, ..SourceSettings::default() };
        BlockCache::new(settings)
    }

    async fn upload(s3: &TestS3, bytes: Bytes) -> Source {
        let (bucket, size) = (s3.bucket().await, bytes.len() as u64);
        let stored = bucket.put(KEY, bytes, ObjectKind::private("video/mp4")).await.unwrap();
        Source { bucket, key: KEY.to_owned(), etag: stored.etag, size }
    }

    #[tokio::test]
    async fn the_source_is_served_whole_and_fetched_once() {
        let s3 = TestS3::start().await;
        let bytes = noise(1_000_000);
        let server = SourceServer::open(upload(&s3, bytes.clone()).await, small_blocks()).await.unwrap();
        for _ in 0..2 {
            let answer = fetch("GET", server.url(), None).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("accept-ranges"), Some("bytes"));
            assert_eq!(answer.body, bytes);
        }
        let report = server.close().await;
        assert_eq!((report.bytes_read, report.bytes_served, report.requests), (1_000_000, 2_000_000, 2));
        assert!(report.fault.is_none());
    }

    #[tokio::test]
    async fn ranges_are_served_as_the_rfc_says() {
        let s3 = TestS3::start().await;
        let bytes = noise(200_000);
        let server = SourceServer::open(upload(&s3, bytes.clone()).await, small_blocks()).await.unwrap();
        let table = [
            ("bytes=0-0", 0..1),
            ("bytes=65535-65536", 65_535..65_537),
            ("bytes=70000-", 70_000..200_000),
            ("bytes=-10", 199_990..200_000),
            ("bytes=131072-999999", 131_072..200_000),
        ];
        for (range, expected) in table {
            let answer = fetch("GET", server.url(), Some(range)).await;
            let content_range = format!("bytes {}-{}/200000", expected.start, expected.end - 1);
            assert_eq!((answer.status, answer.header("content-range")), (206, Some(content_range.as_str())), "{range}");
            assert_eq!(answer.body, bytes.slice(expected), "{range}");
        }
        let answer = fetch("GET", server.url(), Some("bytes=200000-")).await;
        assert_eq!((answer.status, answer.header("content-range")), (416, Some("bytes */200000")));
    }

    #[tokio::test]
    async fn a_head_request_tells_the_size_and_fetches_nothing() {
        let s3 = TestS3::start().await;
        let server = SourceServer::open(upload(&s3, noise(200_000)).await, small_blocks()).await.unwrap();
        let answer = fetch("HEAD", server.url(), None).await;
        assert_eq!((answer.status, answer.header("content-length")), (200, Some("200000")));
        assert_eq!((answer.body.len(), server.bytes_read()), (0, 0));
    }

    #[tokio::test]
    async fn a_short_range_fetches_one_block_and_nothing_ahead() {
        let s3 = TestS3::start().await;
        let server = SourceServer::open(upload(&s3, noise(1_000_000)).await, small_blocks()).await.unwrap();
        fetch("GET", server.url(), Some("bytes=500000-500009")).await;
        assert_eq!(server.bytes_read(), 64 * KIB);
    }

    #[tokio::test]
    async fn nothing_but_the_one_path_is_served() {
        let s3 = TestS3::start().await;
        let server = SourceServer::open(upload(&s3, noise(10)).await, small_blocks()).await.unwrap();
        assert!(server.url().starts_with("http://127.0.0.1:") && server.url().ends_with("/source.mp4"));
        let (root, _) = server.url().strip_suffix("/source.mp4").unwrap().rsplit_once('/').unwrap();
        for path in ["", "source.mp4", "0/source.mp4", "00000000000000000000000000000000/source.mp4"] {
            assert_eq!(fetch("GET", &format!("{root}/{path}"), None).await.status, 404, "{path}");
        }
        assert_eq!(fetch("POST", server.url(), None).await.status, 405);
    }

    #[tokio::test]
    async fn servers_of_one_version_share_their_blocks_and_fetch_each_once() {
        let s3 = TestS3::start().await;
        let bytes = noise(1_000_000);
        let (source, cache) = (upload(&s3, bytes.clone()).await, small_blocks());
        let servers = futures::future::try_join_all((0..4).map(|_| SourceServer::open(source.clone(), cache.clone())));
        let servers = servers.await.unwrap();
        for answer in futures::future::join_all(servers.iter().map(|server| fetch("GET", server.url(), None))).await {
            assert_eq!(answer.body, bytes);
        }
        assert_eq!(servers.iter().map(SourceServer::bytes_read).sum::<u64>(), 1_000_000);
        assert!(servers.iter().all(|server| server.bytes_served() == 1_000_000));
    }

    #[tokio::test]
    async fn the_cache_stays_within_its_bound() {
        let s3 = TestS3::start().await;
        let settings =
            SourceSettings { block_size: 64 * KIB, cache_bytes: 256 * KIB, ..SourceSettings::default() };
        let cache = BlockCache::new(settings);
        let server = SourceServer::open(upload(&s3, noise(1_000_000)).await, cache.clone()).await.unwrap();
        fetch("GET", server.url(), None).await;
        assert!(cache.bytes() > 0 && cache.bytes() <= 256 * KIB, "{cache:?}");
    }

    #[tokio::test]
    async fn a_source_that_breaks_off_is_a_short_answer_and_a_fault() {
        let s3 = TestS3::start().await;
        let bytes = noise(1_000_000);
        let server = SourceServer::open(upload(&s3, bytes.clone()).await, small_blocks()).await.unwrap();
        s3.proxy().set(Fault::Cut { after: 500_000 });
        let answer = fetch("GET", server.url(), None).await;
        assert_eq!((answer.status, answer.header("content-length")), (200, Some("1000000")));
        assert!(answer.body.len() < 500_000 && bytes.starts_with(&answer.body));
        let fault = server.fault().expect("a fault");
        assert!(fault.error.is_transient(), "{fault}");
        // It is over, also when the service is back.
        s3.proxy().set(Fault::None);
        assert_eq!(fetch("GET", server.url(), None).await.status, 503);
        assert_eq!(server.close().await.fault.unwrap().offset, fault.offset);
    }

    #[tokio::test]
    async fn a_connection_cut_once_is_no_fault() {
        let s3 = TestS3::start().await;
        let bytes = noise(1_000_000);
        let server = SourceServer::open(upload(&s3, bytes.clone()).await, small_blocks()).await.unwrap();
        s3.proxy().set(Fault::CutOnce { after: 500_000 });
        assert_eq!(fetch("GET", server.url(), None).await.body, bytes);
        assert!(server.fault().is_none());
    }

    #[tokio::test]
    async fn a_block_that_does_not_come_in_time_is_a_fault() {
        let s3 = TestS3::start().await;
        let settings = SourceSettings { block_timeout: Duration::from_millis(300), ..SourceSettings::default() };
        let server = SourceServer::open(upload(&s3, noise(100_000)).await, BlockCache::new(settings)).await.unwrap();
        s3.proxy().set(Fault::Stall { after: 50_000 });
        assert_eq!(fetch("GET", server.url(), None).await.body.len(), 0);
        assert_eq!(server.fault().unwrap().error.kind(), "unavailable");
    }

    #[tokio::test]
    async fn a_source_that_changes_is_a_fault_of_its_own() {
        let s3 = TestS3::start().await;
        let server = SourceServer::open(upload(&s3, noise(100_000)).await, small_blocks()).await.unwrap();
        upload(&s3, noise(100_001)).await;
        assert_eq!(fetch("GET", server.url(), None).await.body.len(), 0);
        assert_eq!(server.fault().unwrap().error.kind(), "changed");
    }

    #[tokio::test]
    async fn a_client_that_leaves_is_no_fault() {
        let s3 = TestS3::start().await;
        let bytes = noise(8_000_000);
        let server = SourceServer::open(upload(&s3, bytes.clone()).await, small_blocks()).await.unwrap();
        let mut connection = request("GET", server.url(), None).await;
        connection.read_exact(&mut [0; 1000]).await.unwrap();
        drop(connection);
        assert_eq!(fetch("GET", server.url(), Some("bytes=7999990-")).await.body, bytes.slice(7_999_990..));
        let report = server.close().await;
        assert!(report.fault.is_none() && report.bytes_read < 8_000_000, "{report:?}");
    }

    #[tokio::test]
    async fn closing_cuts_what_is_being_read_and_frees_the_port() {
        let s3 = TestS3::start().await;
        let server = SourceServer::open(upload(&s3, noise(20_000_000)).await, small_blocks()).await.unwrap();
        let url = server.url().to_owned();
        let mut connection = request("GET", &url, None).await;
        connection.read_exact(&mut [0; 1000]).await.unwrap();
        let report = server.close().await;
        assert!(report.fault.is_none());
        let mut rest = Vec::new();
        let _ = connection.read_to_end(&mut rest).await;
        assert!(rest.len() < 19_000_000);
        let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn ffprobe_sees_the_same_packets_as_in_the_file() {
        let s3 = TestS3::start().await;
        let (_folder, path) = clip().await;
        let bytes = Bytes::from(std::fs::read(&path).unwrap());
        let server = SourceServer::open(upload(&s3, bytes).await, small_blocks()).await.unwrap();
        let packets = ["-v", "error", "-show_entries", "packet=stream_index,pts,size", "-of", "csv=p=0"];
        let expected = run("ffprobe", &[&packets[..], &[path.to_str().unwrap()]].concat()).await;
        let seen = run("ffprobe", &[&packets[..], &[server.url()]].concat()).await;
        assert!(expected.lines().count() > 600);
        assert_eq!(seen, expected);
        assert!(server.close().await.fault.is_none());
    }

    #[tokio::test]
    async fn ffprobe_on_a_source_that_breaks_off_leaves_a_fault() {
        let s3 = TestS3::start().await;
        let (_folder, path) = clip().await;
        let bytes = Bytes::from(std::fs::read(&path).unwrap());
        let half = bytes.len() / 2;
        let server = SourceServer::open(upload(&s3, bytes).await, small_blocks()).await.unwrap();
        s3.proxy().set(Fault::Cut { after: half });
        let packets = ["-v", "quiet", "-show_entries", "packet=pts", "-of", "csv=p=0"];
        let seen = run("ffprobe", &[&packets[..], &[server.url()]].concat()).await;
        assert!(seen.lines().count() < 600, "{} packets", seen.lines().count());
        assert!(server.fault().is_some());
    }
}
