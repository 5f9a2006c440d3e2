//! The contract for machines: schemas and AsyncAPI are what the program writes, and what it writes
//! is what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use futures::StreamExt as _;
use serde_json::{Value, json};
use streams::schema::EVENTS;
use streams::{FactKind, JobId, subject, topology, upload};
use strum::VariantArray as _;

use crate::harness::clip::{long, small};
use crate::harness::database::Engine;
use crate::harness::made::is_made;
use crate::harness::process::{command, output_of, tool};
use crate::harness::world::{World, job_of};

#[test]
fn the_files_of_the_contract_are_what_the_program_makes() {
    for (name, text) in fluxhls::cli::schema::files().unwrap() {
        is_made(&format!("docs/{name}"), &text);
    }
}

#[tokio::test]
async fn the_official_parser_takes_the_asyncapi_document() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut node = command(tool("node"));
    node.arg(root.join("tests/node/asyncapi.mjs"))
        .arg(root.join("docs/asyncapi.yaml"));
    let said: Value = serde_json::from_slice(&output_of(&mut node).await).unwrap();
    assert_eq!(said["errors"], json!([]));
    let channels: BTreeSet<&str> = said["channels"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for event in EVENTS {
        assert!(
            channels.contains(event.subject),
            "{} is in no channel",
            event.subject
        );
    }
}

/// Which message a subject carries.
fn named(subject: &str) -> Option<&'static str> {
    let name = match subject {
        subject::UPLOAD => "upload",
        subject::DELETE => "delete",
        _ if subject.starts_with("hls.v1.progress.") => "progress",
        _ => subject::parse_fact(subject)?.1.as_str(),
    };
    Some(EVENTS.iter().find(|event| event.name == name)?.name)
}

