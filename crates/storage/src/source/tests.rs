//! The server against a real S3 server, read by a plain client and by ffprobe.

use tokio::io::AsyncReadExt;

use std::time::Duration;

use crate::testing::{Fault, TestS3, clip, fetch, random_bytes, request, run};
use crate::{BlockCache, ObjectKind, Source, SourceServer, SourceSettings};
use bytes::Bytes;

const KEY: &str = "uploads/holiday.MP4";
const KIB: u64 = 1024;

fn small_blocks() -> BlockCache {
    let settings = SourceSettings {
        block_size: 64 * KIB,
        cache_bytes: 4096 * KIB,
        ..SourceSettings::default()
    };
    BlockCache::new(settings)
}

async fn upload(s3: &TestS3, bytes: Bytes) -> Source {
    let (bucket, size) = (s3.bucket().await, bytes.len() as u64);
    let stored = bucket
        .put(KEY, bytes, ObjectKind::private("video/mp4"))
        .await
        .unwrap();
    Source {
        bucket,
        key: KEY.to_owned(),
        etag: stored.etag,
        size,
    }
}

#[tokio::test]
async fn the_source_is_served_whole_and_fetched_once() {
    let s3 = TestS3::start().await;
    let bytes = random_bytes(1_000_000);
    let server = SourceServer::open(upload(&s3, bytes.clone()).await, small_blocks())
        .await
        .unwrap();

    for _ in 0..2 {
        let answer = fetch("GET", server.url(), None).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("accept-ranges"), Some("bytes"));
        assert_eq!(answer.body, bytes);
    }

    let report = server.close().await;
    assert_eq!(
        (report.bytes_read, report.bytes_served, report.requests),
        (1_000_000, 2_000_000, 2)
    );
    assert!(report.fault.is_none());
}

#[tokio::test]
async fn ranges_are_served_as_the_rfc_says() {
    let s3 = TestS3::start().await;
    let bytes = random_bytes(200_000);
    let server = SourceServer::open(upload(&s3, bytes.clone()).await, small_blocks())
        .await
        .unwrap();

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
        assert_eq!(
            (answer.status, answer.header("content-range")),
            (206, Some(content_range.as_str())),
            "{range}"
        );
        assert_eq!(answer.body, bytes.slice(expected), "{range}");
    }

    let answer = fetch("GET", server.url(), Some("bytes=200000-")).await;
    assert_eq!(
        (answer.status, answer.header("content-range")),
        (416, Some("bytes */200000"))
    );
}

#[tokio::test]
async fn a_head_request_tells_the_size_and_fetches_nothing() {
    let s3 = TestS3::start().await;
    let server = SourceServer::open(upload(&s3, random_bytes(200_000)).await, small_blocks())
        .await
        .unwrap();
    let answer = fetch("HEAD", server.url(), None).await;
    assert_eq!(
        (answer.status, answer.header("content-length")),
        (200, Some("200000"))
    );
    assert_eq!((answer.body.len(), server.bytes_read()), (0, 0));
}

#[tokio::test]
async fn a_short_range_fetches_one_block_and_nothing_ahead() {
    let s3 = TestS3::start().await;
    let server = SourceServer::open(upload(&s3, random_bytes(1_000_000)).await, small_blocks())
        .await
        .unwrap();
    fetch("GET", server.url(), Some("bytes=500000-500009")).await;
    assert_eq!(server.bytes_read(), 64 * KIB);
}

#[tokio::test]
async fn nothing_but_the_one_path_is_served() {
    let s3 = TestS3::start().await;
    let server = SourceServer::open(upload(&s3, random_bytes(10)).await, small_blocks())
        .await
        .unwrap();
    assert!(server.url().starts_with("http://127.0.0.1:") && server.url().ends_with("/source.mp4"));

    let (root, _) = server
        .url()
        .strip_suffix("/source.mp4")
        .unwrap()
        .rsplit_once('/')
        .unwrap();

    for path in [
        "",
        "source.mp4",
        "0/source.mp4",
        "00000000000000000000000000000000/source.mp4",
    ] {
        assert_eq!(
            fetch("GET", &format!("{root}/{path}"), None).await.status,
            404,
            "{path}"
        );
    }

    assert_eq!(fetch("POST", server.url(), None).await.status, 405);
}

