//! `provision` on servers that operators have set up: what it keeps, what it lowers only when
//! asked, and what it says of limits and permissions that are in its way.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream::consumer::{self, pull};
use async_nats::jetstream::stream::{self, Compression, Placement};
use async_nats::jetstream::{Context, context};
use futures::TryStreamExt as _;
use streams::{subject, topology};

use crate::harness::nats::{Demands, Nats};
use crate::harness::worker::{Said, say_in};
use crate::harness::world::folder;

async fn provision(nats: &Nats, arguments: &[&str], settings: &[(&'static str, &str)]) -> Said {
    let mut environment = nats.environment();
    environment.remove("STREAM_REPLICAS");
    environment.extend(
        settings
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    say_in(environment, &[&["provision"], arguments].concat()).await
}

async fn config_of(js: &Context, name: &str) -> stream::Config {
    js.get_stream(name)
        .await
        .unwrap()
        .cached_info()
        .config
        .clone()
}

async fn durable(js: &Context, stream: &str, name: &str) -> consumer::Info {
    let found: consumer::Consumer<pull::Config> =
        js.get_consumer_from_stream(name, stream).await.unwrap();
    found.cached_info().clone()
}

/// `HLS_UPLOADS` as an operator may have set it.
async fn raised(js: &Context) -> stream::Config {
    stream::Config {
        max_bytes: 2 << 30,
        max_age: Duration::ZERO,
        max_messages: 5_000_000,
        compression: Some(Compression::S2),
        placement: Some(Placement {
            cluster: Some("three".to_owned()),
            tags: Vec::new(),
        }),
        description: Some("ours".to_owned()),
        ..config_of(js, topology::UPLOADS).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn provision_keeps_copies_limits_and_placement_that_an_operator_set_and_lowers_them_only_when_asked()
 {
    let folder = folder();
    let nats = Nats::cluster(folder.path()).await;
    let said = provision(&nats, &[], &[("STREAM_REPLICAS", "3")]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let js = nats.connect().await;
    let raised = raised(&js).await;
    js.update_stream(&raised).await.unwrap();
    let limited = stream::Config {
        max_bytes: 1 << 30,
        ..config_of(&js, topology::JOBS).await
    };
    js.update_stream(&limited).await.unwrap();
    let plan = consumer::Config {
        max_ack_pending: 50_000,
        description: Some("ours".to_owned()),
        ..durable(&js, topology::TASKS, "plan").await.config
    };
    js.create_consumer_on_stream(plan.clone(), topology::TASKS)
        .await
        .unwrap();

    // From a shell without STREAM_REPLICAS.
    for arguments in [&["--check"][..], &[]] {
        let said = provision(&nats, arguments, &[]).await;
        assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
        for kept in [
            "HLS_JOBS: num_replicas stays 3, more than the 1 asked for",
            "HLS_UPLOADS: max_bytes stays 2147483648, more than the 1073741824 asked for",
            "HLS_UPLOADS: max_age stays without limit",
            "plan: max_ack_pending stays 50000, more than the 10000 asked for",
        ] {
            assert!(said.out.contains(kept), "{kept}: {}", said.out);
        }
    }
    assert_eq!(config_of(&js, topology::UPLOADS).await, raised);
    assert_eq!(
        config_of(&js, topology::JOBS).await,
        limited,
        "the contract has no word on its bytes"
    );
    assert_eq!(durable(&js, topology::TASKS, "plan").await.config, plan);

    let said = provision(&nats, &["--lower", "--check"], &[]).await;
    assert_eq!(said.code, Some(4), "{said:?}");
    let said = provision(&nats, &["--lower"], &[]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let lowered = config_of(&js, topology::UPLOADS).await;
    assert_eq!((lowered.num_replicas, lowered.max_bytes), (1, 1 << 30));
    assert_eq!(
        (lowered.compression, lowered.placement, lowered.description),
        (raised.compression, raised.placement, raised.description),
        "what the contract has no word on stays"
    );
    assert_eq!(
        durable(&js, topology::TASKS, "plan")
            .await
            .config
            .max_ack_pending,
        10_000
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn provision_sets_what_the_contract_fixes_and_narrows_a_durable_without_making_it_anew() {
    let folder = folder();
    let nats = Nats::start(folder.path()).await;
    let said = provision(&nats, &[], &[("CONSUMER_MAX_ACK_PENDING", "77")]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let js = nats.connect().await;
    let spoiled = stream::Config {
        subjects: vec![subject::UPLOAD.to_owned()],
        discard: stream::DiscardPolicy::Old,
        max_bytes: 1000,
        ..config_of(&js, topology::UPLOADS).await
    };
    js.update_stream(&spoiled).await.unwrap();
    let before = durable(&js, topology::UPLOADS, topology::INTAKE).await;
    assert_eq!(before.config.max_ack_pending, 77);
    let wide = consumer::Config {
        filter_subjects: Vec::new(),
        ..before.config.clone()
    };
    js.create_consumer_on_stream(wide, topology::UPLOADS)
        .await
        .unwrap();
    let said = provision(&nats, &["--check"], &[]).await;
    assert_eq!(said.code, Some(4), "{said:?}");
    for word in [
        "subjects",
        "discard",
        "max_bytes",
        "filter_subjects",
        "max_ack_pending",
    ] {
        assert!(said.out.contains(word), "{word}: {}", said.out);
    }
    let said = provision(&nats, &[], &[]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let after = durable(&js, topology::UPLOADS, topology::INTAKE).await;
    assert_eq!(
        after.created, before.created,
        "a durable made again has lost its place"
    );
    assert_eq!(
        after.config.filter_subjects,
        [subject::UPLOAD, subject::DELETE]
    );
    assert_eq!(
        after.config.max_ack_pending, 10_000,
        "fewer than asked for are raised"
    );
    assert_eq!(config_of(&js, topology::UPLOADS).await.max_bytes, 1 << 30);
    assert_eq!(provision(&nats, &["--check"], &[]).await.out, "");

    // What the server cannot change is said, and nothing is deleted for it.
    let tasks = js.get_stream(topology::TASKS).await.unwrap();
    tasks.delete_consumer("plan").await.unwrap();
    let few = pull::Config {
        max_waiting: 512,
        ..topology::durables(&topology::Sizing::default())[1]
            .config
            .clone()
    };
    let made = tasks
        .create_consumer(few)
        .await
        .unwrap()
        .cached_info()
        .created;
    let said = provision(&nats, &[], &[]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.out.contains("plan: max_waiting is 512") && said.err.contains("nats consumer rm"),
        "{said:?}"
    );
    assert_eq!(durable(&js, topology::TASKS, "plan").await.created, made);
}

/// A server whose account `A` has these limits and permissions of the user `u`.
async fn limited(folder: &std::path::Path, limits: &str, user: &str, jetstream: &str) -> Nats {
    let demands = Demands {
        configuration: accounts(limits, user),
        jetstream: jetstream.to_owned(),
        login: "admin:admin@".to_owned(),
        environment: BTreeMap::from([
            ("NATS_USER", "u".to_owned()),
            (
                "NATS_PASSWORD_FILE",
                folder.join("password").display().to_string(),
            ),
        ]),
        ..Demands::default()
    };
    std::fs::write(folder.join("password"), "u\n").unwrap();
    Nats::demanding(folder, demands).await
}

fn accounts(limits: &str, user: &str) -> String {
    format!(
        "accounts {{ A {{ jetstream {{ {limits} }}, users: [\n{{ user: admin, password: admin }}\n{{ user: u, password: u {user} }} ] }} }}"
    )
}

/// Settings that fix it; none if only the account can be changed.
type Remedy = &'static [(&'static str, &'static str)];

async fn streams_of(js: &Context) -> Vec<String> {
    let names: context::StreamNames = js.stream_names();
    names.try_collect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_limit_in_the_way_is_one_sentence_with_the_setting_and_leaves_no_half_made_streams() {
    const ALL: &str = "HLS_UPLOADS=1000000,HLS_JOBS=1000000,HLS_WORK=1000000,HLS_TASKS=1000000,HLS_PROGRESS=1000000,HLS_DEAD=1000000";
    let few: Remedy = &[("CONSUMER_MAX_ACK_PENDING", "1000")];
    let small: Remedy = &[("STREAM_MAX_BYTES", "HLS_UPLOADS=100000000")];
    let cases: [(&str, &str, &str, Remedy); 5] = [
        (
            "max_file: 200MB",
            "",
            "STREAM_MAX_BYTES=HLS_UPLOADS=BYTES",
            small,
        ),
        ("max_streams: 4", "", "raise its limit of streams to 6", &[]),
        (
            "max_ack_pending: 1000",
            "",
            "set CONSUMER_MAX_ACK_PENDING to 1000",
            few,
        ),
        (
            "max_bytes_required: true",
            "",
            "HLS_UPLOADS=1073741824",
            &[("STREAM_MAX_BYTES", ALL)],
        ),
        (
            "",
            "limits { max_ack_pending: 1000 }",
            "set CONSUMER_MAX_ACK_PENDING to the server's limit",
            few,
        ),
    ];
    for (limits, jetstream, words, remedy) in cases {
        let folder = folder();
        let nats = limited(folder.path(), limits, "", jetstream).await;
        let said = provision(&nats, &[], &[]).await;
        assert_eq!(said.code, Some(1), "{limits}: {said:?}");
        let wanted = if limits.contains("required") {
            "STREAM_MAX_BYTES=HLS_JOBS=BYTES"
        } else {
            words
        };
        assert!(said.err.contains(wanted), "{wanted}: {}", said.err);
        assert_eq!(said.err.trim().lines().count(), 1, "{}", said.err);
        let js = nats.connect().await;
        if !limits.is_empty() {
            assert!(
                streams_of(&js).await.is_empty(),
                "{limits}: {:?}",
                streams_of(&js).await
            );
        }
        if !remedy.is_empty() {
            let said = provision(&nats, &[], remedy).await;
            assert_eq!(said.code, Some(0), "{limits} with {remedy:?}: {said:?}");
            assert_eq!(streams_of(&js).await.len(), 6);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn provision_says_at_once_which_permission_it_lacks() {
    let folder = folder();
    let deny = ", permissions: { publish: { deny: [\"$JS.API.STREAM.CREATE.>\"] } }";
    let mut nats = limited(folder.path(), "", deny, "").await;

    let said = provision(&nats, &[], &[]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err.contains("Permissions Violation for Publish to")
            && said.err.contains("`$JS.API.STREAM.CREATE.HLS_UPLOADS`"),
        "{}",
        said.err
    );

    nats.reload(accounts("", "")).await;
    crate::harness::until("the permission is given", async || {
        provision(&nats, &[], &[]).await.code == Some(0)
    })
    .await;
}
