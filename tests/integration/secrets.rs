//! What must stay secret is in no log, no message, no row and no error, whatever goes wrong.

use std::path::Path;
use std::time::Duration;

use dev::object_store::SECRET_ACCESS_KEY;
use nix::sys::signal::Signal;
use serde_json::json;
use streams::topology;

use crate::harness::certificates::Authority;
use crate::harness::clip::moving;
use crate::harness::database::Database;
use crate::harness::nats::{self, Nats};
use crate::harness::proxy::Fault;
use crate::harness::world::{World, folder, job_of};
use migration::testing;

/// Part of a secret each, as it is and not only as a URL spells it.
const SECRETS: [&str; 4] = [
    "hush-nats",
    "hush-postgresql",
    "hush-signature",
    SECRET_ACCESS_KEY,
];

fn holds_none(what: &str, text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{what} holds {secret}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_told_to_anybody_in_a_whole_run_and_when_services_are_away() {
    let folder = folder();
    let authority = Authority::new(folder.path(), "ours");
    let certified = authority.certify("127.0.0.1");
    let nats = nats::Demands {
        configuration: format!(
            "tls {{ cert_file: {:?}, key_file: {:?} }}\nauthorization {{ users: [ {{ user: u, password: \"hush-nats/1\" }} ] }}",
            certified.certificate_file, certified.key_file
        ),
        login: "u:hush-nats%2F1@".to_owned(),
        ca: Some(authority.file.clone()),
        ..nats::Demands::default()
    };
    let nats = Nats::demanding(folder.path(), nats).await;
    let mut cluster = testing::Cluster::demanding(&testing::Demands {
        password: Some("hush-postgresql".to_owned()),
        tls: Some(authority.certify("127.0.0.1").pem()),
    })
    .await;
    let parameters = format!(
        "?sslmode=verify-full&sslrootcert={}",
        authority.file.display()
    );
    let database = Database::create_on(&cluster, &parameters).await;
    let mut world = World::with(folder, nats, database).await;

    let mut worker = world.worker("one").setting("LOG", "debug").start();
    let clip = moving("320x180", 2.0).make().await;
    let mut events = [
        world.event(&clip).await,
        world.event(&clip).await,
        world.event(&clip).await,
    ];
    let source = events[0]["file_url"].as_str().unwrap();
    let key = source.rsplit_once("media/").unwrap().1.to_owned();
    let signed = |host: &str, key: &str| {
        format!("{host}/media/{key}?X-Amz-Signature=hush-signature#hush-signature")
    };
    events[0]["file_url"] = json!(signed(&world.proxy.url(), &key));
    events[1]["file_url"] = json!(signed("https://elsewhere.example", &key));
    events[2]["file_url"] = json!(signed(&world.proxy.url(), "uploads/nothing"));
    for event in &events {
        world.streams.upload(event).await;
    }
    world
        .streams
        .publish(streams::subject::UPLOAD, "no JSON")
        .await;
    world.completed(&job_of(&events[0])).await;
    world.ended(&job_of(&events[1])).await;
    world.ended(&job_of(&events[2])).await;

    // The events themselves hold what their publisher put there; tasks hold nothing but ids.
    for stream in [
        topology::JOBS,
        topology::WORK,
        topology::PROGRESS,
        topology::DEAD,
    ] {
        for message in world.streams.all(stream, ">").await {
            holds_none(&message.subject, &format!("{:?}", message.headers));
            holds_none(&message.subject, &String::from_utf8_lossy(&message.payload));
        }
    }
    holds_none("a row", &format!("{:?}", world.database.rows().await));

    world.proxy.set(Fault::Refuse);
    tell_all(&world, clip.text()).await;
    worker.signal(Signal::SIGTERM);
    worker.ended_within(Duration::from_secs(60)).await;
    world.nats.kill().await;
    cluster.kill().await;
    tell_all(&world, clip.text()).await;
    logs_hold_none(world.folder());
}

/// Every command, with services that do not answer; each fails, and says so without a secret.
async fn tell_all(world: &World, clip: &str) {
    let commands = [
        &["doctor"][..],
        &["provision", "--check"],
        &["migrate", "status"],
        &["rebuild"],
        &["submit", clip],
        &["jobs", "list"],
        &["jobs", "show", "job"],
        &["jobs", "cancel", "job"],
        &["verify", "file"],
    ];
    let telling = commands.map(|arguments| async move {
        let said = world.say(arguments).await;
        holds_none(
            &format!("{arguments:?}"),
            &format!("{}{}", said.out, said.err),
        );
    });
    futures::future::join_all(telling).await;
}

fn logs_hold_none(folder: &Path) {
    let logs: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    assert!(!logs.is_empty());
    for log in logs {
        let text = std::fs::read_to_string(&log).unwrap();
        assert!(text.contains("DEBUG"), "the log has everything");
        for line in text.lines() {
            holds_none(&log.display().to_string(), line);
        }
    }
}
