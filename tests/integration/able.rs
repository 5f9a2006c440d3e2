//! Ready means able: what readiness and `doctor` say of a NATS that does not let the program do its
//! work, and that it goes when it works again.

use std::collections::BTreeMap;
use std::path::Path;

use async_nats::jetstream::stream;
use serde_json::Value;
use streams::topology;

use crate::harness::clip::moving;
use crate::harness::database::{Database, Engine};
use crate::harness::nats::{Demands, Nats};
use crate::harness::process::{Process, command, output_of, tool};
use crate::harness::until;
use crate::harness::worker::{page, readiness, say_in};
use crate::harness::world::{World, folder, job_of};

async fn ready(worker: &Process) {
    until("the worker is ready", async || {
        readiness(worker).await.status == 200
    })
    .await;
}

/// Waits until `/readyz` is 503 and says all of these.
async fn unready(worker: &Process, words: &[&str]) {
    until(&format!("the worker says {words:?}"), async || {
        let answer = readiness(worker).await;
        let said = String::from_utf8(answer.body).unwrap();
        answer.status == 503 && words.iter().all(|words| said.contains(words))
    })
    .await;
}

/// Each check of `doctor` with its state and text.
async fn doctor(environment: BTreeMap<&'static str, String>) -> BTreeMap<String, (String, String)> {
    let said = say_in(environment, &["doctor", "--json"]).await;
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let word = |name: &str| line[name].as_str().unwrap().to_owned();
        (word("check"), (word("state"), word("text")))
    };
    said.out.lines().map(line).collect()
}

fn accounts(limits: &str, user: &str) -> String {
    format!(
        "accounts {{ A {{ jetstream {{ {limits} }}, users: [\n{{ user: admin, password: admin }}\n{{ user: u, password: u {user} }} ] }} }}"
    )
}

