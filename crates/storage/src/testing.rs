//! A real S3 server over HTTP and a proxy that breaks its answers, for tests (feature `testing`).

#![expect(clippy::unwrap_used, reason = "whatever fails here fails a test")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::error_handling::HandleError;
use axum::http::StatusCode;
use bytes::Bytes;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use super::{Bucket, StaticCredentials, Storage, StorageSettings};

/// The bucket every test server has.
pub const BUCKET: &str = "media";
const KEY_ID: &str = "dev";
const SECRET: &str = "dev-secret";

/// An S3 server on a free port with an empty bucket, behind a [`FaultProxy`]. Stopped and removed
/// when dropped.
pub struct TestS3 {
    root: TempDir,
    proxy: FaultProxy,
    _server: AbortOnDropHandle<()>,
}

impl TestS3 {
    /// Starts it.
    pub async fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join(BUCKET)).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(root.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let service = HandleError::new(service.build(), |_| async {
            StatusCode::INTERNAL_SERVER_ERROR
        });
        let (address, server) = serve(Router::new().fallback_service(service)).await;

        Self {
            root,
            proxy: FaultProxy::start(address).await,
            _server: server,
        }
    }

    /// Settings that reach it through the proxy, with shorter timeouts than in production.
    pub fn settings(&self) -> StorageSettings {
        settings_for(self.proxy.address)
    }

    /// A client of it.
    pub async fn storage(&self) -> Storage {
        Storage::connect(&self.settings()).await
    }

    /// Its bucket.
    pub async fn bucket(&self) -> Bucket {
        self.storage().await.bucket(BUCKET)
    }

    /// What its answers come through.
    pub fn proxy(&self) -> &FaultProxy {
        &self.proxy
    }

    /// How many multipart uploads are open: s3s-fs keeps a file for each at its root.
    pub fn open_uploads(&self) -> usize {
        let names = std::fs::read_dir(self.root.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        names
            .filter(|name| name.to_string_lossy().starts_with(".upload"))
            .count()
    }
}

/// Settings for a test server at `address`.
pub fn settings_for(address: SocketAddr) -> StorageSettings {
    StorageSettings {
        endpoint: Some(format!("http://{address}")),
        credentials: Some(StaticCredentials {
            access_key_id: KEY_ID.to_owned(),
            secret_access_key: SECRET.into(),
        }),
        stall_timeout: Duration::from_secs(15),
        max_attempts: 2,
        ..StorageSettings::new("us-east-1")
    }
}

/// Serves a router on a free loopback port until the handle is dropped.
pub async fn serve(router: Router) -> (SocketAddr, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, AbortOnDropHandle::new(server))
}

/// What the proxy does with the bytes of answers.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Passes all of them.
    None,
    /// Closes the connection after this many bytes, and all later ones at once.
    Cut {
        /// Bytes.
        after: usize,
    },
    /// Closes one connection after this many bytes and passes the rest.
    CutOnce {
        /// Bytes.
        after: usize,
    },
    /// Passes this many bytes and then nothing more.
    Stall {
        /// Bytes.
        after: usize,
    },
}

/// A TCP proxy that can break answers.
pub struct FaultProxy {
    /// Where it listens.
    pub address: SocketAddr,
    fault: Arc<Mutex<Fault>>,
    _accepting: AbortOnDropHandle<()>,
}

impl FaultProxy {
    async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fault = Arc::new(Mutex::new(Fault::None));
        let shared = Arc::clone(&fault);

        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(relay(client, upstream, Arc::clone(&shared)));
            }
        });

        Self {
            address,
            fault,
            _accepting: AbortOnDropHandle::new(accepting),
        }
    }

    /// Breaks answers from now on, those under way included.
    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }
}

async fn relay(client: TcpStream, upstream: SocketAddr, fault: Arc<Mutex<Fault>>) {
    let Ok(server) = TcpStream::connect(upstream).await else {
        return;
    };

    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();

    let requests = async move {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
    };
    let answers = async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            let (passed, goes_on) = pass(&fault, read);
            if to_client.write_all(&buffer[..passed]).await.is_err() {
                return;
            }
            match goes_on {
                Some(true) => {}
                Some(false) => std::future::pending().await,
                None => return,
            }
        }
    };

    // Whichever side ends first, both connections are closed.
    tokio::select! { () = requests => {}, () = answers => {} }
}

/// How many of `read` bytes pass, and whether the connection then continues, stalls, or (`None`) is
/// closed.
fn pass(fault: &Mutex<Fault>, read: usize) -> (usize, Option<bool>) {
    let mut fault = fault.lock().unwrap();
    match &mut *fault {
        Fault::None => (read, Some(true)),
        Fault::Cut { after } | Fault::CutOnce { after } | Fault::Stall { after }
            if *after >= read =>
        {
            *after -= read;
            (read, Some(true))
        }
        Fault::Cut { after } => (std::mem::take(after), None),
        Fault::Stall { after } => (std::mem::take(after), Some(false)),
        Fault::CutOnce { after } => {
            let passed = *after;
            *fault = Fault::None;
            (passed, None)
        }
    }
}

/// Bytes that differ everywhere.
pub fn random_bytes(size: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..size).map(next).collect()
}

/// An HTTP answer as a plain client sees it: the body is what came before the connection ended.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its first line and headers.
    pub head: String,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields
            .into_iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// Sends one HTTP/1.1 request to a `http://127.0.0.1:port/path` URL and returns the connection.
pub async fn request(method: &str, url: &str, range: Option<&str>) -> TcpStream {
    let (authority, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut connection = TcpStream::connect(authority).await.unwrap();
    let range = range
        .map(|range| format!("Range: {range}\r\n"))
        .unwrap_or_default();
    let head = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {authority}\r\n{range}Connection: close\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection
}

/// Sends one request and reads until the connection ends, however it ends.
pub async fn fetch(method: &str, url: &str, range: Option<&str>) -> Answer {
    let mut connection = request(method, url, range).await;
    let mut bytes = Vec::new();
    let _ = connection.read_to_end(&mut bytes).await;

    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("an HTTP head");
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();

    Answer {
        status,
        head,
        body: bytes[end + 4..].to_vec(),
    }
}

/// Runs ffmpeg or ffprobe and returns its standard output, whatever its exit code.
#[expect(
    clippy::disallowed_methods,
    reason = "a test of what ffprobe sees needs neither sandbox nor deadline"
)]
pub async fn run(program: &str, arguments: &[&str]) -> String {
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await;
    String::from_utf8(output.expect("ffmpeg is installed").stdout).unwrap()
}

/// A ten-second clip with audio and its index at the end, in its own folder.
pub async fn clip() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    let name = path.to_str().unwrap();

    let picture = [
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x180:rate=25:duration=10",
    ];
    let sound = ["-f", "lavfi", "-i", "sine=frequency=440:duration=10"];
    let coded = [
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-c:a",
        "aac",
        name,
    ];

    run(
        "ffmpeg",
        &[
            &["-v", "error", "-nostdin"],
            &picture[..],
            &sound[..],
            &coded[..],
        ]
        .concat(),
    )
    .await;
    (folder, path)
}
