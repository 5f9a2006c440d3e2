//! A whole job compared with the bare ffmpeg command: the same ladder from the same source with the
//! same encoder settings on the same core, in turns. Also the bytes read from and written to the
//! storage.

use std::path::Path;

use streams::FactKind;

use crate::bare::{self, Taken};
use crate::harness::database::Engine;
use crate::harness::process::Process;
use crate::harness::world::World;
use crate::machine;
use crate::metrics::Metrics;
use crate::page::Section;
use crate::source;
use crate::timing::{fact, median, ready, seconds, stop, uploaded};

/// Pairs of runs.
const PAIRS: usize = 2;

/// The core of what is measured, and that of the servers.
const CORES: (&str, &str) = ("0", "1");

/// One run of a job.
struct Run {
    taken: Taken,
    playable: f64,
    read: f64,
    written: f64,
}

pub(crate) async fn run() -> Section {
    machine::pin_ourselves(CORES.1).await;
    let world = World::new(Engine::Sqlite).await;
    let ladder = source::without_samples(&world);
    let clip = source::full(60).await;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        let worker = worker(&world, &ladder, pair).await;
        let before = machine::processor_seconds(&worker);
        let job = world.submit(&clip).await;
        let ended = fact(&world, &job, FactKind::Ended).await;
        let processor = machine::processor_seconds(&worker) - before;
        let begun = uploaded(&world, &job).await;
        let playable = fact(&world, &job, FactKind::Playable).await;
        let metrics = Metrics::of(&worker).await;
        ours.push(Run {
            taken: Taken {
                wall: seconds(begun, ended),
                processor,
            },
            playable: seconds(begun, playable),
            read: metrics.sum("fluxhls_source_bytes_total"),
            written: metrics.sum("fluxhls_output_bytes_total"),
        });
        stop(worker).await;
        theirs.push(bare::run(&world.planned(&job).await, &clip.path, CORES.0).await);
        let (run, bare) = (&ours[pair], theirs[pair]);
        eprintln!(
            "whole: wall {:.1} s to {:.1} s, processor {:.1} s to {:.1} s, playable {:.1} s, read {:.0}, written {:.0}",
            run.taken.wall,
            bare.wall,
            run.taken.processor,
            bare.processor,
            run.playable,
            run.read,
            run.written
        );
    }
    let wall = median(
        ours.iter()
            .zip(&theirs)
            .map(|(run, bare)| run.taken.wall / bare.wall),
    );
    let processor = median(
        ours.iter()
            .zip(&theirs)
            .map(|(run, bare)| run.taken.processor / bare.processor),
    );
    let text = format!(
        "| | fluxhls | bare ffmpeg | ratio |\n|---|---:|---:|---:|\n\
         | wall, s | {:.1} | {:.1} | **{wall:.2}** |\n\
         | processor, s | {:.1} | {:.1} | **{processor:.2}** |\n\
         | first playable after, s | {:.1} | {:.1} | |\n\
         | source bytes read, relative to its size | {:.2} x | | |\n",
        median(ours.iter().map(|run| run.taken.wall)),
        median(theirs.iter().map(|bare| bare.wall)),
        median(ours.iter().map(|run| run.taken.processor)),
        median(theirs.iter().map(|bare| bare.processor)),
        median(ours.iter().map(|run| run.playable)),
        median(theirs.iter().map(|bare| bare.wall)),
        median(ours.iter().map(|run| run.read)) / clip.size() as f64,
    );
    Section {
        name: "whole",
        title: "A whole job compared with the bare ffmpeg command",
        text,
    }
}

/// A worker on its core that is ready.
async fn worker(world: &World, ladder: &Path, pair: usize) -> Process {
    let name = format!("whole-{pair}");
    let worker = ready(world.worker(&name).setting("LADDER_FILE", ladder.display())).await;
    machine::pin(worker.id(), CORES.0).await;
    worker
}
