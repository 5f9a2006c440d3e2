//! Numbers of a stream outlive it: one that is made again, or restored from an older copy, gives
//! none out that means something else.

use chrono::{TimeDelta, Utc};
use jetstream::OutboundMessage;
use serde_json::{Value, json};
use streams::delete::Tombstone;
use streams::fact::Outcome;
use streams::work::WorkKind;
use streams::{EventOrder, FactKind, JobId, TaskName, dead, subject, topology};

use crate::harness::clip::moving;
use crate::harness::database::Engine;
use crate::harness::world::{World, file_of};

/// Deletes a stream, and has it made again as an operator would.
async fn make_anew(world: &World, stream: &str) {
    world.streams.js.delete_stream(stream).await.unwrap();
    let said = world.say(&["provision"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
}

/// An event that leaves it to fluxhls to find its job.
async fn event(world: &World) -> Value {
    let mut event = world.event(&moving("320x180", 2.0).make().await).await;
    event.as_object_mut().unwrap().remove("job_id");
    event
}

/// The job that an event became, besides those that are known.
async fn job_of(world: &World, seq: u64, known: &[JobId]) -> JobId {
    world.taken_in(seq).await;
    let jobs = world.jobs().await;
    jobs.into_iter()
        .find(|job| !known.contains(job))
        .expect("a new job")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_of_a_stream_made_anew_go_on_from_those_it_had() {
    let world = World::new(Engine::Sqlite).await;
    let begun = Utc::now().timestamp_millis() - 60_000;
    for stream in topology::streams(&topology::Sizing::default()) {
        let first = async || {
            let info = world
                .streams
                .js
                .get_stream(&stream.name)
                .await
                .unwrap()
                .cached_info()
                .clone();
            (info.state.first_sequence, info.state.last_sequence)
        };
        let before = first().await;
        assert!(
            before.0 >= u64::try_from(begun).unwrap(),
            "{}: {before:?}",
            stream.name
        );
        // Provisioning what is there changes no number.
        assert_eq!(world.say(&["provision"]).await.code, Some(0));
        assert_eq!(first().await, before, "{}", stream.name);
        make_anew(&world, &stream.name).await;
        assert!(first().await.0 > before.1, "{}: {before:?}", stream.name);
    }
    assert_eq!(world.say(&["provision", "--check"]).await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_file_lives_again_after_the_stream_of_uploads_was_made_anew() {
    let world = World::new(Engine::Postgresql).await;
    let mut worker = world.worker("one").start();
    let event = event(&world).await;
    let first = job_of(&world, world.streams.upload(&event).await, &[]).await;
    world.completed(&first).await;
    world.told(&["delete", file_of(&event), "--json"]).await;
    worker.kill().await;
    make_anew(&world, topology::UPLOADS).await;

    let _worker = world.worker("two").start();
    let second = job_of(
        &world,
        world.streams.upload(&event).await,
        std::slice::from_ref(&first),
    )
    .await;
    world.completed(&second).await;
    assert_eq!(world.facts(&second).await.get(&FactKind::Pruned), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_deleted_under_a_higher_number_an_hour_ago_lives_again() {
    let world = World::new(Engine::Sqlite).await;
    let access = world.access().await;
    let event = event(&world).await;
    // As the log has it where HLS_UPLOADS was restored from an older copy.
    let hour = EventOrder::new(u64::MAX / 2, Utc::now() - TimeDelta::hours(1));
    let tombstone = Tombstone::new(file_of(&event).parse().unwrap(), hour);
    let body = serde_json::to_vec(&tombstone).unwrap();
    let message = OutboundMessage::json(subject::deleted(&tombstone.file_id), body);
    access.log.create(topology::JOBS, message).await.unwrap();

    let _worker = world.worker("one").start();
    let job = job_of(&world, world.streams.upload(&event).await, &[]).await;
    assert_eq!(world.ended(&job).await.outcome, Outcome::Completed);
    // And is deleted by the next request, whatever its number.
    assert_eq!(
        world.told(&["delete", file_of(&event), "--json"]).await["jobs"],
        json!(1)
    );
    assert_eq!(
        world.keys(&format!("hls/{}/", file_of(&event))).await,
        [""; 0]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_event_is_kept_beside_the_letter_of_another_one_of_its_number() {
    let world = World::new(Engine::Sqlite).await;
    let uploads = world
        .streams
        .js
        .get_stream(topology::UPLOADS)
        .await
        .unwrap();
    let next = uploads.cached_info().state.last_sequence + 1;
    let subject = subject::dead_message("upload", next);
    world.streams.publish(&subject, "of a former life").await;

    let _worker = world.worker("one").roles("intake").start();
    assert_eq!(
        world.streams.publish(subject::UPLOAD, "not JSON").await,
        next
    );
    let letter = world
        .streams
        .first(topology::DEAD, &subject, |letter| {
            letter.payload == "not JSON"
        })
        .await;
    assert_eq!(letter.header(dead::ORIGIN_SEQ), next.to_string());
    world.taken_in(next).await;
    assert_eq!(world.streams.all(topology::DEAD, &subject).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_of_a_work_stream_made_anew_write_under_keys_of_their_own() {
    let world = World::new(Engine::Sqlite).await;
    let event = world.event(&moving("320x180", 2.0).make().await).await;
    let job = world.plan_alone(&event).await;
    let mut worker = world
        .worker("one")
        .roles("encode")
        .pauses_at("encode.uploaded")
        .start();
    let started = async || {
        let subject = subject::work(&job, WorkKind::Attempt, TaskName::video(0));
        world
            .streams
            .first(topology::WORK, &subject, |_| true)
            .await
            .seq
    };
    let before = started().await;
    worker.kill().await;
    make_anew(&world, topology::WORK).await;

    world
        .redeliver_after(std::time::Duration::from_secs(11))
        .await;
    let _worker = world.worker("two").start();
    assert!(started().await > before);
    world.completed(&job).await;
}
