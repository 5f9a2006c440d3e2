//! Every user of NATS has exactly the permissions of docs/nats.md, and does its work with them.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::clip::small;
use crate::harness::database::{Database, Engine};
use crate::harness::nats::{Demands, Nats};
use crate::harness::process::{command, output_of, tool};
use crate::harness::until;
use crate::harness::worker::{Said, readiness, say_in};
use crate::harness::world::{World, folder, job_of};

/// The accounts as the page has them, with an additional user for the test.
fn accounts() -> String {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/nats.md"))
        .unwrap();
    let block = page
        .split("```text\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let (before, after) = block.split_once("users: [").unwrap();
    format!("{before}users: [ {{ user: test, password: test }}\n{after}")
}

/// What a process with the rights of one of the users receives.
fn user(folder: &Path, name: &str) -> BTreeMap<&'static str, String> {
    let password = folder.join(format!("{name}.password"));
    std::fs::write(&password, format!("change-{name}\n")).unwrap();
    BTreeMap::from([
        ("NATS_USER", name.to_owned()),
        ("NATS_PASSWORD_FILE", password.display().to_string()),
    ])
}

async fn told(world: &World, who: &str, script: &str, arguments: &[&str]) -> Value {
    let mut node = command(tool("node"));
    node.arg(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("examples/node")
            .join(script),
    );
    node.args(arguments).envs(user(world.folder(), who));
    let url = format!("nats://{}", world.nats.address());
    serde_json::from_slice(&output_of(node.env("NATS_URL", url)).await).unwrap()
}

async fn operator(world: &World, arguments: &[&str]) -> Said {
    let mut environment = world.environment();
    environment.extend(user(world.folder(), "operator"));
    say_in(environment, arguments).await
}

/// A world that is made by the operator of the page.
async fn world() -> World {
    let folder = folder();
    let demands = Demands {
        configuration: accounts(),
        login: "test:test@".to_owned(),
        environment: user(folder.path(), "operator"),
        ..Demands::default()
    };
    let nats = Nats::demanding(folder.path(), demands).await;
    let database = Database::create(Engine::Sqlite, folder.path()).await;
    World::with(folder, nats, database).await
}

/// A job that the publisher sends, whose end the API service receives, which sees its row and
/// repeats it; and what `nats micro info fluxhls` asks.
async fn a_job_is_sent_heard_and_repeated(world: &World, event: &Value) {
    let job = job_of(event);
    let completions = async { told(world, "api", "completions.mjs", &["1"]).await };
    let work = async {
        // A new durable receives messages from its creation on.
        until("the durable is made", async || {
            let log = world
                .streams
                .js
                .get_stream(streams::topology::JOBS)
                .await
                .unwrap();
            log.consumer_info("api").await.is_ok()
        })
        .await;
        let stored = told(world, "publisher", "publish.mjs", &[&event.to_string()]).await;
        assert_eq!(stored["stream"], "HLS_UPLOADS");
        world.completed(&job).await;
    };
    let (ended, ()) = tokio::join!(completions, work);
    assert_eq!(ended["job_id"], json!(job.as_str()));
    let question = json!({ "job_id": job.as_str() }).to_string();
    until("the row says so", async || {
        told(world, "api", "ask.mjs", &["status", &question]).await["status"] == "completed"
    })
    .await;
    let again = json!({ "job_id": job.as_str(), "new_job_id": "again" }).to_string();
    assert_eq!(
        told(world, "api", "ask.mjs", &["retry", &again]).await["job_id"],
        "again"
    );
    world.completed(&"again".parse().unwrap()).await;

    let mut options = async_nats::ConnectOptions::with_user_and_password(
        "api".to_owned(),
        "change-api".to_owned(),
    );
    options = options.name("nats micro info");
    let client = options
        .connect(world.nats.address().to_string())
        .await
        .unwrap();
    let info = client
        .request("$SRV.INFO.fluxhls", "".into())
        .await
        .unwrap();
    let info: Value = serde_json::from_slice(&info.payload).unwrap();
    assert_eq!(info["name"], "fluxhls");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_user_does_its_work_with_the_permissions_of_the_page_and_no_other() {
    let world = world().await;
    let start = |name: &str, roles: &'static str| {
        let settings = user(world.folder(), name);
        let worker = world.worker(name).roles(roles);
        settings
            .into_iter()
            .fold(worker, |worker, (name, value)| worker.setting(name, value))
            .start()
    };
    let workers = [
        start("worker", "intake,plan,encode,package"),
        start("projector", "project"),
    ];
    for worker in &workers {
        until("it is ready", async || {
            readiness(worker).await.status == 200
        })
        .await;
    }
    let event = world.event(&small().make().await).await;
    a_job_is_sent_heard_and_repeated(&world, &event).await;

    for arguments in [
        &["provision", "--check"][..],
        &["jobs", "list"],
        &["jobs", "show", "again"],
        &["dead", "list"],
        &["rebuild"],
        &["jobs", "prune", "--dry-run"],
        &["delete", event["file_id"].as_str().unwrap()],
    ] {
        let said = operator(&world, arguments).await;
        assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
    }
    let said = operator(&world, &["doctor"]).await;
    assert!(
        said.out.contains("a single nats-server")
            && said
                .out
                .contains("every stream and consumer has the expected configuration"),
        "{said:?}"
    );
    for worker in &workers {
        assert_eq!(readiness(worker).await.status, 200);
        assert!(
            !worker.said().contains("ermissions Violation"),
            "{}",
            worker.said()
        );
    }
}
