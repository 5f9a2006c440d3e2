//! The page over a real connection.

use std::net::SocketAddr;

use bytes::Bytes;
use chrono::DateTime;
use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    Accepted, CancelOutcome, CancelRequest, JobList, JobState, PageHandle, Refusal, Update,
    UploadRequest, router,
};
use crate::loopback;
use crate::raw_http::{Reply, exchange, read, send};

/// A served page, and the ends of its page handle that the composition would hold.
struct Served {
    address: SocketAddr,
    host: String,
    origin: String,
    uploads: mpsc::Receiver<UploadRequest>,
    cancels: mpsc::Receiver<CancelRequest>,
    job_list: watch::Sender<JobList>,
    closing: CancellationToken,
    server: JoinHandle<()>,
}

impl Served {
    async fn start() -> Self {
        let (upload_sender, uploads) = mpsc::channel(4);
        let (cancel_sender, cancels) = mpsc::channel(4);
        let (job_list, watcher) = watch::channel(JobList::default());
        let closing = CancellationToken::new();
        let page_handle = PageHandle {
            uploads: upload_sender,
            cancels: cancel_sender,
            job_list: watcher,
            media_origin: "http://127.0.0.1:9000".to_owned(),
            closing: closing.clone(),
        };

        let listener = loopback::bind(0).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = axum::serve(listener, router(page_handle))
            .with_graceful_shutdown(closing.clone().cancelled_owned());
        let server = tokio::spawn(async move { serving.await.unwrap() });
        let (host, origin) = (address.to_string(), format!("http://{address}"));

        Self {
            address,
            host,
            origin,
            uploads,
            cancels,
            job_list,
            closing,
            server,
        }
    }

    async fn get(&self, path: &str) -> Reply {
        exchange(
            self.address,
            &format!("GET {path}"),
            &[("Host", &self.host)],
            b"",
        )
        .await
    }

    /// What the page of the server would send.
    fn own(&self) -> [(&str, &str); 3] {
        [
            ("Host", &self.host),
            ("Origin", &self.origin),
            ("Sec-Fetch-Site", "same-origin"),
        ]
    }

    async fn stop(self) {
        self.closing.cancel();
        self.server.await.unwrap();
    }
}

fn update(job_id: &str, progress: f64) -> Update {
    Update {
        job_id: job_id.to_owned(),
        file_id: "f1".to_owned(),
        name: "clip.mp4".to_owned(),
        state: JobState::Encoding,
        progress,
        speed: Some(6.1),
        eta_seconds: None,
        manifest_url: None,
        thumbnail_url: None,
        error: None,
        warnings: vec!["no_audio".to_owned()],
        created_at: DateTime::UNIX_EPOCH,
    }
}

/// Reads one event: its name and its data.
async fn event(lines: &mut BufReader<TcpStream>) -> (String, serde_json::Value) {
    let (mut name, mut data) = (String::new(), None);

    loop {
        let mut line = String::new();
        assert_ne!(
            lines.read_line(&mut line).await.unwrap(),
            0,
            "the stream ended"
        );
        if let Some(text) = line.strip_prefix("event: ") {
            text.trim().clone_into(&mut name);
        } else if let Some(text) = line.strip_prefix("data: ") {
            data = Some(serde_json::from_str(text).unwrap());
        } else if line == "\n"
            && let Some(data) = data.take()
        {
            return (name, data);
        }
    }
}

#[tokio::test]
async fn the_page_and_its_assets_have_their_types_and_the_policy() {
    let served = Served::start().await;
    let page = served.get("/").await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );

    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'")
            && policy.contains("connect-src 'self' http://127.0.0.1:9000;"),
        "{policy}"
    );
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));

    let mentioned = page
        .text()
        .split('"')
        .filter(|text| text.starts_with("/assets/"))
        .collect::<Vec<_>>();
    assert!(mentioned.len() >= 4, "{mentioned:?}");
    for path in mentioned {
        let asset = served.get(path).await;
        let expected = match path.rsplit('.').next() {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        };

        assert_eq!(
            (asset.status, asset.header("content-type")),
            (200, Some(expected)),
            "{path}"
        );
        assert_eq!(
            asset.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
    }

    for missing in [
        "/assets/README.md",
        "/assets/..%2fmod.rs",
        "/assets/",
        "/api/nothing",
        "/favicon.ico",
    ] {
        assert_eq!(served.get(missing).await.status, 404, "{missing}");
    }

    served.stop().await;
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let own = [
        include_str!("assets/index.html"),
        include_str!("assets/style.css"),
        include_str!("assets/app.js"),
        include_str!("assets/feed.js"),
        include_str!("assets/job_list.js"),
        include_str!("assets/player.js"),
        include_str!("assets/uploads.js"),
    ];
    for text in own {
        assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("\"//"));
    }
}

