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
        "| source, 320x180 | all memory, MB | cache of the source, MB | ffmpeg, MB | ours but for the cache, MB | to 1 min | disk, MB |\n\
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
    text += "\nThe largest of what was there every fifth of a second, from the event to the end; each shared page for its share. The \
             cache holds the source until it is full (256 MiB, or an eighth of `MEMORY_MAX`). ffmpeg holds the index of its source for as long as it is open, about 10 MB for each hour of this one, and the \
             sample opens it four times. Ours is more by a full sheet of the storyboard, which a minute does not fill, and grows by about \
             10 MB for each hour, most of it while the output is checked as a whole. Disk is one piece of sound that is read back.\n";
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
