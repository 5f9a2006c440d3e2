//! What passes between a worker and the store: the source little more than once, or twice where
//! memory does not hold it, and the output once.

use crate::harness::clip::{self, Clip};
use crate::harness::database::Engine;
use crate::harness::wire::Wire;
use crate::harness::world::World;

/// Noise in pictures that take many bytes to read and few to encode: 155 MB in a minute.
async fn heavy() -> Clip {
    let arguments = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=60,noise=alls=40:allf=t \
                     -f lavfi -i anoisesrc=color=pink:seed=7:amplitude=0.4:sample_rate=48000:duration=60 \
                     -c:a aac -b:a 128k -ac 2 -c:v libx264 -preset ultrafast -qp 4 -pix_fmt yuv420p -g 25 -movflags +faststart";
    let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
    clip::make(&arguments, "mp4").await
}

/// What passed between a worker and the store while it did one job, heads and signatures and
/// playlists that grow included.
#[derive(Debug)]
struct Traffic {
    /// All that was read, to the size of the source.
    read: f64,
    /// All that was sent, to the size of the output.
    written: f64,
}

/// One job by a worker with this many bytes of memory.
async fn traffic(clip: &Clip, memory: u64) -> Traffic {
    let world = World::new(Engine::Sqlite).await;
    let wire = Wire::to(world.proxy.address()).await;
    let endpoint = format!("http://{}", wire.address());
    let worker = world.worker("reader").setting("S3_ENDPOINT", endpoint);
    let _worker = worker.setting("MEMORY_MAX", memory).start();
    let job = world.submit(clip).await;
    world.completed(&job).await;
    Traffic {
        read: wire.answered() as f64 / clip.size() as f64,
        written: wire.asked() as f64 / world.bytes("hls/").await as f64,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_fits_the_cache_is_read_little_more_than_once_and_its_output_written_once() {
    let traffic = traffic(&heavy().await, 4 << 30).await;
    assert!((1.0..=1.2).contains(&traffic.read), "{traffic:?}");
    assert!((1.0..=1.2).contains(&traffic.written), "{traffic:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_does_not_fit_the_cache_is_read_little_more_than_twice() {
    // An eighth of it is the cache: 64 MiB.
    let traffic = traffic(&heavy().await, 512 << 20).await;
    assert!((1.2..=2.3).contains(&traffic.read), "{traffic:?}");
}