#[tokio::test]
async fn servers_of_one_version_share_their_blocks_and_fetch_each_once() {
    let s3 = TestS3::start().await;
    let bytes = random_bytes(1_000_000);
    let (source, cache) = (upload(&s3, bytes.clone()).await, small_blocks());
    let servers = futures::future::try_join_all(
        (0..4).map(|_| SourceServer::open(source.clone(), cache.clone())),
    );
    let servers = servers.await.unwrap();

    for answer in futures::future::join_all(
        servers
            .iter()
            .map(|server| fetch("GET", server.url(), None)),
    )
    .await
    {
        assert_eq!(answer.body, bytes);
    }

    assert_eq!(
        servers.iter().map(SourceServer::bytes_read).sum::<u64>(),
        1_000_000
    );
    assert!(
        servers
            .iter()
            .all(|server| server.bytes_served() == 1_000_000)
    );
}

#[tokio::test]
async fn the_cache_stays_within_its_bound() {
    let s3 = TestS3::start().await;
    let settings = SourceSettings {
        block_size: 64 * KIB,
        cache_bytes: 256 * KIB,
        ..SourceSettings::default()
    };
    let cache = BlockCache::new(settings);
    let server = SourceServer::open(upload(&s3, random_bytes(1_000_000)).await, cache.clone())
        .await
        .unwrap();

    fetch("GET", server.url(), None).await;
    assert!(cache.bytes() > 0 && cache.bytes() <= 256 * KIB, "{cache:?}");
}

#[tokio::test]
async fn a_source_is_served_without_any_cache_at_all() {
    let s3 = TestS3::start().await;
    let bytes = random_bytes(200_000);
    let settings = SourceSettings {
        block_size: 64 * KIB,
        cache_bytes: 0,
        ..SourceSettings::default()
    };
    let server = SourceServer::open(upload(&s3, bytes.clone()).await, BlockCache::new(settings))
        .await
        .unwrap();

    assert_eq!(fetch("GET", server.url(), None).await.body, bytes);
}

#[tokio::test]
async fn an_empty_source_is_an_empty_answer() {
    let s3 = TestS3::start().await;
    let server = SourceServer::open(upload(&s3, Bytes::new()).await, small_blocks())
        .await
        .unwrap();

    let answer = fetch("GET", server.url(), None).await;
    assert_eq!(
        (
            answer.status,
            answer.header("content-length"),
            answer.body.len()
        ),
        (200, Some("0"), 0)
    );
    assert_eq!(
        fetch("GET", server.url(), Some("bytes=0-")).await.status,
        416
    );
}

#[tokio::test]
async fn a_source_that_breaks_off_is_a_short_answer_and_a_fault() {
    let s3 = TestS3::start().await;
    let bytes = random_bytes(1_000_000);
    let server = SourceServer::open(upload(&s3, bytes.clone()).await, small_blocks())
        .await
        .unwrap();

    s3.proxy().set(Fault::Cut { after: 500_000 });
    let answer = fetch("GET", server.url(), None).await;
    assert_eq!(
        (answer.status, answer.header("content-length")),
        (200, Some("1000000"))
    );
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
    let bytes = random_bytes(1_000_000);
    let server = SourceServer::open(upload(&s3, bytes.clone()).await, small_blocks())
        .await
        .unwrap();
    s3.proxy().set(Fault::CutOnce { after: 500_000 });
    assert_eq!(fetch("GET", server.url(), None).await.body, bytes);
    assert!(server.fault().is_none());
}

#[tokio::test]
async fn a_block_that_does_not_come_in_time_is_a_fault() {
    let s3 = TestS3::start().await;
    let settings = SourceSettings {
        block_timeout: Duration::from_millis(300),
        ..SourceSettings::default()
    };
    let server = SourceServer::open(
        upload(&s3, random_bytes(100_000)).await,
        BlockCache::new(settings),
    )
    .await
    .unwrap();

    s3.proxy().set(Fault::Stall { after: 50_000 });
    assert_eq!(fetch("GET", server.url(), None).await.body.len(), 0);
    let fault = server.fault().unwrap();
    assert!(
        fault.to_string().contains("no block after 300ms"),
        "{fault}"
    );
}

