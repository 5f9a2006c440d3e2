//! The server itself: one object, one path, loopback only.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use axum::http::{HeaderMap, StatusCode, response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::StreamExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cache::BlockCache;
use super::fault::SourceFault;
use super::object::Source;
use super::range::{RequestedRange, parse_range};
use super::reading::read;
use super::served::{SharedSource, SourceReport};

/// How long closing waits for connections that were asked to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of an answer the kernel may take before the client reads it, in bytes. ffmpeg asks for
/// everything up to the end and leaves when it has enough; what lies in the buffer then was fetched
/// for nothing.
const SEND_BUFFER_BYTES: u32 = 256 * 1024;
/// How many connections may wait to be accepted; ffmpeg opens a few.
const LISTEN_BACKLOG: u32 = 128;
/// The longest file name extension that is passed on to ffmpeg, as a hint at the container.
const MAX_EXTENSION_CHARS: usize = 5;

/// A running server for one task. Dropping it stops it, too.
#[derive(Debug)]
pub struct SourceServer {
    url: String,
    served: Arc<SharedSource>,
    serving: JoinHandle<io::Result<()>>,
    stop: DropGuard,
}

impl SourceServer {
    /// Starts to serve `source` on a free port of 127.0.0.1, reading through `cache`. Nothing is
    /// fetched yet.
    ///
    /// # Errors
    /// Where no port can be opened.
    pub async fn open(source: Source, cache: BlockCache) -> io::Result<Self> {
        let listener = listen()?;
        let path = path(&source.key);
        let url = format!("http://{}{path}", listener.local_addr()?);

        let stop = CancellationToken::new();
        let served = Arc::new(SharedSource::new(source, cache, stop.clone()));
        let router = Router::new()
            .route(&path, get(answer))
            .with_state(Arc::clone(&served));
        let server =
            axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        let serving = tokio::spawn(server.into_future());

        Ok(Self {
            url,
            served,
            serving,
            stop: stop.drop_guard(),
        })
    }

    /// Where the source is: the only address that answers anything but 404. It contains no
    /// credential, but anyone who knows it can read the source.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Bytes fetched from S3 so far; it only grows.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.served.bytes_read()
    }

    /// Bytes given to the client so far, from S3 or from the cache; it only grows.
    #[must_use]
    pub fn bytes_served(&self) -> u64 {
        self.served.bytes_served()
    }

    /// The first read that failed. Ask after ffmpeg has ended: what it made is worth nothing if
    /// there is one.
    #[must_use]
    pub fn fault(&self) -> Option<SourceFault> {
        self.served.fault().cloned()
    }

    /// Pauses answers, or lets them continue: a reader waits for the next block meanwhile.
    pub fn hold(&self, held: bool) {
        self.served.hold(held);
    }

    /// Counts the bytes sent to the client. While answers are paused the count increases, too,
    /// because then the client is not the cause of the pause.
    #[must_use]
    pub fn work(&self) -> u64 {
        self.served.work()
    }

    /// Cuts what is still being read, closes the port and says what was read.
    pub async fn close(self) -> SourceReport {
        // The guard cancels the token that the server and its answers wait for.
        drop(self.stop);
        let abort = self.serving.abort_handle();
        // A connection that does not end in time is cut, so that the port is freed.
        if tokio::time::timeout(CLOSE_TIMEOUT, self.serving)
            .await
            .is_err()
        {
            abort.abort();
        }
        self.served.report()
    }
}

/// A loopback port whose connections hold little that the client may never read.
fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    // The last piece of an answer would wait for an acknowledgement; connections inherit this.
    socket.set_nodelay(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(LISTEN_BACKLOG)
}

/// An unguessable path, ending like the key does where that is harmless: ffmpeg takes an extension
/// for a hint.
fn path(key: &str) -> String {
    let token = hex::encode(rand::random::<[u8; 16]>());

    let extension = key
        .rsplit('/')
        .next()
        .and_then(|file| file.rsplit_once('.'))
        .map_or("", |(_, extension)| extension);
    let harmless = (1..=MAX_EXTENSION_CHARS).contains(&extension.len())
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());

    if harmless {
        format!("/{token}/source.{}", extension.to_ascii_lowercase())
    } else {
        format!("/{token}/source")
    }
}

/// Answers GET and HEAD (whose body axum drops unread, so that it fetches nothing).
async fn answer(State(served): State<Arc<SharedSource>>, headers: HeaderMap) -> Response {
    served.count_request();
    if served.fault().is_some() {
        // The task has already failed; its ffmpeg should notice as soon as possible.
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }

    let size = served.size();
    let head = Response::builder()
        .header(ACCEPT_RANGES, "bytes")
        .header(CONTENT_TYPE, "application/octet-stream");

    let range = headers.get(RANGE).and_then(|value| value.to_str().ok());
    match parse_range(range, size) {
        RequestedRange::Whole => build_response(head.status(StatusCode::OK), served, 0..size),
        RequestedRange::Part(part) => {
            let content_range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            build_response(
                head.status(StatusCode::PARTIAL_CONTENT)
                    .header(CONTENT_RANGE, content_range),
                served,
                part,
            )
        }
        RequestedRange::Unsatisfiable => {
            let head = head
                .status(StatusCode::RANGE_NOT_SATISFIABLE)
                .header(CONTENT_RANGE, format!("bytes */{size}"));
            response_or_error(head.body(Body::empty()))
        }
    }
}

fn build_response(
    head: response::Builder,
    served: Arc<SharedSource>,
    range: std::ops::Range<u64>,
) -> Response {
    let head = head.header(CONTENT_LENGTH, range.end - range.start);
    let stopped = served.stopped().clone().cancelled_owned();
    response_or_error(head.body(Body::from_stream(
        read(served, range).boxed().take_until(Box::pin(stopped)),
    )))
}

fn response_or_error(response: Result<Response, axum::http::Error>) -> Response {
    response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}
