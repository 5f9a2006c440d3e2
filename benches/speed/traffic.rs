//! Bytes between a worker and the store, against the ideal: to read the source once, and to write each object of the output once.

use std::collections::BTreeMap;

use streams::FactKind;

use crate::harness::clip::Clip;
use crate::harness::database::Engine;
use crate::harness::wire::Wire;
use crate::harness::world::World;
use crate::machine;
use crate::page::Section;
use crate::source;
use crate::timing::{fact, ready, stop};

const MB: f64 = 1e6;

/// What passed for one job, in bytes.
struct Traffic {
    source: u64,
    read: u64,
    output: u64,
    written: u64,
    twice: usize,
}

pub(crate) async fn run() -> Section {
    machine::pin_ourselves("0,1").await;
    let sources = [
        ("1 min of 1080p, fits the cache", source::full(60).await),
        ("2 h of 320x180, fits the cache", source::tiny(7200).await),
        ("25 min of 320x180, does not fit the cache", source::heavy(1500).await),
    ];
    let mut text = String::from(
        "| source | its MB | read, MB | to the ideal | output, MB | written, MB | to the ideal | segments written twice |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for (word, clip) in sources {
        let passed = job(&clip).await;
        text += &format!(
            "| {word} | {:.1} | {:.1} | **{:.2} x** | {:.1} | {:.1} | **{:.2} x** | {} |\n",
            passed.source as f64 / MB,
            passed.read as f64 / MB,
            passed.read as f64 / passed.source as f64,
            passed.output as f64 / MB,
            passed.written as f64 / MB,
            passed.written as f64 / passed.output as f64,
            passed.twice,
        );
    }
    text += "\nAll bytes of the connections between one worker and the store, heads, signatures and playlists that grow included. The ideal is \
             to read the source once and to write each object of the output once. The cache is 256 MiB, as shipped.\n";
    Section {
        name: "traffic",
        title: "Bytes read and written",
        text,
    }
}

async fn job(clip: &Clip) -> Traffic {
    let world = World::new(Engine::Sqlite).await;
    let wire = Wire::to(world.proxy.address()).await;
    let endpoint = format!("http://{}", wire.address());
    let worker = ready(world.worker("traffic").setting("S3_ENDPOINT", endpoint)).await;
    let job = world.submit(clip).await;
    fact(&world, &job, FactKind::Ended).await;
    world.completed(&job).await;
    let (read, written) = (wire.answered(), wire.asked());
    stop(worker).await;
    Traffic {
        source: clip.size(),
        read,
        output: world.bytes("hls/").await,
        written,
        twice: twice(&world.proxy.writes()),
    }
}

/// How many segments were written more than once. One of another attempt is another object: `<rendition>/<n>-<attempt>.m4s`.
fn twice(writes: &[String]) -> usize {
    let mut segments: BTreeMap<&str, usize> = BTreeMap::new();
    for path in writes.iter().filter(|path| path.ends_with(".m4s")) {
        let (segment, _attempt) = path.rsplit_once('-').unwrap();
        *segments.entry(segment).or_default() += 1;
    }
    segments.values().filter(|times| **times > 1).count()
}
