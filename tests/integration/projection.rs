//! The tables are a picture of the log, and can be drawn again.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;
use streams::{FactKind, JobId, topology};

use crate::harness::clip::{Clip, moving};
use crate::harness::database::{Database, Engine};
use crate::harness::nats::Nats;
use crate::harness::on_each_database;
use crate::harness::worker::{page, say_in};
use crate::harness::world::{World, folder};
use migration::testing::Cluster;

on_each_database! {
    a_rebuild_of_emptied_tables_gives_the_same_rows,
    facts_that_came_while_nobody_projected_are_not_lost,
}

async fn a_rebuild_of_emptied_tables_gives_the_same_rows(world: World) {
    let clip = moving("320x180", 2.0).make().await;
    let mut worker = world.worker("one").start();
    let completed = world.submit(&clip).await;
    let failed = world
        .submit(&Clip::of_bytes(world.folder(), "empty.mp4", b""))
        .await;
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
    // Again over existing rows: nothing changes.
    assert_eq!(world.say(&["rebuild"]).await.code, Some(0));
    assert_eq!(world.database.rows().await, before);
}

async fn facts_that_came_while_nobody_projected_are_not_lost(world: World) {
    let clip = moving("320x180", 2.0).make().await;
    let _worker = world
        .worker("one")
        .roles("intake,plan,encode,package")
        .start();
    let job: JobId = world.submit(&clip).await;
    let last = world.streams.fact(&job, FactKind::Ended).await.seq;
    assert_eq!(world.database.job(job.as_str()).await, None);
    let mut first = world.worker("first-projector").roles("project").start();
    let _second = world.worker("second-projector").roles("project").start();
    world.database.has_projected(last).await;
    assert_eq!(
        world
            .database
            .job(job.as_str())
            .await
            .unwrap()
            .status
            .as_deref(),
        Some("completed")
    );
    first.kill().await;
    let next = world.submit(&clip).await;
    world.completed(&next).await;
    assert_eq!(world.database.rows().await.jobs.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_projectors_lose_their_database_under_load_and_no_fact() {
    let folder = folder();
    let mut cluster = Cluster::start().await;
    let nats = Nats::start(folder.path()).await;
    let database = Database::create_on(&cluster, "").await;
    let world = World::with(folder, nats, database).await;
    let _intake = world.worker("intake").roles("intake").start();
    let mut projectors =
        ["one", "two", "three"].map(|name| world.worker(name).roles("project").start());

    // A process that finds no database when it starts says so and ends; these are to lose theirs
    // later.
    for projector in &projectors {
        page(projector, "/livez").await;
    }

    // Each of these is a job of three facts, and needs no worker.
    let event = |n: usize| {
        json!({ "file_id": format!("f{}", n / 2), "job_id": format!("j{n}"), "name": "a.mp4",
                "file_url": format!("https://elsewhere.example/{n}"), "size": n })
    };
    for round in 0..3 {
        for n in 0..100 {
            world.streams.upload(&event(round * 100 + n)).await;
        }
        if round < 2 {
            // In the middle of it: the intake is at work on these, the projectors on those before
            // them.
            cluster.kill().await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            cluster.restart().await;
        }
    }
    let mut last = 0;
    for n in 0..300 {
        let job: JobId = format!("j{n}").parse().unwrap();
        last = last.max(world.streams.fact(&job, FactKind::Ended).await.seq);
    }
    world.database.has_projected(last).await;
    for projector in &mut projectors {
        projector.signal(Signal::SIGTERM);
        assert!(
            projector
                .ended_within(Duration::from_secs(60))
                .await
                .success()
        );
        let said = projector.said();
        assert!(!said.contains("deadlock"), "{said}");
    }
    let rows = world.database.rows().await;
    assert_eq!((rows.files.len(), rows.jobs.len()), (150, 300));
    assert!(
        rows.jobs
            .iter()
            .all(|job| job.status.as_deref() == Some("failed"))
    );
    let dead = world
        .streams
        .counts(topology::DEAD, "hls.v1.dead.project.>")
        .await;
    assert!(dead.is_empty(), "{dead:?}");

    let fresh = Database::create_on(&cluster, "").await;
    for arguments in [&["migrate", "up"][..], &["rebuild"]] {
        let mut environment = world.environment();
        environment.insert("DATABASE_URL", fresh.url.clone());
        assert_eq!(say_in(environment, arguments).await.code, Some(0));
    }
    assert_eq!(fresh.rows().await, rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projector_without_tables_says_how_to_make_them() {
    let world = World::bare(Engine::Postgresql).await;
    let said = world.say(&["run", "--roles", "project"]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("run `fluxhls migrate up`"), "{said:?}");
}
