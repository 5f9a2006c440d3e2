//! A job is repeated by hand: from its id, or from the dead letter it left.

use serde_json::{Value, json};
use streams::fact::Outcome;
use streams::{FactKind, JobId};

use crate::harness::clip::{Clip, moving};
use crate::harness::database::Engine;
use crate::harness::world::{World, job_of};

fn job(value: &Value) -> JobId {
    value["job_id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ended_job_is_repeated_as_a_new_one_and_an_open_one_is_not() {
    let world = World::new(Engine::Sqlite).await;
    let mut event = world.event(&moving("320x180", 2.0).make().await).await;
    event["output_prefix"] = json!("hls/a/place/of/its.own/");
    let old = job_of(&event);
    let mut intake = world.worker("intake").roles("intake").start();
    world.streams.upload(&event).await;
    world.streams.fact(&old, FactKind::Accepted).await;
    let said = world.say(&["jobs", "retry", old.as_str()]).await;
    assert_eq!(said.code, Some(4), "{said:?}");
    assert!(said.out.contains("has not ended"), "{said:?}");
    assert_eq!(
        world.say(&["jobs", "cancel", old.as_str()]).await.code,
        Some(0)
    );
    intake.kill().await;

    let _worker = world.worker("one").start();
    let said = world
        .say(&["jobs", "retry", old.as_str(), "--wait", "--json"])
        .await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let new = job(&serde_json::from_str(
        said.out
            .lines()
            .find(|line| line.contains("retry_of"))
            .unwrap(),
    )
    .unwrap());
    assert_eq!(world.completed(&new).await.outcome, Outcome::Completed);
    let (then, now) = (world.accepted(&old).await, world.accepted(&new).await);
    assert_eq!(now.retry_of, Some(old.clone()));
    assert_eq!(
        (now.upload, now.output_prefix),
        (then.upload, then.output_prefix)
    );
    assert_eq!(world.ended(&old).await.outcome, Outcome::Canceled);
    assert_eq!(
        world.say(&["jobs", "retry", "unknown-job"]).await.code,
        Some(1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dead_letter_of_a_task_is_listed_shown_and_repeated_as_a_new_job() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").roles("intake,plan,project").start();
    let rubbish = Clip::of_bytes(
        world.folder(),
        "notes.mp4",
        "words, words, words\n".repeat(1000).as_bytes(),
    );
    let event = world.event(&rubbish).await;
    let old = job_of(&event);
    world.streams.upload(&event).await;
    assert_eq!(world.ended(&old).await.outcome, Outcome::Failed);

    let letters = world.told(&["dead", "list", "--json"]).await;
    let [letter] = letters.as_array().unwrap().as_slice() else {
        panic!("{letters}")
    };
    assert_eq!(
        (&letter["code"], &letter["job_id"]),
        (&json!("not_media"), &event["job_id"])
    );
    assert_eq!(letter["file_id"], event["file_id"]);
    let seq = letter["seq"].to_string();
    let shown = world.told(&["dead", "show", &seq, "--json"]).await;
    assert_eq!(shown["report"]["error"]["code"], json!("not_media"));
    let task: Value = serde_json::from_str(shown["payload"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&task["job_id"], &task["task"]),
        (&event["job_id"], &json!("plan"))
    );
    let said = world.say(&["dead", "show", &seq]).await;
    assert!(
        said.out.contains("not_media") && said.out.contains("Fluxhls-Origin-Stream: HLS_TASKS"),
        "{said:?}"
    );

    let retried = world.told(&["dead", "retry", &seq, "--json"]).await;
    let new = job(&retried);
    assert_eq!(world.ended(&new).await.outcome, Outcome::Failed);
    assert_eq!(world.accepted(&new).await.retry_of, Some(old));
}
