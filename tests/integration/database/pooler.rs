//! PgBouncer in transaction mode, which gives each transaction whichever of its few server
//! connections is free.

use crate::harness::clip::small;
use crate::harness::database::Database;
use crate::harness::nats::Nats;
use crate::harness::pooler::Pooler;
use crate::harness::world::{World, folder};
use migration::testing::Cluster;

/// Connections of the pooler to the server.
const POOL_SIZE: u32 = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_and_every_command_work_over_two_connections_of_pgbouncer_in_transaction_mode()
 {
    let folder = folder();
    let cluster = Cluster::start().await;
    let pooler = Pooler::start(folder.path(), cluster.port(), POOL_SIZE).await;
    let nats = Nats::start(folder.path()).await;
    let database = Database::create_behind(&cluster, &pooler).await;
    // Migrates through the pooler, too.
    let world = World::with(folder, nats, database).await;

    let processes = [
        world.worker("one").start(),
        world.worker("two").roles("project").start(),
        world
            .worker("three")
            .roles("project")
            .setting("DATABASE_MAX_CONNECTIONS", 1)
            .start(),
    ];
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(world.submit(&small().make().await).await);
    }
    for job in &jobs {
        world.completed(job).await;
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
    }

    let before = world.database.rows().await;
    for arguments in [
        &["migrate", "up"][..],
        &["migrate", "status"],
        &["jobs", "list"],
        &["jobs", "history"],
        &["jobs", "stats"],
        &["rebuild"],
    ] {
        let said = world.say(arguments).await;
        assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
    }
    assert_eq!(world.database.rows().await.jobs, before.jobs);
    let doctor = world.say(&["doctor"]).await;
    assert!(doctor.out.contains("ok      database"), "{doctor:?}");
    for process in processes {
        let said = process.said();
        assert!(!said.contains("projection interrupted"), "{said}");
        assert!(!said.contains("prepared statement"), "{said}");
    }
    assert!(
        !pooler.said().contains("unsupported startup parameter"),
        "{}",
        pooler.said()
    );
}
