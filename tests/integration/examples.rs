//! The examples a stranger would copy, run as they are against a live system.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use streams::fact::{Ended, Outcome};
use streams::topology::{self, Sizing};
use streams::{FactKind, JobId};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout};

use crate::harness::clip::{long, small};
use crate::harness::database::Engine;
use crate::harness::process::{command, output_of, tool};
use crate::harness::world::{World, job_of};

/// An example that runs until it has what it waits for.
struct Listener {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    _err: Lines<BufReader<ChildStderr>>,
}

impl Listener {
    /// Starts it, and waits until it says that it listens.
    async fn start(mut program: tokio::process::Command, world: &World) -> Self {
        program.env("NATS_URL", world.nats.url()).kill_on_drop(true);
        let mut child = program
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut err = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = err.next_line().await.unwrap();
        assert_eq!(said.as_deref(), Some("listening"));
        Self {
            child,
            out,
            _err: err,
        }
    }

    async fn line(&mut self) -> Option<String> {
        let line = tokio::time::timeout(crate::harness::DEADLINE, self.out.next_line());
        line.await.expect("it says something").unwrap()
    }

    async fn json(&mut self) -> Value {
        serde_json::from_str(&self.line().await.expect("one more line")).unwrap()
    }
}

fn node(script: &str) -> tokio::process::Command {
    let mut node = command(tool("node"));
    node.arg(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("examples/node")
            .join(script),
    );
    node
}

/// An example that cargo built with this test.
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples")
        .join(name);
    assert!(
        path.exists(),
        "build it first: cargo build --examples --features fluxhls/otel"
    );
    path
}

async fn told(mut program: tokio::process::Command, world: &World) -> Value {
    let said = output_of(program.env("NATS_URL", world.nats.url())).await;
    serde_json::from_slice(&said).unwrap()
}

