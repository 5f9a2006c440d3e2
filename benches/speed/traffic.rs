//! Bytes between a worker and the store, against the ideal: the source and the output read once,
//! the output written once.

use streams::FactKind;

use crate::harness::clip::Clip;
use crate::harness::database::Engine;
use crate::harness::wire::Wire;
use crate::harness::world::World;
use crate::machine;
use crate::metrics::Metrics;
use crate::page::Section;
use crate::source;
use crate::timing::{fact, ready, stop};

/// Bytes of memory of the smallest worker: an eighth of it is the cache.
const SMALL: u64 = 512 << 20;

/// What passed for one job, in bytes.
struct Traffic {
    source: u64,
    of_source: u64,
    output: u64,
    read: u64,
    written: u64,
    twice: usize,
}

pub(crate) async fn run() -> Section {
    machine::pin_ourselves("0,1").await;
    let heavy = source::heavy(1500).await;
    let jobs = [
        ("1 min of 1080p", source::full(60).await, None),
        ("2 h of 320x180", source::tiny(7200).await, None),
        ("25 min of 320x180", heavy.clone(), None),
        ("the same, by a worker of 512 MiB", heavy, Some(SMALL)),
    ];
    let mut text = String::from(
        "| source | size, MB | source read, MB | ratio to size | output, MB | total read, MB | ratio to ideal | total written, MB | ratio to ideal | segments written twice |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for (word, clip, memory) in jobs {
        text += &format!("| {word} {}\n", job(&clip, memory).await.row());
    }
    text += "\nThe source cache is 256 MiB, or an eighth of the memory of a smaller worker. The bytes read from the source are reported by the worker \
             (`fluxhls_source_bytes_total`). The totals are the bytes of its connections to the object store, including headers, signatures and \
             live playlists. The ideal is to read the source once and each object of the output once, since every segment is read \
             back before it counts, and to write each object of the output once.\n";
    Section {
        name: "traffic",
        title: "Bytes read and written",
        text,
    }
}

async fn job(clip: &Clip, memory: Option<u64>) -> Traffic {
    let world = World::new(Engine::Sqlite).await;
    let wire = Wire::to(world.proxy.address()).await;
    let endpoint = format!("http://{}", wire.address());
    let mut worker = world.worker("traffic").setting("S3_ENDPOINT", endpoint);
    if let Some(memory) = memory {
        worker = worker.setting("MEMORY_MAX", memory);
    }
    let worker = ready(worker).await;
    let job = world.submit(clip).await;
    fact(&world, &job, FactKind::Ended).await;
    world.completed(&job).await;
    let (read, written) = (wire.answered(), wire.asked());
    let metrics = Metrics::of(&worker).await;
    stop(worker).await;
    Traffic {
        source: clip.size(),
        of_source: metrics.sum("fluxhls_source_bytes_total") as u64,
        output: world.bytes("hls/").await,
        read,
        written,
        twice: world
            .proxy
            .segment_writes()
            .values()
            .filter(|times| **times > 1)
            .count(),
    }
}

impl Traffic {
    /// The columns behind the first one.
    fn row(&self) -> String {
        let mb = |bytes: u64| bytes as f64 / 1e6;
        let ratio = |bytes: u64, ideal: u64| bytes as f64 / ideal as f64;
        format!(
            "| {:.1} | {:.1} | **{:.2} x** | {:.1} | {:.1} | **{:.2} x** | {:.1} | **{:.2} x** | {} |",
            mb(self.source),
            mb(self.of_source),
            ratio(self.of_source, self.source),
            mb(self.output),
            mb(self.read),
            ratio(self.read, self.source + self.output),
            mb(self.written),
            ratio(self.written, self.output),
            self.twice,
        )
    }
}
