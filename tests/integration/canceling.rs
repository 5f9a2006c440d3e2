//! A job can be stopped while it runs, and not once its end is decided.

use std::time::Duration;

use streams::FactKind;
use streams::fact::Outcome;
use streams::task::Duty;

use crate::harness::clip::{long, moving};
use crate::harness::database::Engine;
use crate::harness::process::mentioning;
use crate::harness::proxy::Fault;
use crate::harness::until;
use crate::harness::worker::work_dir;
use crate::harness::world::{World, file_of, job_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_stops_a_running_job_within_ten_seconds() {
    let world = World::new(Engine::Sqlite).await;
    let clip = long().make().await;
    let event = world.event(&clip).await;
    let job = job_of(&event);
    let _worker = world.worker("one").start();
    world.streams.upload(&event).await;
    world
        .started(&job, |attempt| matches!(attempt.task.duty, Duty::Video(_)))
        .await;
    let said = world
        .say(&[
            "jobs",
            "cancel",
            job.as_str(),
            "--reason",
            "changed my mind",
        ])
        .await;
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    let ended = world.ended(&job).await;
    assert_eq!(
        (ended.outcome, ended.error, ended.manifest_url),
        (Outcome::Canceled, None, None)
    );

    // ffmpeg names the folder it works in; the worker itself got it by its environment.
    let gone = until("ffmpeg has stopped", async || {
        mentioning(&work_dir(&world, "one")).is_empty()
    });
    tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .expect("ffmpeg stops within ten seconds");

    let row = world.database.job(job.as_str()).await.unwrap();
    assert_eq!(
        (row.status.as_deref(), row.error_message),
        (Some("canceled"), None)
    );
    assert!(row.completed_at.is_some());
    let file = world.database.file(file_of(&event)).await.unwrap();
    assert_eq!(
        (file.transcoding_status.as_deref(), file.hls_manifest_url),
        (Some("canceled"), None)
    );
    assert_eq!(world.facts(&job).await[&FactKind::Cancel], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_of_a_finished_job_comes_too_late() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").start();
    let job = world.submit(&moving("320x180", 2.0).make().await).await;
    world.completed(&job).await;
    let said = world.say(&["jobs", "cancel", job.as_str()]).await;
    assert!(said.out.contains("too late"), "{said:?}");
    assert_ne!(said.code, Some(0));
    assert_eq!(world.ended(&job).await.outcome, Outcome::Completed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canceled_job_that_waits_is_never_started() {
    let world = World::new(Engine::Sqlite).await;
    let job = world.submit(&moving("320x180", 2.0).make().await).await;
    let mut intake = world.worker("intake").roles("intake").start();
    world.streams.fact(&job, FactKind::Accepted).await;
    intake.kill().await;
    let said = world.say(&["jobs", "cancel", job.as_str()]).await;
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    let _worker = world.worker("one").start();
    assert_eq!(world.ended(&job).await.outcome, Outcome::Canceled);
    // What comes after it in the same queue is done; by then its own task is off the queue.
    let next = world.submit(&moving("320x180", 2.0).make().await).await;
    world.completed(&next).await;
    assert!(world.starts(&job).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_canceled_with_no_worker_alive_and_the_storage_down() {
    let world = World::new(Engine::Sqlite).await;
    let job = world.submit(&moving("320x180", 2.0).make().await).await;
    let mut intake = world.worker("intake").roles("intake").start();
    world.streams.fact(&job, FactKind::Accepted).await;
    intake.kill().await;
    world.proxy.set(Fault::Refuse);
    let said = world.say(&["jobs", "cancel", job.as_str()]).await;
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    let _projector = world.worker("project").roles("project").start();
    assert_eq!(world.ended(&job).await.outcome, Outcome::Canceled);
    let row = world.database.job(job.as_str()).await.unwrap();
    assert_eq!(row.status.as_deref(), Some("canceled"));
}
