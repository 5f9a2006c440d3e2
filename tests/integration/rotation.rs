//! Secrets that are exchanged under a running process: NATS lets it in with what its files hold
//! then.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{TimeDelta, Utc};
use nkeys::KeyPair;

use crate::harness::accounts::{Operator, credentials};
use crate::harness::clip::moving;
use crate::harness::database::{Database, Engine};
use crate::harness::nats::{Demands, Nats};
use crate::harness::process::Process;
use crate::harness::until;
use crate::harness::worker::readiness;
use crate::harness::world::{World, folder};

/// What `/readyz` says, and its status.
async fn health(worker: &Process) -> (u16, String) {
    let answer = readiness(worker).await;
    (answer.status, String::from_utf8(answer.body).unwrap())
}

async fn is_ready(worker: &Process) {
    until("the worker is ready", async || {
        health(worker).await.0 == 200
    })
    .await;
}

async fn is_refused(worker: &Process, words: &str) {
    until("the worker says why it is not ready", async || {
        let (status, said) = health(worker).await;
        status == 503 && said.contains(words)
    })
    .await;
}

async fn completes_a_job(world: &World) {
    let job = world.submit(&moving("320x180", 2.0).make().await).await;
    world.completed(&job).await;
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

async fn world(folder: tempfile::TempDir, nats: Nats) -> World {
    let database = Database::create(Engine::Sqlite, folder.path()).await;
    World::with(folder, nats, database).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_user_expires_goes_on_with_the_credentials_file_that_was_renewed() {
    let folder = folder();
    let operator = Operator::new();
    let (for_test, for_worker) = (
        folder.path().join("test.creds"),
        folder.path().join("worker.creds"),
    );
    let user = KeyPair::new_user();
    let renew = |seconds: Option<i64>| {
        let expires = seconds.map(|seconds| Utc::now() + TimeDelta::seconds(seconds));
        std::fs::write(&for_worker, credentials(&operator.account, &user, expires)).unwrap();
    };
    std::fs::write(
        &for_test,
        credentials(&operator.account, &KeyPair::new_user(), None),
    )
    .unwrap();
    renew(None);
    let demands = Demands {
        configuration: operator.configuration(),
        credentials: Some(for_test.clone()),
        environment: BTreeMap::from([("NATS_CREDENTIALS", show(&for_worker))]),
        ..Demands::default()
    };
    let nats = Nats::demanding(folder.path(), demands).await;
    let world = world(folder, nats).await;

    renew(Some(20));
    let worker = world.worker("one").start();
    is_ready(&worker).await;
    // No one renewed it in time: this is reported, and the connection is tried with the content of
    // the file.
    is_refused(&worker, "check the credentials file NATS_CREDENTIALS").await;
    std::fs::write(&for_worker, "nothing").unwrap();
    is_refused(&worker, "is not a credentials file").await;
    renew(None);
    is_ready(&worker).await;
    completes_a_job(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_and_an_nkey_are_exchanged_in_their_files_and_the_running_worker_is_let_in() {
    let folder = folder();
    let (old, new) = (KeyPair::new_user(), KeyPair::new_user());
    let users = |password: &str, key: &KeyPair| {
        format!(
            "authorization {{ users: [ {{ user: admin, password: admin }}, {{ user: u, password: {password} }}, {{ nkey: {} }} ] }}",
            key.public_key()
        )
    };
    let (password, nkey) = (
        folder.path().join("password"),
        folder.path().join("worker.nk"),
    );
    std::fs::write(&password, "hush-old\n").unwrap();
    std::fs::write(&nkey, old.seed().unwrap()).unwrap();
    let demands = Demands {
        configuration: users("hush-old", &old),
        login: "admin:admin@".to_owned(),
        ..Demands::default()
    };
    let nats = Nats::demanding(folder.path(), demands).await;
    let mut world = world(folder, nats).await;
    let by_password = world.worker("one").setting("NATS_USER", "u");
    let by_password = by_password
        .setting("NATS_PASSWORD_FILE", password.display())
        .start();
    let by_nkey = world
        .worker("two")
        .setting("NATS_NKEY", nkey.display())
        .start();
    is_ready(&by_password).await;
    is_ready(&by_nkey).await;

    world.nats.reload(users("hush-new", &new)).await;
    is_refused(
        &by_password,
        "NATS_USER and the password in NATS_PASSWORD_FILE",
    )
    .await;
    is_refused(&by_nkey, "check the key in NATS_NKEY").await;
    std::fs::write(&password, "hush-new\n").unwrap();
    std::fs::write(&nkey, new.seed().unwrap()).unwrap();
    is_ready(&by_password).await;
    is_ready(&by_nkey).await;
    completes_a_job(&world).await;
    for worker in [&by_password, &by_nkey] {
        let log = worker.said();
        assert!(
            !log.contains("hush-") && !log.contains(&new.seed().unwrap()),
            "{log}"
        );
    }
}