/// A world whose program is the user `u` of an account with these limits.
pub(crate) async fn world(limits: &str) -> World {
    let folder = folder();
    let password = folder.path().join("password");
    std::fs::write(&password, "u").unwrap();
    let demands = Demands {
        configuration: accounts(limits, ""),
        login: "admin:admin@".to_owned(),
        environment: BTreeMap::from([
            ("NATS_USER", "u".to_owned()),
            ("NATS_PASSWORD_FILE", password.display().to_string()),
            ("STREAM_MAX_BYTES", "HLS_UPLOADS=100000000".to_owned()),
        ]),
        ..Demands::default()
    };
    let nats = Nats::demanding(folder.path(), demands).await;
    let database = Database::create(Engine::Sqlite, folder.path()).await;
    World::with(folder, nats, database).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_is_not_ready_without_any_of_its_streams_until_they_are_provisioned() {
    let world = World::new(Engine::Sqlite).await;
    let worker = world.worker("one").start();
    ready(&worker).await;
    for name in [topology::DEAD, topology::WORK, topology::PROGRESS] {
        world.streams.js.delete_stream(name).await.unwrap();
        unready(
            &worker,
            &[&format!("{name}: missing; run `fluxhls provision`")],
        )
        .await;
        assert_eq!(world.say(&["provision"]).await.code, Some(0));
        ready(&worker).await;
    }
    // Fewer copies or bytes than requested are reported, and stop no worker.
    let uploads = world
        .streams
        .js
        .get_stream(topology::UPLOADS)
        .await
        .unwrap();
    let small = stream::Config {
        max_bytes: 10_000_000,
        ..uploads.cached_info().config.clone()
    };
    world.streams.js.update_stream(small).await.unwrap();
    until("the worker reports the smaller stream", async || {
        let answer = readiness(&worker).await;
        answer.status == 200
            && String::from_utf8(answer.body)
                .unwrap()
                .contains("HLS_UPLOADS: max_bytes is 10000000")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nats_does_not_let_a_worker_do_is_told_with_the_permission_until_it_is_given() {
    let mut world = world("").await;
    let clip = moving("320x180", 2.0).make().await;
    let worker = world.worker("one").start();
    ready(&worker).await;
    for denied in [
        "$JS.API.CONSUMER.MSG.NEXT.HLS_TASKS.plan",
        "$JS.ACK.HLS_UPLOADS.>",
        "hls.v1.work.>",
        "$JS.API.STREAM.MSG.GET.HLS_JOBS",
    ] {
        let user = format!(", permissions: {{ publish: {{ deny: [\"{denied}\"] }} }}");
        world.nats.reload(accounts("", &user)).await;
        let job = world.submit(&clip).await;
        let permission = format!("publish to `{denied}`");
        unready(
            &worker,
            &["Permissions Violation for Publish to", &permission],
        )
        .await;
        world.nats.reload(accounts("", "")).await;
        ready(&worker).await;
        world.completed(&job).await;
    }
    let subscription = ", permissions: { subscribe: { deny: [\"live.hls.v1.job.>\"] } }";
    world.nats.reload(accounts("", subscription)).await;
    let job = world.submit(&clip).await;
    unready(&worker, &["subscribe to `live.hls.v1.job.>`"]).await;
    world.nats.reload(accounts("", "")).await;
    world.completed(&job).await;
    // What is listened to for a job is asked for again with the next one.
    let job = world.submit(&clip).await;
    world.completed(&job).await;
    ready(&worker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_account_is_told_by_readiness_doctor_and_metrics_until_it_has_room() {
    let limits = "max_file: 104000000";
    let mut world = world(limits).await;
    let worker = world.worker("one").start();
    ready(&worker).await;
    // Others use the account, too.
    let other = stream::Config {
        name: "OTHER".to_owned(),
        subjects: vec!["other".to_owned()],
        ..stream::Config::default()
    };
    world.streams.js.create_stream(other).await.unwrap();
    let mut stored = 0;
    while let Ok(ack) = world
        .streams
        .js
        .publish("other", vec![0; 900_000].into())
        .await
    {
        if ack.await.is_err() {
            break;
        }
        stored += 1;
    }
    assert!(stored > 50, "{stored}");
    unready(
        &worker,
        &[
            "JetStream's account stores",
            "raise the account's limit of storage",
        ],
    )
    .await;
    let found = doctor(world.environment()).await;
    assert_eq!(found["storage"].0, "fix", "{found:#?}");
    until("the metrics report the full account", async || {
        let metrics = String::from_utf8(page(&worker, "/metrics").await.body).unwrap();
        let used = metrics
            .lines()
            .find_map(|line| line.strip_prefix("fluxhls_jetstream_storage_bytes "));
        used.is_some_and(|used| used.parse::<f64>().unwrap() > 0.98 * 104e6)
            && metrics.contains("fluxhls_jetstream_storage_limit_bytes 104000000")
    })
    .await;
    world.nats.reload(accounts("max_file: 2GB", "")).await;
    ready(&worker).await;
    let job = world.submit(&moving("320x180", 2.0).make().await).await;
    world.completed(&job).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_as_full_as_its_own_limit_says() {
    let world = World::new(Engine::Sqlite).await;
    let worker = world.worker("one").roles("project").start();
    let uploads = world
        .streams
        .js
        .get_stream(topology::UPLOADS)
        .await
        .unwrap();
    let config = uploads.cached_info().config.clone();
    let fill = async |of: f64| {
        until(&format!("HLS_UPLOADS is {of} full"), async || {
            let metrics = String::from_utf8(page(&worker, "/metrics").await.body).unwrap();
            let name = "fluxhls_stream_fill_ratio{stream=\"HLS_UPLOADS\"} ";
            let found = metrics.lines().find_map(|line| line.strip_prefix(name));
            found.is_some_and(|found| (found.parse::<f64>().unwrap() - of).abs() < 0.01)
        })
        .await;
    };
    let event = vec![b'x'; 200_000];
    for _ in 0..10 {
        world
            .streams
            .publish(streams::subject::UPLOAD, event.clone())
            .await;
    }
    let bytes = world
        .streams
        .js
        .get_stream(topology::UPLOADS)
        .await
        .unwrap()
        .cached_info()
        .state
        .bytes;
    for (limit, share) in [(bytes * 2, 0.5), (bytes + 1000, 1.0)] {
        let max_bytes = i64::try_from(limit).unwrap();
        let small = stream::Config {
            max_bytes,
            ..config.clone()
        };
        world.streams.js.update_stream(small).await.unwrap();
        fill(share).await;
    }
    let mut environment = world.environment();
    let bytes = world
        .streams
        .js
        .get_stream(topology::UPLOADS)
        .await
        .unwrap()
        .cached_info()
        .config
        .max_bytes;
    environment.insert("STREAM_MAX_BYTES", format!("HLS_UPLOADS={bytes}"));
    let found = doctor(environment).await;
    let (state, text) = &found["storage"];
    assert!(
        state == "fix" && text.contains("nats stream edit HLS_UPLOADS"),
        "{found:#?}"
    );
}

/// The output of an example when it is informed of what the program does.
async fn example(world: &World, script: &str, argument: &str) -> Value {
    let mut node = command(tool("node"));
    node.arg(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("examples/node")
            .join(script),
    );
    let said = output_of(node.arg(argument).envs(world.environment())).await;
    serde_json::from_slice(&said).unwrap()
}

/// A hub, and a leaf node of the same account with its own domain.
async fn hub_and_leaf(folder: &std::path::Path) -> (Nats, Nats) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let hub = Demands {
        configuration: format!("leafnodes {{ listen: \"127.0.0.1:{port}\" }}"),
        jetstream: "domain: hub".to_owned(),
        ..Demands::default()
    };
    let leaf = Demands {
        configuration: format!(
            "leafnodes {{ remotes: [ {{ url: \"nats://127.0.0.1:{port}\" }} ] }}"
        ),
        jetstream: "domain: leaf".to_owned(),
        ..Demands::default()
    };
    let hub = Nats::named("hub", folder, hub).await;
    (hub, Nats::named("leaf", folder, leaf).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_done_by_the_jetstream_of_a_domain_behind_a_leaf_node_and_doctor_knows_it_stands_alone()
 {
    let folder = folder();
    let (hub, leaf) = hub_and_leaf(folder.path()).await;
    let database = Database::create(Engine::Sqlite, folder.path()).await;
    // All that the program knows is the leaf node; its streams are at the hub.
    let domain = ("NATS_JETSTREAM_DOMAIN", "hub".to_owned());
    let world = World::beyond(folder, leaf, &hub, database, domain).await;
    let found = doctor(world.environment()).await;
    assert!(
        found["nats"].1.starts_with("a single nats-server"),
        "{found:#?}"
    );
    assert_eq!(found["streams"].0, "ok", "{found:#?}");
    assert!(!found.contains_key("capture"), "{found:#?}");
    let worker = world.worker("one").start();
    ready(&worker).await;
    let event = world.event(&moving("320x180", 2.0).make().await).await;
    let job = job_of(&event);
    let completions = async { example(&world, "completions.mjs", "1").await };
    let work = async {
        // A new durable receives messages from its creation on.
        until("the durable is made", async || {
            let log = world.streams.js.get_stream(topology::JOBS).await.unwrap();
            log.consumer_info("api").await.is_ok()
        })
        .await;
        let stored = example(&world, "publish.mjs", &event.to_string()).await;
        assert_eq!(stored["stream"], "HLS_UPLOADS");
        world.completed(&job).await;
    };
    let (ended, ()) = tokio::join!(completions, work);
    assert_eq!(ended["job_id"], job.as_str());

    // The leaf node gets its own streams, as if someone forgot the domain.
    let mut environment = world.environment();
    environment.remove("NATS_JETSTREAM_DOMAIN");
    let said = say_in(environment, &["provision"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let found = doctor(world.environment()).await;
    let (state, text) = &found["capture"];
    assert!(
        state == "warning" && text.contains("2 streams store hls.v1.upload"),
        "{found:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_done_by_the_jetstream_that_another_account_exports_under_a_prefix() {
    let folder = folder();
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/nats.md"))
        .unwrap();
    let block = page
        .split("```text\n")
        .nth(2)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "change-fluxhls").unwrap();
    let demands = Demands {
        configuration: block.to_owned(),
        login: "streams:change-streams@".to_owned(),
        environment: BTreeMap::from([
            ("NATS_USER", "fluxhls".to_owned()),
            ("NATS_PASSWORD_FILE", password.display().to_string()),
            ("NATS_JETSTREAM_API_PREFIX", "hub.js.API".to_owned()),
        ]),
        ..Demands::default()
    };
    let nats = Nats::demanding(folder.path(), demands).await;
    let database = Database::create(Engine::Sqlite, folder.path()).await;
    let world = World::with(folder, nats, database).await;
    let worker = world.worker("one").start();
    ready(&worker).await;
    let job = world.submit(&moving("320x180", 2.0).make().await).await;
    world.completed(&job).await;
    let status = world.say(&["jobs", "show", job.as_str()]).await;
    assert_eq!(status.code, Some(0), "{status:?}");
    ready(&worker).await;
}