#[test]
fn the_vendored_player_is_the_one_its_note_describes() {
    let sum = hex::encode(Sha256::digest(include_bytes!("assets/hls.min.js")));
    assert!(include_str!("assets/README.md").contains(&sum), "{sum}");
}

#[tokio::test]
async fn other_sites_and_other_host_names_are_refused() {
    let mut served = Served::start().await;
    let host = served.host.clone();
    for (line, headers) in [
        (
            "POST /api/files?name=a.mp4",
            vec![("Host", host.as_str()), ("Origin", "http://evil.test")],
        ),
        (
            "POST /api/files?name=a.mp4",
            vec![("Host", &host), ("Sec-Fetch-Site", "cross-site")],
        ),
        (
            "POST /api/files?name=a.mp4",
            vec![("Host", &host), ("Sec-Fetch-Site", "same-site")],
        ),
        // No page at all: it may read, but not change anything.
        ("POST /api/files?name=a.mp4", vec![("Host", &host)]),
        (
            "POST /api/files?name=a.mp4",
            vec![("Host", "evil.test"), ("Origin", "http://evil.test")],
        ),
        (
            "POST /api/jobs/j1/cancel",
            vec![("Host", &host), ("Origin", "null")],
        ),
        (
            "GET /api/updates",
            vec![("Host", &host), ("Origin", "http://evil.test")],
        ),
        ("GET /api/updates", vec![("Host", "evil.test")]),
        ("GET /", vec![("Host", "evil.test")]),
    ] {
        assert_eq!(
            exchange(served.address, line, &headers, b"x").await.status,
            403,
            "{line} {headers:?}"
        );
    }

    assert!(served.uploads.try_recv().is_err() && served.cancels.try_recv().is_err());
    served.stop().await;
}