#[tokio::test]
async fn a_source_that_changes_is_a_fault_of_its_own() {
    let s3 = TestS3::start().await;
    let server = SourceServer::open(upload(&s3, random_bytes(100_000)).await, small_blocks())
        .await
        .unwrap();
    upload(&s3, random_bytes(100_001)).await;
    assert_eq!(fetch("GET", server.url(), None).await.body.len(), 0);
    assert_eq!(server.fault().unwrap().error.kind(), "changed");
}

#[tokio::test]
async fn a_client_that_leaves_is_no_fault() {
    let s3 = TestS3::start().await;
    let bytes = random_bytes(8_000_000);
    let server = SourceServer::open(upload(&s3, bytes.clone()).await, small_blocks())
        .await
        .unwrap();

    let mut connection = request("GET", server.url(), None).await;
    connection.read_exact(&mut [0; 1000]).await.unwrap();
    drop(connection);

    assert_eq!(
        fetch("GET", server.url(), Some("bytes=7999990-"))
            .await
            .body,
        bytes.slice(7_999_990..)
    );

    let report = server.close().await;
    assert!(
        report.fault.is_none() && report.bytes_read < 8_000_000,
        "{report:?}"
    );
}

#[tokio::test]
async fn closing_cuts_what_is_being_read_and_frees_the_port() {
    let s3 = TestS3::start().await;
    let server = SourceServer::open(upload(&s3, random_bytes(20_000_000)).await, small_blocks())
        .await
        .unwrap();

    let url = server.url().to_owned();
    let mut connection = request("GET", &url, None).await;
    connection.read_exact(&mut [0; 1000]).await.unwrap();

    let report = server.close().await;
    assert!(report.fault.is_none());
    let mut rest = Vec::new();
    let _ = connection.read_to_end(&mut rest).await;
    assert!(rest.len() < 19_000_000);

    let address = url
        .strip_prefix("http://")
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn ffprobe_sees_the_same_packets_as_in_the_file() {
    let s3 = TestS3::start().await;
    let (_folder, path) = clip().await;
    let bytes = Bytes::from(std::fs::read(&path).unwrap());
    let server = SourceServer::open(upload(&s3, bytes).await, small_blocks())
        .await
        .unwrap();

    let packets = [
        "-v",
        "error",
        "-show_entries",
        "packet=stream_index,pts,size",
        "-of",
        "csv=p=0",
    ];

    let expected = run(
        "ffprobe",
        &[&packets[..], &[path.to_str().unwrap()]].concat(),
    )
    .await;
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
    let server = SourceServer::open(upload(&s3, bytes).await, small_blocks())
        .await
        .unwrap();

    s3.proxy().set(Fault::Cut { after: half });
    let packets = [
        "-v",
        "quiet",
        "-show_entries",
        "packet=pts",
        "-of",
        "csv=p=0",
    ];
    let seen = run("ffprobe", &[&packets[..], &[server.url()]].concat()).await;
    assert!(
        seen.lines().count() < 600,
        "{} packets",
        seen.lines().count()
    );
    assert!(server.fault().is_some());
}

#[tokio::test]
async fn a_reader_that_is_held_back_waits_and_then_gets_the_rest() {
    let s3 = TestS3::start().await;
    let bytes = random_bytes(3_000_000);
    let server = SourceServer::open(upload(&s3, bytes.clone()).await, small_blocks())
        .await
        .unwrap();

    server.hold(true);
    let reading = fetch("GET", server.url(), None);
    let mut reading = std::pin::pin!(reading);
    assert!(
        tokio::time::timeout(Duration::from_millis(300), &mut reading)
            .await
            .is_err()
    );
    assert_eq!(server.bytes_served(), 0);

    // A watchdog of the reader must not take it for hung.
    assert!(server.work() < server.work());

    server.hold(false);
    assert_eq!(reading.await.body, bytes);
    assert_eq!(server.work(), server.work());
}
