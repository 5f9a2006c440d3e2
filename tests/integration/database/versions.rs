//! A database that a later version migrated: the current program works with it, or says which
//! version is needed.

use std::collections::BTreeMap;

use migration::testing::up_as_a_newer_program;

use crate::harness::clip::small;
use crate::harness::on_each_database;
use crate::harness::until;
use crate::harness::worker::{page, readiness};
use crate::harness::world::World;

const NEWER: &str = "the schema is newer: it has m20991231_000001_of_a_newer_version";

on_each_database! {
    after_a_rollback_jobs_go_on_and_every_command_says_that_the_schema_is_newer,
    a_schema_that_only_later_versions_may_run_with_stops_the_program_with_the_version_it_needs,
}

async fn after_a_rollback_jobs_go_on_and_every_command_says_that_the_schema_is_newer(world: World) {
    up_as_a_newer_program(world.database.connection(), "0.1.0").await;
    // What the chart's hook runs when it is rolled back.
    let hook = world.say(&["migrate", "up"]).await;
    assert_eq!(hook.code, Some(0), "{hook:?}");
    assert!(
        hook.out.contains(NEWER) && hook.out.contains("nothing was changed"),
        "{hook:?}"
    );

    let worker = world.worker("older").start();
    let job = world.submit(&small().make().await).await;
    world.completed(&job).await;
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

    until(
        "readiness reports the newer schema, and is ready",
        async || {
            let answer = readiness(&worker).await;
            answer.status == 200 && String::from_utf8_lossy(&answer.body).contains(NEWER)
        },
    )
    .await;
    let status = world.say(&["migrate", "status"]).await;
    assert_eq!(status.code, Some(0), "{status:?}");
    assert!(status.out.contains(NEWER), "{status:?}");
    let doctor = world.say(&["doctor"]).await;
    let line = doctor
        .out
        .lines()
        .find(|line| line.contains(NEWER))
        .unwrap_or_default();
    assert!(line.starts_with("warning database"), "{doctor:?}");
    assert_eq!(world.say(&["rebuild"]).await.code, Some(0));
    assert_eq!(world.say(&["jobs", "list"]).await.code, Some(0));
}

async fn a_schema_that_only_later_versions_may_run_with_stops_the_program_with_the_version_it_needs(
    world: World,
) {
    let running = world.worker("running").roles("project").start();
    assert_eq!(page(&running, "/livez").await.status, 200);
    up_as_a_newer_program(world.database.connection(), "99.0.0").await;
    let needs = "only fluxhls 99.0.0 and later may run with it";
    until(
        "a process that runs already is not ready any more",
        async || {
            let answer = readiness(&running).await;
            answer.status == 503 && String::from_utf8_lossy(&answer.body).contains(needs)
        },
    )
    .await;

    let mut late = world.worker("late").roles("project").start();
    let ended = late.ended_within(crate::harness::DEADLINE).await;
    assert_eq!(ended.code(), Some(1));
    assert!(late.said().contains(needs), "{}", late.said());
    let codes = BTreeMap::from([("up", Some(1)), ("status", Some(4))]);
    for (command, code) in codes {
        let said = world.say(&["migrate", command]).await;
        assert_eq!(said.code, code, "{said:?}");
        assert!(
            format!("{}{}", said.out, said.err).contains(needs),
            "{said:?}"
        );
    }
}
