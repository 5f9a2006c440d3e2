//! What comes out plays in a real browser: through every joint of its chunks, and after seeks
//! across them.

use crate::harness::clip::{make, moving};
use crate::harness::database::Engine;
use crate::harness::players::plays_seamlessly;
use crate::harness::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_plays_through_every_joint_and_seeks_across_them() {
    let mut world = World::new(Engine::Sqlite).await;
    let (_one, _two) = (world.worker("one").start(), world.worker("two").start());
    let noise = [
        "-f",
        "lavfi",
        "-i",
        "anoisesrc=color=pink:seed=7:amplitude=0.4:duration=9",
        "-c:a",
        "aac",
    ];
    let clips = [
        moving("480x270", 33.0).rate("30000/1001").make().await,
        moving("640x360", 9.5).silent().make().await,
        make(&noise.map(str::to_owned), "m4a").await,
    ];
    let mut manifests = Vec::new();
    for clip in clips {
        let job = world.submit(&clip).await;
        manifests.extend(world.completed(&job).await.manifest_url);
    }
    world.alone().await;
    for manifest in &manifests {
        plays_seamlessly(manifest).await;
    }
}
