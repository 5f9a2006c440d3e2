//! The store over a real connection: the owner with the AWS SDK, the public with plain HTTP.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::primitives::ByteStream;
use tempfile::TempDir;

use super::{ACCESS_KEY_ID, ObjectStore, ObjectStoreError, REGION, SECRET_ACCESS_KEY};
use crate::loopback;
use crate::raw_http::{Reply, exchange};

async fn store() -> (TempDir, ObjectStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::start(&folder.path().join("s3"), "media", 0)
        .await
        .unwrap();
    (folder, store)
}

fn owner(store: &ObjectStore) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(store.endpoint())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(
            ACCESS_KEY_ID,
            SECRET_ACCESS_KEY,
            None,
            None,
            "dev",
        ))
        .force_path_style(true)
        .build();
    Client::from_conf(config)
}

async fn put(store: &ObjectStore, key: &str) {
    let put = owner(store).put_object().bucket("media").key(key);
    let put = put
        .content_type("application/vnd.apple.mpegurl")
        .cache_control("public, max-age=10");
    put.body(ByteStream::from_static(b"0123456789"))
        .send()
        .await
        .unwrap();
}

async fn anybody(store: &ObjectStore, line: &str, headers: &[(&str, &str)]) -> Reply {
    let host = store.address().to_string();
    let mut all = vec![("Host", host.as_str())];
    all.extend(headers);
    exchange(store.address(), line, &all, b"").await
}

#[tokio::test]
async fn anybody_reads_what_was_published_with_its_type_and_cache_rule() {
    let (_folder, store) = store().await;
    put(&store, "hls/f/master.m3u8").await;

    let reply = anybody(&store, "GET /media/hls/f/master.m3u8", &[]).await;
    assert_eq!((reply.status, reply.text()), (200, "0123456789"));
    assert_eq!(
        reply.header("content-type"),
        Some("application/vnd.apple.mpegurl")
    );
    assert_eq!(reply.header("cache-control"), Some("public, max-age=10"));

    let range = anybody(
        &store,
        "GET /media/hls/f/master.m3u8",
        &[("Range", "bytes=2-4")],
    )
    .await;
    assert_eq!((range.status, range.text()), (206, "234"));

    let head = anybody(&store, "HEAD /media/hls/f/master.m3u8", &[]).await;
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("10"))
    );
    store.stop().await;
}

#[tokio::test]
async fn nobody_reads_receipts_or_temporary_objects_by_any_spelling() {
    let (_folder, store) = store().await;
    for key in ["hls/f/j/receipt.json", "tmp/j/source.mkv", "hls/f/a"] {
        put(&store, key).await;
    }

    let spellings = [
        "hls/f/j/receipt.json",
        "hls/f/j/./receipt.json",
        "hls/f/j/receipt%2Ejson",
        "hls/f/j/receipt.json/",
        "hls/f/j/receipt.json?x=1",
        "hls/f/j//receipt.json",
        "tmp/j/source.mkv",
        "hls/../tmp/j/source.mkv",
        "hls/%2e%2e/tmp/j/source.mkv",
        "hls%2f..%2ftmp%2fj%2fsource.mkv",
        "../media/tmp/j/source.mkv",
        "%74mp/j/source.mkv",
        "./tmp/j/source.mkv",
        "/tmp/j/source.mkv",
        // The file in which s3s-fs keeps the metadata of an object.
        "..%2f.bucket-bWVkaWE.object-aGxzL2YvYQ.metadata.json",
    ];

    for key in spellings {
        for method in ["GET", "HEAD"] {
            let reply = anybody(&store, &format!("{method} /media/{key}"), &[]).await;
            assert_eq!(reply.status, 403, "{method} {key}");
        }
    }
    store.stop().await;
}

#[tokio::test]
async fn nobody_writes_lists_or_deletes_without_a_signature() {
    let (_folder, store) = store().await;
    put(&store, "hls/f/a").await;

    for line in [
        "PUT /media/hls/f/a",
        "DELETE /media/hls/f/a",
        "GET /media",
        "GET /media?list-type=2",
        "GET /",
        "POST /media?delete",
        "PUT /other",
    ] {
        let reply = anybody(&store, line, &[]).await;
        assert_eq!(reply.status, 403, "{line}");
    }

    assert_eq!(
        anybody(&store, "GET /media/hls/f/a", &[]).await.text(),
        "0123456789"
    );
    store.stop().await;
}

#[tokio::test]
async fn a_wrong_secret_opens_nothing() {
    let (_folder, store) = store().await;
    let stranger = Credentials::new(ACCESS_KEY_ID, "guessed", None, None, "test");
    let config = owner(&store)
        .config()
        .to_builder()
        .credentials_provider(stranger)
        .build();

    let error = Client::from_conf(config)
        .list_objects_v2()
        .bucket("media")
        .send()
        .await
        .unwrap_err();

    let status = error
        .raw_response()
        .map(|response| response.status().as_u16());
    assert_eq!(status, Some(403), "{error:?}");
    store.stop().await;
}

#[tokio::test]
async fn players_of_this_machine_may_load_and_foreign_pages_may_not() {
    let (_folder, store) = store().await;
    put(&store, "hls/f/a").await;
    let allowed = |reply: &Reply| {
        reply
            .header("access-control-allow-origin")
            .map(str::to_owned)
    };
    let here = "http://127.0.0.1:8080";

    let reply = anybody(&store, "GET /media/hls/f/a", &[("Origin", here)]).await;
    assert_eq!(allowed(&reply).as_deref(), Some(here));

    let preflight = [
        ("Origin", here),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "range"),
    ];
    let reply = anybody(&store, "OPTIONS /media/hls/f/a", &preflight).await;
    assert_eq!(
        (reply.status, allowed(&reply).as_deref()),
        (200, Some(here))
    );

    let reply = anybody(
        &store,
        "GET /media/hls/f/a",
        &[("Origin", "http://evil.test")],
    )
    .await;
    assert_eq!(allowed(&reply), None);

    let rebound = exchange(
        store.address(),
        "GET /media/hls/f/a",
        &[("Host", "evil.test")],
        b"",
    )
    .await;
    assert_eq!(rebound.status, 403);
    store.stop().await;
}

#[tokio::test]
async fn objects_survive_a_restart_and_a_busy_port_moves_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let occupant = loopback::bind(0).await.unwrap();
    let busy = occupant.local_addr().unwrap().port();

    let first = ObjectStore::start(folder.path(), "media", busy)
        .await
        .unwrap();
    assert_ne!(first.address().port(), busy);
    put(&first, "hls/f/a").await;
    first.stop().await;

    let second = ObjectStore::start(folder.path(), "media", 0).await.unwrap();
    let reply = anybody(&second, "GET /media/hls/f/a", &[]).await;
    assert_eq!(
        (reply.status, reply.header("cache-control")),
        (200, Some("public, max-age=10"))
    );
    second.stop().await;
}

#[tokio::test]
async fn a_name_that_no_bucket_can_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["", "ab", "Media", "-abc", "../abc", "a.b/c"] {
        let error = ObjectStore::start(folder.path(), name, 0)
            .await
            .unwrap_err();
        assert!(
            matches!(error, ObjectStoreError::BucketName { .. }),
            "{name}: {error}"
        );
    }
}
