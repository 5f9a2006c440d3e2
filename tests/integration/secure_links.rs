//! The program is let in by a NATS server and a PostgreSQL that do not let everybody in, and says
//! what to do when it is not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nkeys::KeyPair;

use crate::harness::accounts::{Operator, credentials};
use crate::harness::certificates::{Authority, Certified};
use crate::harness::nats::{Demands, Nats};
use crate::harness::worker::{Said, say_in};
use crate::harness::world::folder;
use migration::testing;

/// In every secret here, and in nothing else.
const SECRET: &str = "hush";

type Environment = BTreeMap<&'static str, String>;

/// The environment with one variable changed.
fn but(environment: &Environment, name: &'static str, value: impl ToString) -> Environment {
    let mut changed = environment.clone();
    changed.insert(name, value.to_string());
    changed
}

async fn provision(environment: &Environment) -> Said {
    let said = say_in(environment.clone(), &["provision"]).await;
    assert!(!format!("{said:?}").contains(SECRET), "{said:?}");
    said
}

async fn is_let_in(environment: &Environment) {
    let said = provision(environment).await;
    assert_eq!(said.code, Some(0), "{said:?}");
}

async fn is_refused(environment: &Environment, words: &str) {
    let said = provision(environment).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err.contains(words),
        "{words:?} is not in: {}",
        said.err
    );
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// The TLS part of a server's configuration.
fn tls(certified: &Certified, clients: Option<&Authority>) -> String {
    let clients = clients.map(|ca| format!(", ca_file: {:?}, verify: true", ca.file));
    format!(
        "tls {{ cert_file: {:?}, key_file: {:?}{} }}",
        certified.certificate_file,
        certified.key_file,
        clients.unwrap_or_default()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_over_tls_opens_nats_and_a_wrong_one_or_another_authority_does_not() {
    let folder = folder();
    let (ours, theirs) = (
        Authority::new(folder.path(), "ours"),
        Authority::new(folder.path(), "theirs"),
    );
    let users =
        format!("authorization {{ users: [ {{ user: \"u@1\", password: \"{SECRET}/1\" }} ] }}");
    let demands = Demands {
        configuration: format!("{}\n{users}", tls(&ours.certify("127.0.0.1"), None)),
        login: format!("u%401:{SECRET}%2F1@"),
        ca: Some(ours.file.clone()),
        ..Demands::default()
    };
    let nats = Nats::demanding(folder.path(), demands).await;
    let right = nats.environment();
    is_let_in(&right).await;
    // The server requires TLS on its own, so that no password is sent in plain text.
    is_let_in(&but(
        &right,
        "NATS_URL",
        nats.url().replace("tls://", "nats://"),
    ))
    .await;

    let wrong = nats.url().replace("%2F1", "%2F2");
    is_refused(
        &but(&right, "NATS_URL", wrong),
        "check the user or token in NATS_URL",
    )
    .await;
    let unreachable = format!("tls://{}", nats.address());
    is_refused(
        &but(&right, "NATS_URL", unreachable),
        "set NATS_CREDENTIALS, NATS_NKEY, or a user",
    )
    .await;
    let unescaped = nats.url().replace("%2F1", "/1");
    is_refused(&but(&right, "NATS_URL", unescaped), "%-escapes").await;
    is_refused(
        &but(&right, "NATS_CA", show(&theirs.file)),
        "NATS_CA must name the authority",
    )
    .await;
    is_refused(
        &but(&right, "NATS_CA", "/nowhere.pem"),
        "NATS_CA: /nowhere.pem",
    )
    .await;
    let named = nats.url().replace("127.0.0.1", "localhost");
    is_refused(
        &but(&right, "NATS_URL", named),
        "certificate is for another name",
    )
    .await;

    let mut doctor = but(&right, "NATS_URL", nats.url().replace("%2F1", "%2F2"));
    doctor.insert("WORK_DIR", show(folder.path()));
    let said = say_in(doctor, &["doctor"]).await;
    assert!(
        said.out.contains("check the user or token in NATS_URL"),
        "{said:?}"
    );
    assert!(!format!("{said:?}").contains(SECRET), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_ours_opens_nats_where_it_asks_for_one() {
    let folder = folder();
    let (ours, theirs) = (
        Authority::new(folder.path(), "ours"),
        Authority::new(folder.path(), "theirs"),
    );
    let demands = Demands {
        configuration: tls(&ours.certify("127.0.0.1"), Some(&ours)),
        ca: Some(ours.file.clone()),
        ..Demands::default()
    };
    let nats = Nats::demanding(folder.path(), demands).await;
    let showing = |certified: &Certified| {
        let environment = but(
            &nats.environment(),
            "NATS_CERT",
            show(&certified.certificate_file),
        );
        but(&environment, "NATS_KEY", show(&certified.key_file))
    };
    let right = showing(&ours.certify("worker"));
    is_let_in(&right).await;
    is_refused(&nats.environment(), "NATS_CERT").await;
    is_refused(&showing(&theirs.certify("worker")), "NATS_CERT").await;
    let no_key = write(folder.path(), "no.key", "nothing");
    is_refused(&but(&right, "NATS_KEY", show(&no_key)), "NATS_KEY: ").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_nkey_opens_nats_and_another_one_does_not() {
    let folder = folder();
    let (ours, other) = (KeyPair::new_user(), KeyPair::new_user());
    let users = format!(
        "authorization {{ users: [ {{ nkey: {} }} ] }}",
        ours.public_key()
    );
    let demands = Demands {
        configuration: users,
        ..Demands::default()
    };
    let nats = Nats::demanding(folder.path(), demands).await;
    let seed = |name: &str, key: &KeyPair| {
        let text = format!("-----BEGIN USER NKEY SEED-----\n{}\n", key.seed().unwrap());
        show(&write(folder.path(), name, &text))
    };
    let right = but(&nats.environment(), "NATS_NKEY", seed("ours.nk", &ours));
    is_let_in(&right).await;
    is_refused(
        &but(&right, "NATS_NKEY", seed("other.nk", &other)),
        "check the key in NATS_NKEY",
    )
    .await;
    let no_seed = write(folder.path(), "no.nk", &format!("SU{SECRET}"));
    is_refused(&but(&right, "NATS_NKEY", show(&no_seed)), "NATS_NKEY: ").await;
    let both = but(&right, "NATS_CREDENTIALS", "/some.creds");
    assert_eq!(provision(&both).await.code, Some(2), "one of the two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_opens_nats_and_another_one_does_not() {
    let folder = folder();
    let demands = Demands {
        configuration: format!("authorization {{ token: \"{SECRET}-right\" }}"),
        login: format!("{SECRET}-right@"),
        ..Demands::default()
    };
    let nats = Nats::demanding(folder.path(), demands).await;
    is_let_in(&nats.environment()).await;
    let wrong = nats.url().replace("right", "wrong");
    is_refused(
        &but(&nats.environment(), "NATS_URL", wrong),
        "check the user or token in NATS_URL",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credentials_file_opens_nats_and_that_of_a_stranger_does_not() {
    let folder = folder();
    let operator = Operator::new();
    let stranger = KeyPair::new_account();
    let demands = Demands {
        configuration: operator.configuration(),
        ..Demands::default()
    };
    let nats = Nats::demanding(folder.path(), demands).await;
    let credentials = |name: &str, account: &KeyPair| {
        let text = credentials(account, &KeyPair::new_user(), None);
        show(&write(folder.path(), name, &text))
    };
    let right = but(
        &nats.environment(),
        "NATS_CREDENTIALS",
        credentials("right.creds", &operator.account),
    );
    is_let_in(&right).await;
    let theirs = credentials("theirs.creds", &stranger);
    is_refused(
        &but(&right, "NATS_CREDENTIALS", theirs),
        "check the credentials file",
    )
    .await;
    is_refused(
        &but(&right, "NATS_CREDENTIALS", "/nowhere.creds"),
        "NATS_CREDENTIALS: /nowhere.creds",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_is_reached_by_tls_and_only_with_the_right_authority_and_password() {
    let folder = folder();
    let (ours, theirs) = (
        Authority::new(folder.path(), "ours"),
        Authority::new(folder.path(), "theirs"),
    );
    let password = format!("{SECRET}-right");
    let cluster = testing::Cluster::demanding(&testing::Demands {
        password: Some(password.clone()),
        tls: Some(ours.certify("127.0.0.1").pem()),
    })
    .await;
    let ask = async |url: String, arguments: &[&str]| {
        let said = say_in(BTreeMap::from([("DATABASE_URL", url)]), arguments).await;
        assert!(!format!("{said:?}").contains(SECRET), "{said:?}");
        said
    };
    let url = cluster.url("postgres");
    let verified = |ca: &Authority| {
        format!(
            "{url}?sslmode=verify-full&sslrootcert={}",
            ca.file.display()
        )
    };
    let said = ask(verified(&ours), &["migrate", "up"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let said = ask(format!("{url}?sslmode=require"), &["migrate", "status"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");

    for (refused, words) in [
        (verified(&theirs), "sslrootcert in DATABASE_URL"),
        (
            format!("{url}?sslmode=verify-full"),
            "sslrootcert in DATABASE_URL",
        ),
        (
            verified(&ours).replace("127.0.0.1", "localhost"),
            "not valid for name",
        ),
        (
            verified(&ours).replace(&password, &format!("{SECRET}-wrong")),
            "check the user and password",
        ),
        (format!("{url}?sslmode=disable"), "set sslmode=verify-full"),
        (
            format!("{url}?sslmode=verify-full&sslrootcert=/nowhere.pem"),
            "does not exist",
        ),
        (url.replace("postgres://", "mysql://"), "DATABASE_URL"),
        (
            url.replace(&password, &format!("{SECRET}/pass")),
            "DATABASE_URL",
        ),
    ] {
        let said = ask(refused, &["migrate", "status"]).await;
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(
            said.err.contains(words) && said.err.contains("DATABASE_URL"),
            "{words:?}: {said:?}"
        );
    }
}
