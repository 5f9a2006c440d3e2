//! The running store, from its start to its end.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::error_handling::HandleError;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::from_fn;
use axum::serve::ListenerExt;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::public_read::PublicRead;
use crate::loopback;

/// The access key id of the only user; no secret, since the server is for this machine alone.
pub const ACCESS_KEY_ID: &str = "dev";
/// The secret access key of the only user.
pub const SECRET_ACCESS_KEY: &str = "dev-secret";
/// The region that clients sign for.
pub const REGION: &str = "us-east-1";

/// How long open requests may take to end when the store stops.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Why a store could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ObjectStoreError {
    /// The name cannot be a bucket's.
    #[error(
        "`{name}` is not a bucket name: use 3 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit"
    )]
    BucketName {
        /// The name.
        name: String,
    },
    /// The folder of the data could not be made or read.
    #[error("cannot keep objects in {path}: {reason}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Every port tried is taken.
    #[error("no free port for the object store on 127.0.0.1 from {wanted} upwards: {source}")]
    NoFreePort {
        /// The first port tried.
        wanted: u16,
        /// Why the last one was refused.
        source: io::Error,
    },
}

/// An S3 server that answers; it ends when dropped.
#[derive(Debug)]
pub struct ObjectStore {
    address: SocketAddr,
    bucket: String,
    closing: CancellationToken,
    server: JoinHandle<io::Result<()>>,
}

impl ObjectStore {
    /// Serves `data` with one bucket, made when missing, on 127.0.0.1 at `port` or the next free
    /// one above it (0: any).
    ///
    /// # Errors
    /// See [`ObjectStoreError`].
    pub async fn start(data: &Path, bucket: &str, port: u16) -> Result<Self, ObjectStoreError> {
        let service = service(data, bucket)?;

        let no_port = |source| ObjectStoreError::NoFreePort {
            wanted: port,
            source,
        };
        let listener = loopback::bind(port).await.map_err(no_port)?;
        let address = listener.local_addr().map_err(no_port)?;

        let closing = CancellationToken::new();
        let server = tokio::spawn(serve(listener, service, closing.clone()));
        Ok(Self {
            address,
            bucket: bucket.to_owned(),
            closing,
            server,
        })
    }

    /// The S3 endpoint, such as `http://127.0.0.1:9000`; also the origin that pages load from.
    /// Requests are path-style.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The root of the public URLs: a key appended to it, after a slash, is readable by anyone
    /// here.
    pub fn public_base_url(&self) -> String {
        format!("{}/{}", self.endpoint(), self.bucket)
    }

    /// The bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The address it listens on; another port than the wanted one means that one was busy.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, and gives open ones five seconds to end.
    pub async fn stop(mut self) {
        self.closing.cancel();
        let _cut_off_or_failed = timeout(STOP_GRACE, &mut self.server).await;
    }
}

impl Drop for ObjectStore {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The S3 protocol over a folder, with one user and the public's rights.
fn service(data: &Path, bucket: &str) -> Result<S3Service, ObjectStoreError> {
    if !is_bucket_name(bucket) {
        return Err(ObjectStoreError::BucketName {
            name: bucket.to_owned(),
        });
    }

    let folder = |reason: String| ObjectStoreError::Folder {
        path: data.to_owned(),
        reason,
    };

    // A bucket is a folder to s3s-fs; making it here needs no client.
    std::fs::create_dir_all(data.join(bucket)).map_err(|error| folder(error.to_string()))?;
    let files = FileSystem::new(data).map_err(|error| folder(format!("{error:?}")))?;

    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
    // Without an `auth` s3s would never ask the access policy.
    builder.set_access(PublicRead);
    Ok(builder.build())
}

fn is_bucket_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && bytes.iter().all(|&byte| plain(byte) || byte == b'-')
        && bytes.first().is_some_and(|&byte| plain(byte))
        && bytes.last().is_some_and(|&byte| plain(byte))
}

async fn serve(
    listener: TcpListener,
    service: S3Service,
    closing: CancellationToken,
) -> io::Result<()> {
    // s3s has logged the error itself.
    let service = HandleError::new(service, |_: s3s::HttpError| async {
        StatusCode::INTERNAL_SERVER_ERROR
    });

    let router = Router::new()
        .fallback_service(service)
        .layer(cors())
        .layer(from_fn(loopback::refuse_foreign_hosts));

    // s3s-fs answers in small pieces; the last of each would wait for an acknowledgement.
    let listener = listener.tap_io(|connection| {
        let _slower_only = connection.set_nodelay(true);
    });

    axum::serve(listener, router)
        .with_graceful_shutdown(closing.cancelled_owned())
        .await
}

/// Lets players on this machine's pages read; every other page's scripts get nothing.
fn cors() -> CorsLayer {
    let from_here =
        |origin: &HeaderValue, _: &_| origin.to_str().is_ok_and(loopback::is_loopback_origin);
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(from_here))
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers([header::RANGE])
        .expose_headers([header::CONTENT_LENGTH, header::CONTENT_RANGE, header::ETAG])
}
