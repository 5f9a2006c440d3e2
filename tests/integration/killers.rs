//! A file that takes its worker down, again and again: it ends after its attempts, leaves nothing
//! running, and costs the others a wait.

use std::time::Duration;

use serde_json::json;
use streams::fact::Outcome;
use streams::task::Duty;
use streams::{Code, Lane, TaskKey, dead, subject, topology};

use crate::harness::clip::moving;
use crate::harness::database::Engine;
use crate::harness::output::verify;
use crate::harness::process::mentioning;
use crate::harness::until;
use crate::harness::worker::work_dir;
use crate::harness::world::{World, job_of};

/// How many times the file may try.
const ATTEMPTS: u64 = 2;

/// How long an ffmpeg may outlive its worker.
const OUTLIVES: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_kills_its_worker_ends_after_its_attempts_and_the_others_go_on() {
    let world = World::new(Engine::Sqlite).await;
    world
        .redeliver_after(topology::HEARTBEAT + Duration::from_secs(3))
        .await;
    let _others = world
        .worker("others")
        .roles("intake,plan,package,project")
        .start();
    // One chunk that encodes long enough to be caught at it.
    let clip = moving("1280x720", 12.0).silent().make().await;
    let mut event = world.event(&clip).await;
    event["settings"] = json!({ "max_attempts": ATTEMPTS });
    world.streams.upload(&event).await;
    let killer = job_of(&event);
    let innocent = moving("320x180", 4.0).make().await;
    let job = world.submit(&innocent).await;
    let task = world.planned(&killer).await.tasks[0].task;
    assert_eq!(task.duty, Duty::Video(0));

    let work = work_dir(&world, "encoder");
    for attempt in 1..=ATTEMPTS {
        let mut encoder = world.worker("encoder").roles("encode").start();
        let mut seen = 0;
        world
            .started(&killer, |start| {
                seen += u64::from(start.task == task);
                seen == attempt
            })
            .await;
        let works = || {
            mentioning(&work)
                .iter()
                .any(|command| command.contains("ffmpeg"))
        };
        until("ffmpeg works", async || works()).await;
        // As the kernel does it when memory runs out.
        encoder.kill().await;
        let gone = until("ffmpeg is gone", async || mentioning(&work).is_empty());
        tokio::time::timeout(OUTLIVES, gone)
            .await
            .expect("ffmpeg outlives its worker");
    }

    let _encoder = world.worker("encoder").roles("encode").start();
    let ended = world.completed(&job).await;
    verify(&ended, &world.planned(&job).await, &innocent.path).await;

    let ended = world.ended(&killer).await;
    assert_eq!(ended.outcome, Outcome::Failed);
    assert_eq!(ended.error.unwrap().code, Code::TooManyAttempts);
    assert_eq!(
        world.starts(&killer).await[&task],
        ATTEMPTS,
        "nothing is started beyond the limit"
    );
    let letters = subject::dead_task(&TaskKey::new(killer, task, Lane::Hi));
    let letter = world
        .streams
        .first(topology::DEAD, &letters, |_| true)
        .await;
    assert_eq!(letter.header(dead::CODE), Code::TooManyAttempts.as_str());
}
