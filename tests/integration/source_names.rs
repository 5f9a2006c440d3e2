//! Which object an event means: in `s3://`, and by bucket and key, every byte of the key counts; an
//! HTTP URL is percent-decoded once.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use streams::upload::SourceObject;
use streams::{subject, topology};

use crate::harness::clip::moving;
use crate::harness::database::Engine;
use crate::harness::world::{BUCKET, World, job_of};

/// Keys that name another object, or none, if they are decoded once too often.
const KEYS: [&str; 4] = [
    "uploads/50%20off.mp4",
    "uploads/Take #2.mp4",
    "uploads/what?.mp4",
    "uploads/a+b c.mp4",
];

/// What those would find.
const DECOYS: [&str; 4] = [
    "uploads/50 off.mp4",
    "uploads/Take ",
    "uploads/what",
    "uploads/a b c.mp4",
];

/// An event that names its object by these fields.
fn event(fields: &Value) -> Value {
    let mut event = fields.clone();
    event["file_id"] = json!(cuid2::create_id());
    event["job_id"] = json!(cuid2::create_id());
    event["name"] = json!("clip.mp4");
    // Jobs of one publisher would wait for each other.
    event["settings"] = json!({ "priority": "high" });
    event
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_form_of_an_event_names_just_its_object() {
    let world = World::new(Engine::Sqlite).await;
    let clip = moving("320x180", 2.0).make().await;
    for decoy in DECOYS {
        world.leave(decoy).await;
    }
    let _planner = world.worker("planner").roles("intake,plan").start();
    for key in KEYS {
        world.upload_as(key, &clip).await;
        let meant = SourceObject {
            bucket: BUCKET.to_owned(),
            key: key.to_owned(),
        };
        let encoded = utf8_percent_encode(key, NON_ALPHANUMERIC);
        let signed = format!("{}/{BUCKET}/{encoded}", world.proxy.url());
        for (fields, stored) in [
            (json!({ "file_url": meant.url() }), meant.url()),
            (json!({ "bucket": BUCKET, "key": key }), meant.url()),
            (
                json!({ "file_url": format!("{signed}?X-Amz-Signature=s#t") }),
                signed.clone(),
            ),
        ] {
            let event = event(&fields);
            world.streams.upload(&event).await;
            let job = job_of(&event);
            let source = world.planned(&job).await.source;
            assert_eq!(
                (source.bucket.as_str(), source.key.as_str()),
                (BUCKET, key),
                "{fields}"
            );
            let accepted = world.accepted(&job).await;
            assert_eq!(accepted.source.as_ref(), Some(&meant), "{fields}");
            assert_eq!(accepted.upload.file_url, stored, "{fields}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_names_bucket_and_key_whatever_its_event_did() {
    let world = World::new(Engine::Sqlite).await;
    let key = "uploads/50%20off.mp4";
    let encoded = utf8_percent_encode(key, NON_ALPHANUMERIC);
    let first = event(&json!({ "file_url": format!("{}/{BUCKET}/{encoded}", world.proxy.url()) }));
    let _intake = world.worker("intake").roles("intake,project").start();
    world.streams.upload(&first).await;
    let job = job_of(&first);
    world.accepted(&job).await;
    for arguments in [
        ["jobs", "cancel", job.as_str()],
        ["jobs", "retry", job.as_str()],
    ] {
        let said = world.say(&arguments).await;
        assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
    }
    let events = world.streams.all(topology::UPLOADS, subject::UPLOAD).await;
    let repeated = events.last().unwrap().json();
    assert_eq!(repeated["retry_of"], job.as_str());
    assert_eq!(
        (&repeated["bucket"], &repeated["key"]),
        (&json!(BUCKET), &json!(key))
    );
    assert_eq!(repeated.get("file_url"), None, "{repeated}");
}