/// Everything a stream holds.
async fn messages(world: &World, name: &str) -> Vec<(String, Value)> {
    let mut stream = world.streams.js.get_stream(name).await.unwrap();
    let state = stream.info().await.unwrap().state.clone();
    let mut found = Vec::new();
    for seq in state.first_sequence..=state.last_sequence {
        // Of progress only the last one of each task is kept.
        let Ok(message) = stream.get_raw_message(seq).await else {
            continue;
        };
        let body = serde_json::from_slice(&message.payload).unwrap_or(Value::Null);
        found.push((message.subject.to_string(), body));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_of_a_real_run_is_what_its_schema_says() {
    let world = World::new(Engine::Sqlite).await;
    let mut progress = world
        .streams
        .js
        .client()
        .subscribe(subject::ALL_PROGRESS)
        .await
        .unwrap();
    let _worker = world.worker("one").start();
    let completed = world.submit(&small().make().await).await;
    let failed = world.event(&small().make().await).await;
    let failed = json!({ "file_id": failed["file_id"], "job_id": failed["job_id"], "name": "x", "file_url": "s3://other/key" });
    world.streams.upload(&failed).await;
    world.completed(&completed).await;
    world.ended(&job_of(&failed)).await;
    let canceled = world.submit(&long().make().await).await;
    world.streams.fact(&canceled, FactKind::Planned).await;
    let first = progress.next().await.unwrap();
    world.say(&["jobs", "cancel", canceled.as_str()]).await;
    world.ended(&canceled).await;
    let file = failed["file_id"].as_str().unwrap();
    assert_eq!(world.say(&["delete", file]).await.code, Some(0));
    let pruned: JobId = job_of(&failed);
    world.streams.fact(&pruned, FactKind::Pruned).await;

    let mut all = vec![(
        first.subject.to_string(),
        serde_json::from_slice(&first.payload).unwrap(),
    )];
    for stream in [topology::UPLOADS, topology::JOBS, topology::PROGRESS] {
        all.extend(messages(&world, stream).await);
    }
    let validators: BTreeMap<&str, _> = EVENTS
        .iter()
        .map(|event| {
            (
                event.name,
                jsonschema::validator_for(&event.schema()).unwrap(),
            )
        })
        .collect();
    let mut seen = BTreeSet::new();
    for (subject, body) in &all {
        let Some(name) = named(subject) else { continue };
        let wrong: Vec<String> = validators[name]
            .iter_errors(body)
            .map(|error| error.to_string())
            .collect();
        assert!(wrong.is_empty(), "{subject}: {wrong:?}\n{body:#}");
        seen.insert(name);
    }
    let sent = [
        "upload", "delete", "accepted", "planned", "playable", "progress", "cancel", "verdict",
        "ended", "pruned",
    ];
    assert_eq!(seen, BTreeSet::from(sent));
}

#[test]
fn a_schema_refuses_what_is_missing_or_of_another_kind() {
    let ended = EVENTS.iter().find(|event| event.name == "ended").unwrap();
    let ended = jsonschema::validator_for(&ended.schema()).unwrap();
    assert!(!ended.is_valid(&json!({ "job_id": "j", "file_id": "f", "outcome": "completed" })));
}

/// Events that name their object by bucket and key, or try to.
fn naming_objects() -> impl Iterator<Item = Value> {
    let fields = [
        json!({"bucket": "b", "key": "k"}),
        json!({"bucket": "b", "key": "a%20 #?"}),
        json!({"bucket": "b", "key": "k", "file_url": null}),
        json!({"file_url": "s3://b/k", "bucket": null, "key": null}),
        json!({"bucket": "b"}),
        json!({"key": "k"}),
        json!({"bucket": "b/c", "key": "k"}),
        json!({"bucket": "b", "key": ""}),
        json!({"bucket": "b", "key": "k".repeat(1025)}),
        json!({"bucket": "b", "key": "k", "file_url": "s3://b/k"}),
        json!({"bucket": "b", "file_url": "s3://b/k"}),
    ];
    fields.into_iter().map(|fields| {
        let mut event = fields;
        event["file_id"] = json!("f");
        event["name"] = json!("a.mp4");
        event
    })
}

#[test]
fn the_schema_of_the_upload_event_refuses_what_intake_refuses() {
    let event = EVENTS.iter().find(|event| event.name == "upload").unwrap();
    let validator = jsonschema::validator_for(&event.schema()).unwrap();
    let base = json!({ "file_id": "f", "name": "a.mp4", "file_url": "s3://b/k" });
    let with = |name: &str, value: Value| {
        let mut event = base.clone();
        event[name] = value;
        event
    };
    let settings = |name: &str, value: Value| with("settings", json!({ name: value }));
    let mut cases = vec![base.clone(), with("unknown", json!(7))];
    for name in ["file_id", "name", "file_url"] {
        let mut event = base.clone();
        event.as_object_mut().unwrap().remove(name);
        cases.extend([
            event,
            with(name, json!(7)),
            with(name, json!("")),
            with(name, json!("x".repeat(3000))),
        ]);
    }
    for name in [
        "job_id",
        "retry_of",
        "mime_type",
        "etag",
        "uploaded_by",
        "project_id",
        "folder_path",
    ] {
        cases.extend([
            with(name, json!("ok")),
            with(name, json!(7)),
            with(name, json!("x".repeat(3000))),
            with(name, Value::Null),
        ]);
    }
    cases.extend(naming_objects());
    cases.extend(
        ["hls/f/", "hls/f", "/hls/f/", "hls/../f/"]
            .map(|prefix| with("output_prefix", json!(prefix))),
    );
    cases.extend(
        [json!(0), json!(9), json!(-1), json!(1.5), json!("9")].map(|size| with("size", size)),
    );
    cases.extend(
        [json!({"k": [1]}), json!([]), json!("text")].map(|metadata| with("metadata", metadata)),
    );
    cases.extend([json!({}), json!([])].map(|value| with("settings", value)));
    cases
        .extend(["normal", "high", "urgent"].map(|priority| settings("priority", json!(priority))));
    cases.extend(
        [json!(1), json!(100), json!(0), json!(101), json!("5")]
            .map(|limit| settings("max_attempts", limit)),
    );
    cases.extend(
        [json!("hq"), json!("x".repeat(65)), json!(1)].map(|profile| settings("profile", profile)),
    );
    let (mut good, mut bad) = (0, 0);
    for event in cases {
        let read = upload::read(None, event.to_string().as_bytes(), "hls/");
        let is_taken = read.is_ok_and(|arrival| arrival.violations.is_empty());
        let valid = validator.is_valid(&event);
        assert_eq!(valid, is_taken, "{event}");
        if valid { good += 1 } else { bad += 1 }
    }
    assert!(good > 10 && bad > 30, "{good} good, {bad} bad");
}

#[test]
fn every_example_on_the_page_is_read_by_the_program_and_valid_by_its_schema() {
    let page = include_str!("../../docs/events/README.md");
    let mut examples = 0;
    for section in page.split("\n## ").skip(1) {
        let name = section.lines().next().unwrap();
        let event = EVENTS.iter().find(|event| event.name == name).unwrap();
        let validator = jsonschema::validator_for(&event.schema()).unwrap();
        for block in section.split("```json\n").skip(1) {
            let text = block.split("```").next().unwrap();
            let body: Value =
                serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            let wrong: Vec<String> = validator
                .iter_errors(&body)
                .map(|error| error.to_string())
                .collect();
            assert!(wrong.is_empty(), "{name}: {wrong:?}");
            match FactKind::VARIANTS.iter().find(|kind| kind.as_str() == name) {
                Some(kind) => drop(streams::Fact::decode(name, *kind, text.as_bytes()).unwrap()),
                None if name == "upload" => {
                    drop(upload::read(None, text.as_bytes(), "hls/").unwrap())
                }
                None => {}
            }
            examples += 1;
        }
    }
    assert_eq!(examples, 9);
}
