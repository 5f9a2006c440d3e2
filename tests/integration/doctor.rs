//! What `doctor` says of an installation that is well, and of each thing that can be wrong with
//! one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde_json::Value;
use url::Url;

use crate::harness::database::Engine;
use crate::harness::fault::{Mishap, Which};
use crate::harness::output::http;
use crate::harness::proxy::Fault;
use crate::harness::until;
use crate::harness::worker::{Said, readiness, say_in};
use crate::harness::world::{BUCKET, World};
use crate::storage_faults::{REFUSED, all};

const ORIGIN: &str = "https://app.example";

/// What it says in a changed environment: its exit code, and each check with its state and text.
async fn doctor(
    world: &World,
    changes: &[(&'static str, String)],
    arguments: &[&str],
) -> (Option<i32>, BTreeMap<String, (String, String)>) {
    let mut environment = world.environment();
    environment.insert(
        "WORK_DIR",
        world.folder().join("work").display().to_string(),
    );
    environment.extend(changes.iter().cloned());
    let said: Said = say_in(environment, &[&["doctor", "--json"], arguments].concat()).await;
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let word = |name: &str| line[name].as_str().unwrap().to_owned();
        (word("check"), (word("state"), word("text")))
    };
    (said.code, said.out.lines().map(line).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_is_made_well_by_fix_and_then_found_well() {
    let world = World::bare(Engine::Postgresql).await;
    let (code, found) = doctor(&world, &[], &["--origin", ORIGIN]).await;
    assert_eq!(code, Some(4));
    let broken: Vec<&str> = found
        .iter()
        .filter(|(_, (state, _))| state == "fix")
        .map(|(check, _)| check.as_str())
        .collect();
    assert!(
        broken.contains(&"streams") && broken.contains(&"database"),
        "{found:#?}"
    );
    let fixes = found["streams"]
        .1
        .matches("run `fluxhls provision`")
        .count();
    assert_eq!(fixes, 1, "one fix for all that is missing: {found:#?}");
    assert!(
        found["database"].1.contains("run `fluxhls migrate up`"),
        "{found:#?}"
    );

    let (code, found) = doctor(&world, &[], &["--fix"]).await;
    assert_eq!(code, Some(0), "{found:#?}");
    for check in [
        "ffmpeg",
        "profiles",
        "sandbox",
        "work folder",
        "room",
        "payload",
        "streams",
        "storage",
        "database",
        "put",
        "get",
        "range",
        "list",
        "multipart",
        "delete",
        "public",
        "freshness",
        "clock",
    ] {
        assert_eq!(found[check].0, "ok", "{check}: {found:#?}");
    }
    // A single server's `sync_interval` is nothing a client can see.
    assert_eq!(found["nats"].0, "warning", "{found:#?}");
    assert_eq!(doctor(&world, &[], &[]).await.0, Some(0));
    assert!(
        world.keys("").await.is_empty(),
        "it leaves nothing in the bucket"
    );
    let said = world.say(&["doctor"]).await;
    assert!(
        said.out
            .lines()
            .any(|line| line.starts_with("ok      database     the schema is current")),
        "{}",
        said.out
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_service_that_is_away_is_named_and_hides_no_other() {
    let mut world = World::new(Engine::Sqlite).await;
    let (code, found) = doctor(&world, &[("S3_BUCKET", "nowhere".to_owned())], &[]).await;
    assert_eq!(
        (code, found["put"].0.as_str(), found["streams"].0.as_str()),
        (Some(4), "fix", "ok"),
        "{found:#?}"
    );
    let (_, found) = doctor(
        &world,
        &[("DATABASE_URL", "sqlite:///nowhere/a.db".to_owned())],
        &[],
    )
    .await;
    assert_eq!(
        (found["database"].0.as_str(), found["multipart"].0.as_str()),
        ("fix", "ok"),
        "{found:#?}"
    );
    world.nats.kill().await;
    let (_, found) = doctor(&world, &[], &[]).await;
    assert!(found["nats"].1.contains("NATS_URL"), "{found:#?}");
    assert_eq!(
        (found["nats"].0.as_str(), found["database"].0.as_str()),
        ("fix", "ok"),
        "{found:#?}"
    );
}

/// Answers of a storage that cannot be used as it is, and words of what is to be done.
const REFUSALS: [(&[Mishap], &str, &str); 6] = [
    (
        &[Mishap::Answer(403, "InvalidAccessKeyId")],
        "InvalidAccessKeyId",
        "AWS_ACCESS_KEY_ID",
    ),
    (
        &[Mishap::Answer(400, "ExpiredToken")],
        "ExpiredToken",
        "session token",
    ),
    (
        &[Mishap::Answer(404, "NoSuchBucket")],
        "no bucket of this name",
        "S3_BUCKET",
    ),
    (
        &[Mishap::Answer(301, "PermanentRedirect")],
        "PermanentRedirect",
        "S3_ENDPOINT",
    ),
    (
        &[Mishap::Answer(400, "AuthorizationHeaderMalformed")],
        "AuthorizationHeaderMalformed",
        "S3_REGION",
    ),
    (
        &[Mishap::Dated(403, "RequestTimeTooSkewed", 60)],
        "RequestTimeTooSkewed",
        "time server",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_and_doctor_tell_why_the_storage_cannot_be_used_in_its_own_words_with_the_fix() {
    let world = World::new(Engine::Sqlite).await;
    let worker = world.worker("one").start();
    until("the worker is ready", async || {
        readiness(&worker).await.status == 200
    })
    .await;
    for (answers, words, fix) in REFUSALS {
        world.proxy.set(all(100, answers));
        until(&format!("readiness reports {words}"), async || {
            let told = readiness(&worker).await;
            let text = String::from_utf8(told.body).unwrap();
            told.status == 503 && text.contains(words) && text.contains(fix)
        })
        .await;
        let (code, found) = doctor(&world, &[], &[]).await;
        let (state, text) = &found["put"];
        assert_eq!(
            (code, state.as_str()),
            (Some(4), "fix"),
            "{words}: {found:#?}"
        );
        assert!(
            text.contains(words) && text.contains(fix),
            "{words}: {text}"
        );
        let clock = if words == "RequestTimeTooSkewed" {
            "fix"
        } else {
            "ok"
        };
        assert_eq!(found["clock"].0, clock, "{words}: {found:#?}");
    }
    world.proxy.set(Fault::None);
    until("the worker is ready again", async || {
        readiness(&worker).await.status == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_cannot_be_had_and_an_endpoint_without_a_scheme_are_told_as_such() {
    let world = World::new(Engine::Sqlite).await;
    world.proxy.set(all(100, REFUSED));
    let none = [
        ("AWS_ACCESS_KEY_ID", String::new()),
        ("AWS_SECRET_ACCESS_KEY", String::new()),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", world.proxy.url()),
    ];
    let (_, found) = doctor(&world, &none, &[]).await;
    let (state, text) = &found["put"];
    assert!(
        state == "fix" && text.contains("no credentials were found"),
        "{found:#?}"
    );
    let mut environment = world.environment();
    environment.insert("S3_ENDPOINT", "s3.example.com".to_owned());
    for command in ["run", "doctor"] {
        let said = say_in(environment.clone(), &[command]).await;
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(
            said.err.contains("S3_ENDPOINT") && said.err.contains("https://s3.example.com"),
            "{}",
            said.err
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bucket_of_sources_is_looked_at() {
    let world = World::new(Engine::Sqlite).await;
    let buckets = [("SOURCE_BUCKETS", format!("{BUCKET},uploads"))];
    let (code, found) = doctor(&world, &buckets, &[]).await;
    assert_eq!(
        (code, found["sources"].0.as_str()),
        (Some(4), "fix"),
        "{found:#?}"
    );
    assert!(
        found["sources"].1.contains("uploads") && found["sources"].1.contains("SOURCE_BUCKETS"),
        "{found:#?}"
    );

    world.make_bucket("uploads");
    world.proxy.set(Fault::Strike {
        which: Which::Path("/uploads".to_owned()),
        percent: 100,
        mishaps: REFUSED,
    });
    let (code, found) = doctor(&world, &buckets, &[]).await;
    let (state, text) = &found["sources"];
    assert_eq!((code, state.as_str()), (Some(0), "warning"), "{found:#?}");
    assert!(
        text.contains("s3:ListBucket") && text.contains("AccessDenied"),
        "{text}"
    );

    world.proxy.set(Fault::None);
    let (code, found) = doctor(&world, &buckets, &[]).await;
    assert_eq!(
        (code, found["sources"].0.as_str()),
        (Some(0), "ok"),
        "{found:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_keeps_old_versions_is_told_with_the_rule_that_removes_them() {
    let world = World::new(Engine::Sqlite).await;
    world.proxy.set(Fault::Strike {
        which: Which::Query("versioning"),
        percent: 100,
        mishaps: &[Mishap::Document(
            "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
        )],
    });
    let (code, found) = doctor(&world, &[], &[]).await;
    let (state, text) = &found["versioning"];
    assert_eq!((code, state.as_str()), (Some(0), "warning"), "{found:#?}");
    assert!(text.contains("NoncurrentVersionExpiration"), "{text}");
}

/// How a CDN can spoil what the bucket does right.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Spoil {
    /// It asks for a signature.
    Refuse,
    /// It keeps its first copy, which was made without an origin.
    Keep,
    /// It passes everything on, but says nothing of origins.
    DropCors,
    /// It calls everything text.
    Rename,
}

struct Cdn {
    origin: Url,
    spoil: Spoil,
    kept: Mutex<Option<Bytes>>,
}

async fn serve(State(cdn): State<Arc<Cdn>>, request: Request) -> Response {
    if cdn.spoil == Spoil::Refuse {
        return StatusCode::FORBIDDEN.into_response();
    }
    let kept = cdn.kept.lock().unwrap().clone();
    let body = match kept {
        Some(kept) if cdn.spoil == Spoil::Keep => kept,
        _ => {
            let url = cdn
                .origin
                .join(request.uri().path().trim_start_matches('/'))
                .unwrap();
            Bytes::from(http::get(&url).await.body)
        }
    };
    *cdn.kept.lock().unwrap() = Some(body.clone());
    let name = match cdn.spoil {
        Spoil::Rename => "text/plain",
        _ => "application/vnd.apple.mpegurl",
    };
    ([(header::CONTENT_TYPE, name)], body).into_response()
}

/// Starts one before the bucket, and returns its address.
async fn cdn(world: &World, spoil: Spoil) -> String {
    let cdn = Cdn {
        origin: format!(
            "{}/",
            world.environment()["PUBLIC_BASE_URL"].trim_end_matches('/')
        )
        .parse()
        .unwrap(),
        spoil,
        kept: Mutex::default(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(serve).with_state(Arc::new(cdn));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cdn_that_spoils_what_the_bucket_does_right_is_found_out() {
    let world = World::new(Engine::Sqlite).await;
    for (spoil, check, words) in [
        (Spoil::Refuse, "public", "S3_PUBLIC_READ"),
        (Spoil::Rename, "public", "Content-Type"),
        (Spoil::DropCors, "playback", "Vary: Origin"),
        (Spoil::Keep, "freshness", "max-age=10"),
    ] {
        let public = [("PUBLIC_BASE_URL", cdn(&world, spoil).await)];
        let (code, found) = doctor(&world, &public, &["--origin", ORIGIN, "--fix"]).await;
        assert_eq!(code, Some(4), "{spoil:?}: {found:#?}");
        let (state, text) = &found[check];
        assert!(
            state == "fix" && text.contains(words),
            "{spoil:?}: {found:#?}"
        );
    }
    let (_, found) = doctor(
        &world,
        &[("PUBLIC_BASE_URL", "http://127.0.0.1:9/".to_owned())],
        &[],
    )
    .await;
    assert!(
        found["public"].1.contains("check PUBLIC_BASE_URL"),
        "{found:#?}"
    );
}
