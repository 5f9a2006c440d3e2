//! Memory of a worker over a thousand small jobs.

use std::ops::Range;

use futures::{StreamExt as _, future, stream};
use streams::FactKind;

use crate::harness::clip::{Clip, make_from};
use crate::harness::database::Engine;
use crate::harness::world::World;
use crate::machine::{self, Resident};
use crate::metrics::Metrics;
use crate::page::Section;
use crate::timing::{fact, ready, stop};
use crate::{setting, source};

/// Jobs, unless `JOBS` says otherwise.
const JOBS: usize = 1000;
/// Jobs that run at a time.
const AT_ONCE: usize = 4;
/// Jobs between two rows of the table.
const STEP: usize = 50;
/// Jobs over which a mean is taken: after the first hundred, which fill the cache, and the last.
const SPAN: usize = 100;
/// Megabits a second and container of the sources, four seconds of 320x180 each. They differ, so
/// that the next block seldom fits where one was freed. A transport stream is copied first, in
/// parts of 8 MiB: the largest blocks of memory that a worker takes.
const SOURCES: [(u32, &str); 6] = [
    (1, "mp4"),
    (3, "mp4"),
    (5, "mp4"),
    (7, "mp4"),
    (9, "mp4"),
    (26, "ts"),
];

const MB: f64 = 1e6;

/// What the worker held when a job had ended, in bytes.
#[derive(Debug, Clone, Copy)]
struct Sample {
    resident: Resident,
    cache: u64,
}

pub(crate) async fn run() -> Section {
    machine::pin_ourselves("0,1").await;
    let jobs = setting("JOBS").map_or(JOBS, |jobs| jobs.parse().unwrap());
    let samples = samples(jobs).await;

    let mut text = format!(
        "{jobs} jobs of four seconds of 320x180, {AT_ONCE} at a time, by one worker with all roles:\n\n\
         | jobs | resident, MB | anonymous, MB | source cache, MB | anonymous without the cache, MB |\n\
         |---:|---:|---:|---:|---:|\n"
    );
    for (before, sample) in samples.iter().enumerate().skip(STEP - 1).step_by(STEP) {
        text += &format!("| {} {}\n", before + 1, sample.row());
    }

    let (early, late) = (SPAN..2 * SPAN, jobs.saturating_sub(SPAN)..jobs);
    let ratio = |of: fn(&Sample) -> u64| {
        mean(&samples, late.clone(), of) / mean(&samples, early.clone(), of)
    };
    text += &format!(
        "\nRatio of the mean over the last {SPAN} jobs to the mean over jobs {} to {}: resident **{:.2}**, anonymous without the cache **{:.2}**.\n",
        early.start,
        early.end,
        ratio(|sample| sample.resident.all),
        ratio(Sample::own)
    );
    text += "\nThe figures are those of the worker process, without ffmpeg. Every job has a different source of 0.6 to 13 MB, so the cache (256 MiB, or an \
             eighth of `MEMORY_MAX`) is full after a hundred jobs, and each later block replaces another one. NATS and \
             the object store are other processes.\n";
    Section {
        name: "soak",
        title: "Memory over many jobs",
        text,
    }
}

/// What the worker held at the end of each job.
async fn samples(jobs: usize) -> Vec<Sample> {
    let world = World::new(Engine::Sqlite).await;
    let ladder = source::without_samples(&world);
    let worker = ready(
        world
            .worker("soak")
            .setting("LADDER_FILE", ladder.display()),
    )
    .await;
    let metrics = Metrics::url(&worker).await;
    let clips = future::join_all(SOURCES.map(noise)).await;

    let mut samples = Vec::with_capacity(jobs);
    let mut ended = stream::iter(0..jobs)
        .map(|n| job(&world, &clips[n % clips.len()]))
        .buffer_unordered(AT_ONCE);
    while ended.next().await.is_some() {
        let sample = Sample {
            resident: machine::resident(worker.id()),
            cache: Metrics::at(&metrics)
                .await
                .sum("fluxhls_source_cache_bytes") as u64,
        };
        samples.push(sample);
        if samples.len().is_multiple_of(STEP) {
            eprintln!("soak: {} {}", samples.len(), sample.row());
        }
    }
    drop(ended);

    stop(worker).await;
    samples
}

/// A source of noise, which does not compress.
async fn noise((megabits, container): (u32, &str)) -> Clip {
    let arguments = format!(
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=4,noise=alls=60:allf=t \
         -f lavfi -i anoisesrc=color=pink:seed=7:amplitude=0.4:sample_rate=48000:duration=4 \
         -c:v libx264 -preset ultrafast -b:v {megabits}M -pix_fmt yuv420p -g 25 \
         -c:a aac -b:a 128k"
    );
    make_from(&arguments, container).await
}

/// Runs one job to its end.
async fn job(world: &World, clip: &Clip) {
    let job = world.submit(clip).await;
    fact(world, &job, FactKind::Ended).await;
    world.completed(&job).await;
}

fn mean(samples: &[Sample], span: Range<usize>, of: fn(&Sample) -> u64) -> f64 {
    let span = samples.get(span).unwrap_or_default();
    span.iter().map(|sample| of(sample) as f64).sum::<f64>() / span.len() as f64
}

impl Sample {
    /// Anonymous memory without the blocks of the cache.
    const fn own(&self) -> u64 {
        self.resident.anonymous.saturating_sub(self.cache)
    }

    /// The columns behind the first one.
    fn row(&self) -> String {
        let Resident { all, anonymous } = self.resident;
        let columns = [all, anonymous, self.cache, self.own()];
        let columns = columns.map(|bytes| format!("{:.0}", bytes as f64 / MB));
        format!("| {} |", columns.join(" | "))
    }
}
