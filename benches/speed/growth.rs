//! Memory and disk of a worker by the length of its source, over a whole job.

use streams::FactKind;
use tokio_util::sync::CancellationToken;

use crate::harness::database::Engine;
use crate::harness::worker::work_dir;
use crate::harness::world::World;
use crate::machine::{self, Peak};
use crate::metrics::Metrics;
use crate::page::Section;
use crate::source;
use crate::timing::{fact, ready, stop};

/// Lengths in seconds, with the word for each.
const LENGTHS: [(u32, &str); 3] = [(60, "1 min"), (600, "10 min"), (7200, "2 h")];

const MB: f64 = 1e6;

pub(crate) async fn run() -> Section {
    machine::pin_ourselves("0,1").await;
    let mut text = String::from(
        "| source, 320x180 | all memory, MB | source cache, MB | ffmpeg, MB | fluxhls without the cache, MB | ratio to 1 min | disk, MB |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
    );
    let mut first = None;
    for (length, word) in LENGTHS {
        let peak = peak(length).await;
        let whole = *first.get_or_insert(peak.own as f64);
        eprintln!("growth: {word} {peak:?}");
        text += &format!(
            "| {word} | {:.0} | {:.0} | {:.0} | {:.0} | **{:.2}** | {:.1} |\n",
            peak.memory as f64 / MB,
            peak.cache as f64 / MB,
            peak.children as f64 / MB,
            peak.own as f64 / MB,
            peak.own as f64 / whole,
            peak.disk as f64 / MB
        );
    }
    text += "\nEach figure is the maximum of samples taken every 200 ms from the event to the end of the job; a shared page counts for its share. The \
             cache keeps blocks of the source until it is full (256 MiB, or an eighth of `MEMORY_MAX`). ffmpeg keeps the index of its source while the source is open, about 10 MB for each hour of this one, and \
             sampling opens it four times. The memory of fluxhls grows by a full sheet of the storyboard, which one minute does not fill, and by about \
             10 MB for each hour, mostly while the complete output is checked. The disk holds one piece of audio that is read back.\n";
    Section {
        name: "growth",
        title: "Memory and disk by the length of the source",
        text,
    }
}

async fn peak(length: u32) -> Peak {
    let world = World::new(Engine::Sqlite).await;
    let worker = ready(world.worker("growth")).await;
    let clip = source::tiny(length).await;
    let stop_watching = CancellationToken::new();
    let metrics = Metrics::url(&worker).await;
    let (id, folder, stopped) = (
        worker.id(),
        work_dir(&world, "growth"),
        stop_watching.clone(),
    );
    let watching =
        tokio::spawn(async move { machine::watch(id, &metrics, &folder, stopped).await });
    let job = world.submit(&clip).await;
    fact(&world, &job, FactKind::Ended).await;
    stop_watching.cancel();
    let peak = watching.await.unwrap();
    stop(worker).await;
    peak
}
