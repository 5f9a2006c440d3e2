//! The tables are a picture of the log, and can be drawn again.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;
use streams::{FactKind, JobId};

use crate::harness::clip::{Clip, moving};
use crate::harness::on_each_database;
use crate::harness::world::World;

on_each_database! {
    a_rebuild_of_emptied_tables_gives_the_same_rows,
    facts_that_came_while_nobody_projected_are_not_lost,
}

async fn a_rebuild_of_emptied_tables_gives_the_same_rows(world: World) {
    let clip = moving("320x180", 2.0).make().await;
    let mut worker = world.worker("one").start();
    let completed = world.submit(&clip).await;
    let failed = world.submit(&Clip::of_bytes(world.folder(), "empty.mp4", b"")).await;
    let mut later = world.event(&clip).await;
    later["file_url"] = json!(world.url("uploads/never-comes"));
    later["metadata"] = json!({ "title": "Ferien – 休暇 🏖" });
    world.streams.upload(&later).await;
    for job in [&completed, &failed, &crate::harness::world::job_of(&later)] {
        world.ended(job).await;
    }
    worker.signal(Signal::SIGTERM);
    worker.ended_within(Duration::from_secs(60)).await;

    let before = world.database.rows().await;
    assert_eq!((before.jobs.len(), before.files.len()), (3, 3));
    world.database.empty().await;
    assert!(world.database.rows().await.jobs.is_empty());
    let said = world.say(&["rebuild"]).await;
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert_eq!(world.database.rows().await, before);
    // Once more over rows that are there: nothing changes.
    assert_eq!(world.say(&["rebuild"]).await.code, Some(0));
    assert_eq!(world.database.rows().await, before);
}

async fn facts_that_came_while_nobody_projected_are_not_lost(world: World) {
    let clip = moving("320x180", 2.0).make().await;
    let _worker = world.worker("one").roles("intake,plan,encode,package").start();
    let job: JobId = world.submit(&clip).await;
    let last = world.streams.fact(&job, FactKind::Ended).await.seq;
    assert_eq!(world.database.job(job.as_str()).await, None);
    let mut first = world.worker("first-projector").roles("project").start();
    let _second = world.worker("second-projector").roles("project").start();
    world.database.has_projected(last).await;
    assert_eq!(
        world.database.job(job.as_str()).await.unwrap().status.as_deref(),
        Some("completed")
    );
    first.kill().await;
    let next = world.submit(&clip).await;
    world.completed(&next).await;
    assert_eq!(world.database.rows().await.jobs.len(), 2);
}
