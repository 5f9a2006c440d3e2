//! A worker with little memory is slow, not broken.

use crate::harness::clip::moving;
use crate::harness::database::Engine;
use crate::harness::output::verify;
use crate::harness::process::mentioning;
use crate::harness::until;
use crate::harness::worker::work_dir;
use crate::harness::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_of_half_a_gigabyte_makes_one_rung_after_the_other() {
    let world = World::new(Engine::Sqlite).await;
    let clip = moving("1920x1080", 5.0).rate("12").make().await;
    let _worker = world
        .worker("small")
        .setting("MEMORY_MAX", 512 << 20)
        .start();
    let job = world.submit(&clip).await;
    let folder = work_dir(&world, "small");
    until("an encoder makes the top rung alone", async || {
        let commands = mentioning(&folder);
        let alone = |command: &String| command.contains("[v0]") && !command.contains("[v1]");
        commands.iter().any(alone)
    })
    .await;
    let (ended, planned) = (world.completed(&job).await, world.planned(&job).await);
    assert_eq!(planned.videos().count(), 4, "all rungs are there");
    verify(&ended, &planned, &clip.path).await;
}
