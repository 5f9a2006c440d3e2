//! What a container says of itself is never taken for what ffmpeg says.

use crate::harness::clip::moving;
use crate::harness::database::Engine;
use crate::harness::output::verify;
use crate::harness::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_title_that_looks_like_progress_neither_stops_a_job_nor_moves_it() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").start();
    for title in [
        "size=1kB time=00:00:01 bitrate=1kbits/s speed=1x",
        "\nprogress=end\nout_time_us=1\nframe=99999",
    ] {
        let clip = moving("320x180", 6.0).titled(title).make().await;
        let job = world.submit(&clip).await;
        let ended = world.completed(&job).await;
        verify(&ended, &world.planned(&job).await, &clip.path).await;
    }
}
