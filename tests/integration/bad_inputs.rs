//! What cannot be transcoded fails with the right word, at once, and says so in the tables in a
//! plain sentence.

use serde_json::{Value, json};
use streams::fact::{Ended, Outcome};
use streams::task::TaskName;
use streams::{Code, FactKind, FailureClass};

use crate::harness::clip::{Clip, moving, photograph};
use crate::harness::database::Engine;
use crate::harness::output::http::get;
use crate::harness::world::{World, file_of, job_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_video_fails_at_the_first_attempt() {
    let world = World::new(Engine::Sqlite).await;
    let folder = world.folder();
    let whole = moving("320x180", 4.0).make().await;
    let unready = moving("320x180", 4.0).index_last().make().await;
    let playlist = b"ffconcat version 1.0\nfile '/etc/hostname'\n";
    let files = [
        (
            Clip::of_bytes(
                folder,
                "notes.mp4",
                "Dear diary, this is no video at all.\n"
                    .repeat(400)
                    .as_bytes(),
            ),
            &[Code::NotMedia][..],
        ),
        (
            Clip::of_bytes(folder, "empty.mp4", b""),
            &[Code::EmptyInput],
        ),
        (unready.cut(0.7, folder), &[Code::TruncatedUpload]),
        (whole.cut(0.3, folder), &[Code::TruncatedUpload]),
        (photograph().await, &[Code::StillImage]),
        (
            Clip::of_bytes(folder, "list.mp4", playlist),
            &[Code::ForbiddenContainer, Code::NotMedia],
        ),
    ];
    let _worker = world.worker("one").start();
    for (clip, codes) in files {
        let event = world.event(&clip).await;
        world.streams.upload(&event).await;
        let ended = failed(&world, &event).await;
        let error = ended.error.unwrap();
        assert!(codes.contains(&error.code), "{}: {error:?}", clip.name);
        assert_eq!(error.class, FailureClass::Permanent);
        let starts = world.starts(&job_of(&event)).await;
        assert!(
            starts.values().all(|starts| *starts == 1),
            "{}: {starts:?}",
            clip.name
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_waited_for_and_then_fails_without_an_attempt() {
    let world = World::new(Engine::Sqlite).await;
    let clip = moving("320x180", 2.0).make().await;
    let _worker = world.worker("one").start();
    let mut missing = world.event(&clip).await;
    missing["file_url"] = json!(world.url("uploads/never-came"));
    let mut short = world.event(&clip).await;
    short["size"] = json!(clip.size() + 1);
    for (event, code) in [
        (missing, Code::SourceNotFound),
        (short, Code::TruncatedUpload),
    ] {
        world.streams.upload(&event).await;
        let ended = failed(&world, &event).await;
        assert_eq!(ended.error.unwrap().code, code);
        assert!(
            ended.elapsed_seconds >= 2.0,
            "SOURCE_WAIT is 2 s: {}",
            ended.elapsed_seconds
        );
        assert_eq!(
            world.starts(&job_of(&event)).await.get(&TaskName::PLAN),
            None,
            "no attempt is counted"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_breaks_a_rule_fails_as_a_job() {
    let world = World::new(Engine::Sqlite).await;
    let clip = moving("320x180", 2.0).make().await;
    let _worker = world.worker("one").start();
    let mut elsewhere = world.event(&clip).await;
    elsewhere["file_url"] = json!("https://example.com/private/video.mp4");
    let mut endless = world.event(&clip).await;
    endless["name"] = json!("n".repeat(300));
    let mut outside = world.event(&clip).await;
    outside["output_prefix"] = json!("elsewhere/f1/");
    for (event, code) in [
        (elsewhere, Code::ForbiddenSource),
        (endless, Code::InvalidEvent),
        (outside, Code::InvalidEvent),
    ] {
        world.streams.upload(&event).await;
        let ended = failed(&world, &event).await;
        assert_eq!(ended.error.unwrap().code, code);
        assert!(world.starts(&job_of(&event)).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_arrives_late_is_still_taken() {
    let world = World::new(Engine::Sqlite).await;
    let clip = moving("320x180", 2.0).make().await;
    let _worker = world.worker("one").setting("SOURCE_WAIT", 120).start();
    let mut event = world.event(&clip).await;
    let key = format!("uploads/{}-late", file_of(&event));
    event["file_url"] = json!(world.url(&key));
    world.streams.upload(&event).await;
    let job = job_of(&event);
    world.streams.fact(&job, FactKind::Accepted).await;
    world.upload_as(&key, &clip).await;
    world.completed(&job).await;
    assert_eq!(
        world.starts(&job).await[&TaskName::PLAN],
        1,
        "waiting burns no attempt"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_output_place_of_another_file_stays_its_own() {
    let world = World::new(Engine::Sqlite).await;
    let clip = moving("320x180", 2.0).make().await;
    let _worker = world.worker("one").start();
    let owner = world.event(&clip).await;
    world.streams.upload(&owner).await;
    let master = world
        .completed(&job_of(&owner))
        .await
        .manifest_url
        .unwrap()
        .parse()
        .unwrap();
    let before = get(&master).await.body;
    let mut intruder = world.event(&clip).await;
    intruder["output_prefix"] = json!(format!("hls/{}/", file_of(&owner)));
    world.streams.upload(&intruder).await;
    assert_eq!(
        failed(&world, &intruder).await.error.unwrap().code,
        Code::PrefixInUse
    );
    assert_eq!(get(&master).await.body, before);
}

/// Waits for the failure of an event's job and holds it against the tables.
async fn failed(world: &World, event: &Value) -> Ended {
    let job = job_of(event);
    let ended = world.ended(&job).await;
    assert_eq!(ended.outcome, Outcome::Failed);
    assert_eq!((&ended.manifest_url, ended.renditions.len()), (&None, 0));
    let error = ended.error.as_ref().unwrap();
    let row = world.database.job(job.as_str()).await.unwrap();
    assert_eq!(row.status.as_deref(), Some("failed"));
    assert_eq!(
        row.error_message,
        Some(format!("{}: {}", error.code, error.message))
    );
    assert!(row.manifest_url.is_none() && row.completed_at.is_some());
    let file = world.database.file(file_of(event)).await.unwrap();
    assert_eq!(file.transcoding_status.as_deref(), Some("failed"));
    let message = &error.message;
    let plain = message.ends_with('.')
        && message.starts_with(char::is_uppercase)
        && !message.contains(['{', '\n', '\\']);
    assert!(
        plain && !message.contains("127.0.0.1"),
        "not a plain sentence: {message}"
    );
    ended
}