#[tokio::test]
async fn an_upload_reaches_the_desk_as_it_arrives() {
    let mut served = Served::start().await;
    let mut connection = TcpStream::connect(served.address).await.unwrap();
    let head = format!(
        "POST /api/files?name=C%3A%5Cfilms%5Cclip%20%C3%A4.mp4 HTTP/1.1\r\nHost: {}\r\nOrigin: {}\r\nContent-Type: video/mp4\r\nContent-Length: 10\r\nConnection: close\r\n\r\n01234",
        served.host, served.origin,
    );
    connection.write_all(head.as_bytes()).await.unwrap();

    let mut request = served.uploads.recv().await.unwrap();
    assert_eq!(
        (request.name.as_str(), request.size),
        ("clip ä.mp4", Some(10))
    );
    assert_eq!(request.content_type.as_deref(), Some("video/mp4"));

    // The first half is here before the second was sent.
    assert_eq!(
        request.body.try_next().await.unwrap(),
        Some(Bytes::from_static(b"01234"))
    );

    connection.write_all(b"56789").await.unwrap();
    assert_eq!(
        request.body.try_next().await.unwrap(),
        Some(Bytes::from_static(b"56789"))
    );
    assert_eq!(request.body.try_next().await.unwrap(), None);

    let accepted = Accepted {
        file_id: "f1".to_owned(),
        job_id: "j1".to_owned(),
    };
    request.reply.send(Ok(accepted)).unwrap();

    let reply = read(connection).await;
    assert_eq!(
        (reply.status, reply.text()),
        (200, r#"{"file_id":"f1","job_id":"j1"}"#)
    );
    served.stop().await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_ends_in_an_error() {
    let mut served = Served::start().await;
    let mut connection = TcpStream::connect(served.address).await.unwrap();
    let head = format!(
        "POST /api/files?name=a HTTP/1.1\r\nHost: {}\r\nOrigin: {}\r\nContent-Length: 10\r\n\r\n01234",
        served.host, served.origin
    );
    connection.write_all(head.as_bytes()).await.unwrap();

    let mut request = served.uploads.recv().await.unwrap();
    request.body.try_next().await.unwrap();
    drop(connection);
    assert!(request.body.try_next().await.is_err());

    // As the composition would: without an answer the open request would keep the server.
    drop(request);
    served.stop().await;
}

#[tokio::test]
async fn a_refused_upload_says_why() {
    let mut served = Served::start().await;
    let own = served
        .own()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let address = served.address;
    let client = tokio::spawn(async move {
        let own = own
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect::<Vec<_>>();
        exchange(address, "POST /api/files?name=a.mp4", &own, b"abc").await
    });

    let request = served.uploads.recv().await.unwrap();
    let refusal = Refusal {
        code: "storage_unavailable".to_owned(),
        message: "The store is full.".to_owned(),
    };
    request.reply.send(Err(refusal)).unwrap();

    let reply = client.await.unwrap();
    assert_eq!(reply.status, 422);
    assert_eq!(
        reply.text(),
        r#"{"code":"storage_unavailable","message":"The store is full."}"#
    );

    let nameless = exchange(address, "POST /api/files?name=folder/", &served.own(), b"").await;
    assert_eq!(nameless.status, 400);
    served.stop().await;
}

#[tokio::test]
async fn a_page_gets_a_snapshot_then_what_changes_and_the_stream_ends_with_the_server() {
    let served = Served::start().await;
    served.job_list.send_modify(|job_list| {
        job_list.record(update("j1", 0.25));
        job_list.record(update("j2", 0.5));
    });

    let connection = send(
        served.address,
        "GET /api/updates",
        &[("Host", &served.host)],
        b"",
    )
    .await;
    let mut lines = BufReader::new(connection);
    let (name, jobs) = event(&mut lines).await;
    assert_eq!(name, "snapshot");
    assert_eq!(jobs.as_array().unwrap().len(), 2);

    let golden = serde_json::json!({
        "job_id": "j1", "file_id": "f1", "name": "clip.mp4", "state": "encoding", "progress": 0.25, "speed": 6.1,
        "eta_seconds": null, "manifest_url": null, "thumbnail_url": null, "error": null, "warnings": ["no_audio"],
        "created_at": "1970-01-01T00:00:00Z",
    });
    assert_eq!(jobs[0], golden);

    served
        .job_list
        .send_modify(|job_list| job_list.record(update("j2", 0.75)));
    let (name, jobs) = event(&mut lines).await;
    assert_eq!(
        (name.as_str(), jobs.as_array().unwrap().len()),
        ("updates", 1)
    );
    assert_eq!(
        (&jobs[0]["job_id"], &jobs[0]["progress"]),
        (&"j2".into(), &0.75.into())
    );

    // Returns only because the open stream ends on its own.
    served.stop().await;
}

#[tokio::test]
async fn a_cancellation_is_passed_on_and_answered() {
    for (outcome, status, text) in [
        (CancelOutcome::Requested, 202, r#"{"outcome":"requested"}"#),
        (CancelOutcome::TooLate, 409, r#"{"outcome":"too_late"}"#),
        (CancelOutcome::Unknown, 404, r#"{"outcome":"unknown"}"#),
    ] {
        let mut served = Served::start().await;
        let mut cancels = std::mem::replace(&mut served.cancels, mpsc::channel(1).1);
        let clerk = tokio::spawn(async move {
            let request = cancels.recv().await.unwrap();
            request.reply.send(outcome).unwrap();
            request.job_id
        });

        let reply = exchange(
            served.address,
            "POST /api/jobs/j-1/cancel",
            &served.own(),
            b"",
        )
        .await;
        assert_eq!((reply.status, reply.text()), (status, text));
        assert_eq!(clerk.await.unwrap(), "j-1");
        served.stop().await;
    }
}