/// What an example says that ends with an error.
async fn refused(mut program: tokio::process::Command, world: &World) -> Value {
    let output = program
        .env("NATS_URL", world.nats.url())
        .output()
        .await
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_service_publishes_follows_and_hears_the_end() {
    let world = World::new(Engine::Postgresql).await;
    let mut event = world.event(&small().make().await).await;
    let job = job_of(&event);
    // Three fields are enough; the id of the job is there to be followed by.
    for field in ["size", "mime_type"] {
        event.as_object_mut().unwrap().remove(field);
    }
    let mut completions = Listener::start(
        {
            let mut program = node("completions.mjs");
            program.arg("1");
            program
        },
        &world,
    )
    .await;
    let mut follow = {
        let mut program = node("follow.mjs");
        program.arg(job.as_str());
        Listener::start(program, &world).await
    };
    let publish = || {
        let mut program = node("publish.mjs");
        program.arg(event.to_string());
        program
    };
    let stored = told(publish(), &world).await;
    assert_eq!(
        (&stored["stream"], &stored["duplicate"]),
        (&json!("HLS_UPLOADS"), &json!(false))
    );
    assert_eq!(
        told(publish(), &world).await["duplicate"],
        json!(true),
        "sent twice under one id"
    );
    let _worker = world.worker("one").start();

    let heard: Ended = serde_json::from_value(completions.json().await).expect("the end");
    assert_eq!(
        heard,
        world.completed(&job).await,
        "what the service heard is what the log has"
    );
    assert!(completions.child.wait().await.unwrap().success());
    let mut seen = Vec::new();
    let mut progress = 0.0;
    while let Some(line) = follow.line().await {
        let line: Value = serde_json::from_str(&line).unwrap();
        seen.extend(line["fact"].as_str().map(str::to_owned));
        progress = line["progress"].as_f64().unwrap_or(progress);
    }
    // A clip this short may be done before there was anything to play early.
    seen.retain(|fact| fact != "playable");
    assert_eq!(seen, ["accepted", "planned", "verdict", "ended"]);
    assert!(progress > 0.0, "progress was heard");
    assert_eq!(follow.child.wait().await.unwrap().code(), Some(0));

    // A durable keeps its position: what ends while the service is down is received when it is
    // back.
    let second = world.submit(&small().make().await).await;
    world.completed(&second).await;
    let mut program = node("completions.mjs");
    program.arg("1");
    let mut completions = Listener::start(program, &world).await;
    assert_eq!(completions.json().await["job_id"], json!(second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_service_loses_no_upload_of_a_file_that_it_uploads_again() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").roles("intake").start();
    let event = |key: &str| json!({ "file_id": "f1", "name": "holiday.mp4", "file_url": format!("s3://media/{key}") });
    let publish = async |event: Value| {
        let mut program = node("publish.mjs");
        program.arg(event.to_string());
        let stored = told(program, &world).await;
        assert_eq!(stored["duplicate"], json!(false), "{event}");
        world.taken_in(stored["seq"].as_u64().unwrap()).await;
    };
    publish(event("uploads/first.mp4")).await;
    publish(event("uploads/second.mp4")).await;
    assert_eq!(
        world.jobs().await.len(),
        2,
        "two contents under one file_id"
    );

    world.told(&["delete", "f1", "--json"]).await;
    publish(event("uploads/first.mp4")).await;
    assert_eq!(
        world.jobs().await.len(),
        3,
        "the same content after the file was deleted"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_service_asks_cancels_and_repeats() {
    let world = World::new(Engine::Postgresql).await;
    let ask = |question: &str, body: Value| {
        let mut program = node("ask.mjs");
        program.args([question, &body.to_string()]);
        program
    };
    let unheard = refused(ask("stats", json!({})), &world).await;
    assert_eq!(unheard["code"], 503, "no one runs yet: {unheard}");
    let _worker = world.worker("one").start();
    let event = world.event(&long().make().await).await;
    let job = job_of(&event);
    world.streams.upload(&event).await;
    world.streams.fact(&job, FactKind::Planned).await;
    let status = told(ask("status", json!({ "job_id": job })), &world).await;
    assert!(
        ["pending", "processing"].contains(&status["status"].as_str().unwrap()),
        "{status}"
    );
    assert_eq!(
        refused(ask("retry", json!({ "job_id": job })), &world).await["code"],
        409
    );

    let canceled = told(ask("cancel", json!({ "job_id": job, "by": "ana" })), &world).await;
    assert_eq!(canceled, json!({ "job_id": job }));
    assert_eq!(world.ended(&job).await.outcome, Outcome::Canceled);
    let late = refused(ask("cancel", json!({ "job_id": job })), &world).await;
    assert_eq!(late["code"], 409, "{late}");

    let body = json!({ "job_id": job, "new_job_id": "second" });
    let retried = told(ask("retry", body.clone()), &world).await;
    let second: JobId = "second".parse().unwrap();
    assert_eq!(
        retried,
        json!({ "job_id": "second", "file_id": event["file_id"], "retry_of": job })
    );
    told(ask("retry", body), &world).await;
    told(ask("cancel", json!({ "job_id": second })), &world).await;
    world.ended(&second).await;
    assert_eq!(
        world.jobs().await.len(),
        2,
        "asking twice for one new job makes one"
    );
    let stats = told(ask("stats", json!({})), &world).await;
    assert!(stats["jobs"].is_object(), "{stats}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rust_examples_publish_and_hear_the_end() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").start();
    let mut program = command(built("completions"));
    program.arg("1");
    let mut completions = Listener::start(program, &world).await;
    let key = world.upload(&small().make().await).await;
    let mut publish = command(built("publish"));
    publish.args([world.url(&key).as_str(), "clip.mp4"]);
    let stored = told(publish, &world).await;
    let line = completions.line().await.unwrap();
    assert_eq!(
        line,
        format!("{} completed", stored["job_id"].as_str().unwrap())
    );
    assert!(completions.child.wait().await.unwrap().success());
}

#[test]
fn the_lines_for_the_nats_command_name_what_there_is() {
    let text = include_str!("../../examples/cli/README.md");
    let streams = topology::streams(&Sizing::default());
    let subjects: Vec<&str> = streams
        .iter()
        .flat_map(|stream| stream.subjects.iter().map(String::as_str))
        .collect();
    let words = text.split([' ', '\'', '\n']);
    let named: Vec<&str> = words
        .filter(|word| word.contains("hls.v1.") || word.starts_with("HLS_"))
        .collect();
    assert!(named.len() > 8, "{named:?}");
    for word in named {
        let is_question =
            ["status", "cancel", "retry", "stats"].map(|question| format!("hls.v1.api.{question}"));
        let known = subjects
            .iter()
            .any(|subject| within(word.trim_start_matches("live."), subject))
            || streams.iter().any(|stream| stream.name == word)
            || is_question.iter().any(|question| question == word);
        assert!(known, "{word}");
    }
}

/// Whether a subject is one of those a pattern of a stream takes.
fn within(subject: &str, pattern: &str) -> bool {
    pattern
        .strip_suffix('>')
        .map_or(subject == pattern, |start| subject.starts_with(start))
}
