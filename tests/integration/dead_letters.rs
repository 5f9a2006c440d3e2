//! What cannot even become a job is kept, whole, with the reason.

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::message::PublishMessage;
use futures::StreamExt as _;
use jetstream::{DeadLetterReason, dead_letter};
use serde_json::json;
use streams::fact::JobError;
use streams::{Code, Lane, TaskKey, TaskName, dead, subject, topology};

use crate::harness::clip::{Clip, moving};
use crate::harness::database::Engine;
use crate::harness::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_event_is_kept_with_its_bytes_and_the_reason() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").roles("intake").start();
    let bodies: [&[u8]; 4] = [
        b"not JSON \xff\x00 at all",
        br#"{"name":"a.mp4"}"#,
        br#"{"file_id":"../etc","name":"a"}"#,
        br#"{"file_id":"f1","job_id":"a b"}"#,
    ];
    for body in bodies {
        let seq = world
            .streams
            .send(
                subject::UPLOAD,
                PublishMessage::build().payload(body.to_vec().into()),
            )
            .await;
        let letter = world
            .streams
            .first(
                topology::DEAD,
                &subject::dead_message("upload", seq),
                |_| true,
            )
            .await;
        assert_eq!(letter.payload, body, "the original bytes");
        assert_eq!(letter.header(dead::ORIGIN_STREAM), topology::UPLOADS);
        assert_eq!(letter.header(dead::ORIGIN_SEQ), seq.to_string());
        assert_eq!(letter.header(dead::CODE), Code::InvalidEvent.as_str());
        assert!(!letter.header(dead::REASON).is_empty());
    }
    assert_eq!(world.jobs().await, [], "no facts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_job_id_of_another_file_is_a_dead_letter_and_leaves_that_job_alone() {
    let world = World::new(Engine::Postgresql).await;
    let _worker = world.worker("one").start();
    let clip = moving("320x180", 2.0).make().await;
    let event = world.event(&clip).await;
    world.streams.upload(&event).await;
    let mut thief = event.clone();
    thief["file_id"] = json!("another-file");
    let job = crate::harness::world::job_of(&event);
    world.completed(&job).await;
    let seq = world.streams.upload(&thief).await;
    let letter = world
        .streams
        .first(
            topology::DEAD,
            &subject::dead_message("upload", seq),
            |_| true,
        )
        .await;
    assert_eq!(letter.json(), thief);
    assert!(letter.header(dead::REASON).contains(job.as_str()));
    assert_eq!(world.database.file("another-file").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_fails_for_good_leaves_what_an_operator_needs() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").start();
    let clip = Clip::of_bytes(
        world.folder(),
        "notes.mp4",
        "words, words, words\n".repeat(1000).as_bytes(),
    );
    let job = world.submit(&clip).await;
    world.ended(&job).await;
    let key = TaskKey::new(job.clone(), TaskName::PLAN, Lane::Lo);
    let letter = world
        .streams
        .first(topology::DEAD, &subject::dead_task(&key), |_| true)
        .await;
    assert_eq!(letter.header(dead::CODE), Code::NotMedia.as_str());
    assert_eq!(letter.header(dead::ORIGIN_STREAM), topology::TASKS);
    let report: dead::TaskReport = serde_json::from_str(letter.header(dead::REPORT)).unwrap();
    assert_eq!((report.key, report.error.code), (key, Code::NotMedia));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_event_is_listed_shown_and_sent_again_as_it_was() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").roles("intake").start();
    // Almost as much as the server accepts in one message: with the reason it would be too much.
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat((1 << 20) - 300));
    for body in [r#"{"name":"ünïcödé"}"#.to_owned(), large] {
        let message = PublishMessage::build()
            .payload(body.clone().into())
            .message_id("theirs")
            .header("content-type", "application/cloudevents+json")
            .header("x-odd", "välue");
        let message = if body.len() > 1000 {
            PublishMessage::build().payload(body.clone().into())
        } else {
            message
        };
        let seq = world.streams.send(subject::UPLOAD, message).await;
        let subject = subject::dead_message("upload", seq);
        let letter = world
            .streams
            .first(topology::DEAD, &subject, |_| true)
            .await;
        let full = letter
            .headers
            .get(dead::TRUNCATED)
            .map(|size| size.as_str().to_owned());
        assert_eq!(full, (body.len() > 1000).then(|| body.len().to_string()));
        assert!(body.as_bytes().starts_with(&letter.payload));

        let letters = world
            .told(&["dead", "list", "--limit", "1", "--json"])
            .await;
        assert_eq!(letters[0]["seq"], json!(letter.seq));
        assert_eq!(letters[0]["code"], json!("invalid_event"));
        let shown = world
            .told(&["dead", "show", &letter.seq.to_string(), "--json"])
            .await;
        assert_eq!(
            shown["payload"].as_str().unwrap().as_bytes(),
            &letter.payload[..]
        );

        let retried = world
            .told(&["dead", "retry", &letter.seq.to_string(), "--json"])
            .await;
        let again = retried["seq"].as_u64().unwrap();
        let uploads = world.streams.all(topology::UPLOADS, subject::UPLOAD).await;
        let of = |seq: u64| uploads.iter().find(|message| message.seq == seq).unwrap();
        assert_eq!(of(again).payload, body);
        let own = |seq: u64| {
            let headers = of(seq)
                .headers
                .iter()
                .filter(|(name, _)| dead::is_original(name.as_ref()));
            let mut headers: Vec<_> = headers
                .map(|(name, values)| (name.to_string(), values.clone()))
                .collect();
            headers.sort_by(|a, b| a.0.cmp(&b.0));
            headers
        };
        assert_eq!(own(again), own(seq), "its own headers");
        assert_ne!(of(again).header("Nats-Msg-Id"), "theirs");
        // The same bytes have the same fate.
        let subject = subject::dead_message("upload", again);
        world
            .streams
            .first(topology::DEAD, &subject, |_| true)
            .await;
    }
    assert_eq!(world.say(&["dead", "show", "999"]).await.code, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reason_and_no_report_can_break_a_letter() {
    let world = World::new(Engine::Sqlite).await;
    let access = world.access().await;
    let odd = "a\r\nNats-Msg-Id: forged\r\n\r\n\0\u{7f}\u{85}\u{2028} ünïcödé 🎬 \u{202e}";
    let report = dead::TaskReport {
        key: TaskKey::new("j1".parse().unwrap(), TaskName::PLAN, Lane::Lo),
        error: JobError::new(Code::FfmpegCrashed, odd.repeat(1000), None),
        argv: vec![odd.to_owned(), odd.repeat(1000)],
        stderr: odd.repeat(10_000),
        probe: Some(json!(odd.repeat(10_000))),
    };
    let grief = DeadLetterReason {
        stream: topology::TASKS,
        seq: 7,
        time: chrono::DateTime::UNIX_EPOCH,
        code: Code::FfmpegCrashed,
        reason: &odd.repeat(1000),
        more: &[
            (dead::FILE, "f1".to_owned()),
            (dead::REPORT, report.to_header()),
        ],
    };
    let mut original = async_nats::HeaderMap::new();
    original.insert("x", "v".repeat(dead::MAX_ORIGINAL_BYTES - 10));
    let limit = access.log.max_payload();
    let body = bytes::Bytes::from(vec![b'x'; limit]);
    let letter = dead_letter(
        subject::dead_task(&report.key),
        &grief,
        body,
        Some(&original),
        limit,
    );
    access.log.publish_dead_letter(letter).await.unwrap();
    let stored = world
        .streams
        .first(topology::DEAD, &subject::dead_task(&report.key), |_| true)
        .await;
    let reason = stored.header(dead::REASON);
    assert!(
        reason.starts_with("a  Nats-Msg-Id: forged") && reason.contains("ünïcödé 🎬"),
        "{reason}"
    );
    assert_ne!(stored.header("Nats-Msg-Id"), "forged");
    let read: dead::TaskReport = serde_json::from_str(stored.header(dead::REPORT)).unwrap();
    assert_eq!((read.key, &read.argv[0]), (report.key, &report.argv[0]));
    assert!(report.stderr.ends_with(&read.stderr) && read.stderr.len() > 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_advisory_of_the_queue_is_captured_and_listed() {
    let world = World::new(Engine::Sqlite).await;
    let mut intake = world.worker("intake").roles("intake").start();
    let clip = Clip::of_bytes(world.folder(), "notes.mp4", b"words");
    let seq = world.streams.upload(&world.event(&clip).await).await;
    world.taken_in(seq).await;
    intake.kill().await;
    // Another client terminates a task.
    let tasks = world.streams.js.get_stream(topology::TASKS).await.unwrap();
    let consumer: PullConsumer = tasks.get_consumer("plan").await.unwrap();
    let task = consumer
        .fetch()
        .max_messages(1)
        .messages()
        .await
        .unwrap()
        .next()
        .await;
    let reply = task.unwrap().unwrap().reply.clone().unwrap();
    world
        .streams
        .js
        .client()
        .request(reply, "+TERM no one likes it".into())
        .await
        .unwrap();

    let advisories = "$JS.EVENT.ADVISORY.CONSUMER.>";
    world
        .streams
        .first(topology::DEAD, advisories, |_| true)
        .await;
    let letters = world.told(&["dead", "list", "--json"]).await;
    assert_eq!(letters[0]["code"], json!("msg_terminated"));
    assert!(
        letters[0]["reason"]
            .as_str()
            .unwrap()
            .ends_with("no one likes it"),
        "{letters}"
    );
    let seq = letters[0]["seq"].to_string();
    let shown = world.told(&["dead", "show", &seq, "--json"]).await;
    assert!(
        shown["payload"]
            .as_str()
            .unwrap()
            .contains("no one likes it")
    );
    let said = world.say(&["dead", "retry", &seq]).await;
    assert_eq!(said.code, Some(4), "{said:?}");
    assert!(said.out.contains("sweep"), "{said:?}");
}
