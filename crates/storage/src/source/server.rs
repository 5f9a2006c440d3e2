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
use streams::plan::SourceCopy;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cache::{BlockCache, BlockKey, Version};
use super::fault::SourceFault;
use super::range::{Wanted, wanted};
use super::reading::read;
use super::settings::SourceSettings;
use crate::{At, Bucket, Op, Storage, StorageError};

/// How long closing waits for connections that were told to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of an answer the kernel may take before the client reads it, in bytes. ffmpeg asks for everything up to the
/// end and leaves when it has enough; what lies in the buffer then was fetched for nothing.
const SEND_BUFFER: u32 = 256 * 1024;
/// How many connections may wait to be accepted; ffmpeg opens a few.
const BACKLOG: u32 = 128;
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

impl Source {
    /// What the tasks of a plan read: the copy of its source where there is one, else the source itself.
    #[must_use]
    pub fn planned(storage: &Storage, source: &streams::plan::Source) -> Self {
        source.copy.as_ref().map_or_else(
            || Self {
                bucket: storage.bucket(&source.bucket),
                key: source.key.clone(),
                etag: source.etag.clone(),
                size: source.size,
            },
            |copy| Self::copy(storage, copy),
        )
    }

    /// The copy of a source.
    #[must_use]
    pub fn copy(storage: &Storage, copy: &SourceCopy) -> Self {
        Self {
            bucket: storage.bucket(&copy.bucket),
            key: copy.key.clone(),
            etag: copy.etag.clone(),
            size: copy.size,
        }
    }
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
    held: watch::Sender<bool>,
    asked_while_held: AtomicU64,
    stopped: CancellationToken,
}

impl SourceServer {
    /// Starts to serve `source` on a free port of 127.0.0.1, reading through `cache`. Nothing is fetched yet.
    ///
    /// # Errors
    /// Where no port can be opened.
    pub async fn open(source: Source, cache: BlockCache) -> io::Result<Self> {
        let listener = listen()?;
        let path = path(&source.key);
        let url = format!("http://{}{path}", listener.local_addr()?);
        let stop = CancellationToken::new();
        let served = Arc::new(Served::new(source, cache, stop.clone()));
        let router = Router::new().route(&path, get(answer)).with_state(Arc::clone(&served));
        let server = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        let serving = tokio::spawn(server.into_future());
        Ok(Self {
            url,
            served,
            serving,
            stop: stop.drop_guard(),
        })
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

    /// Holds answers back, or lets them go on: whoever reads waits for the next block meanwhile.
    pub fn hold(&self, held: bool) {
        self.served
            .held
            .send_if_modified(|now| std::mem::replace(now, held) != held);
    }

    /// Counts what the client was given. While it is held back the count moves too: that the client stands still is then our doing.
    #[must_use]
    pub fn work(&self) -> u64 {
        if *self.served.held.borrow() {
            self.served.asked_while_held.fetch_add(1, Ordering::Relaxed);
        }
        self.bytes_read() + self.bytes_served() + self.served.asked_while_held.load(Ordering::Relaxed)
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
            held: watch::Sender::new(false),
            asked_while_held: AtomicU64::new(0),
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

    /// Waits while answers are held back.
    pub(super) async fn released(&self) {
        // The sender is in the same value, so it is there as long as we are.
        let _ = self.held.subscribe().wait_for(|held| !held).await;
    }

    /// Keeps the first fault; later ones are its consequences.
    pub(super) fn record(&self, fault: SourceFault) {
        tracing::warn!(%fault, "source fault");
        let _ = self.fault.set(fault);
    }

    /// One block of the source, from the cache or from S3.
    pub(super) async fn block(&self, index: u64) -> Result<Bytes, StorageError> {
        let key = BlockKey {
            version: Arc::clone(&self.version),
            index,
        };
        let block = self.cache.block(&key, self.fetch(index));
        match tokio::time::timeout(self.settings().block_timeout, block).await {
            Ok(block) => block,
            Err(_) => Err(StorageError::Unavailable {
                at: At {
                    op: Op::GetRange,
                    bucket: self.source.bucket.name().into(),
                    key: self.source.key.clone(),
                },
                reason: format!("no block after {:?}", self.settings().block_timeout),
            }),
        }
    }

    async fn fetch(&self, index: u64) -> Result<Bytes, StorageError> {
        let start = index * self.block_size();
        let range = start..self.source.size.min(start + self.block_size());
        let block = self
            .source
            .bucket
            .get_range(&self.source.key, &self.source.etag, range)
            .await?;
        self.bytes_read.fetch_add(block.len() as u64, Ordering::Relaxed);
        Ok(block)
    }
}

/// A loopback port whose connections hold little that the client may never read.
fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    // The last piece of an answer would wait for an acknowledgement; connections inherit this.
    socket.set_nodelay(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(BACKLOG)
}

/// An unguessable path, ending like the key does where that is harmless: ffmpeg takes an extension for a hint.
fn path(key: &str) -> String {
    let token: String = rand::random::<[u8; 16]>()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let extension = key
        .rsplit('/')
        .next()
        .and_then(|file| file.rsplit_once('.'))
        .map_or("", |(_, extension)| extension);
    let harmless =
        (1..=MAX_EXTENSION).contains(&extension.len()) && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if harmless {
        format!("/{token}/source.{}", extension.to_ascii_lowercase())
    } else {
        format!("/{token}/source")
    }
}

/// Answers GET and HEAD (whose body axum drops unread, so that it fetches nothing).
async fn answer(State(served): State<Arc<Served>>, headers: HeaderMap) -> Response {
    served.requests.fetch_add(1, Ordering::Relaxed);
    if served.fault.get().is_some() {
        // The task has failed already; the sooner its ffmpeg notices the better.
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let size = served.source.size;
    let head = Response::builder()
        .header(ACCEPT_RANGES, "bytes")
        .header(CONTENT_TYPE, "application/octet-stream");
    let range = headers.get(RANGE).and_then(|value| value.to_str().ok());
    match wanted(range, size) {
        Wanted::Whole => with_body(head.status(StatusCode::OK), served, 0..size),
        Wanted::Part(part) => {
            let content_range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            with_body(
                head.status(StatusCode::PARTIAL_CONTENT)
                    .header(CONTENT_RANGE, content_range),
                served,
                part,
            )
        }
        Wanted::Unsatisfiable => {
            let head = head
                .status(StatusCode::RANGE_NOT_SATISFIABLE)
                .header(CONTENT_RANGE, format!("bytes */{size}"));
            finished(head.body(Body::empty()))
        }
    }
}

fn with_body(head: response::Builder, served: Arc<Served>, range: std::ops::Range<u64>) -> Response {
    let head = head.header(CONTENT_LENGTH, range.end - range.start);
    let stopped = served.stopped.clone().cancelled_owned();
    finished(head.body(Body::from_stream(
        read(served, range).boxed().take_until(Box::pin(stopped)),
    )))
}

fn finished(response: Result<Response, axum::http::Error>) -> Response {
    response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}
