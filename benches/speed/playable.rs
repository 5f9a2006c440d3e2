//! From the event to something that plays, by the length of the source, on all cores, as shipped: with the sample that fits the ladder to
//! the pictures.

use serde_json::Value;
use streams::{FactKind, JobId};

use crate::harness::database::Engine;
use crate::harness::process::{Process, command, output_of};
use crate::harness::world::{World, job_of};
use crate::page::Section;
use crate::timing::{fact, median, ready, seconds, stop, uploaded};
use crate::{machine, source};

/// Jobs of each length.
const RUNS: usize = 3;

/// Lengths in seconds, with the word for each.
const LENGTHS: [(u32, &str); 3] = [(60, "60 s"), (600, "10 min"), (7200, "2 h")];

pub(crate) async fn run() -> Section {
    machine::pin_ourselves("0,1").await;
    let world = World::new(Engine::Sqlite).await;
    let mut events = Vec::new();
    for (length, _) in LENGTHS {
        events.push(world.event(&source::full(length).await).await);
    }
    // Gigabytes that still wait to be written would stand in the way of everything else.
    output_of(&mut command("sync")).await;
    let ladder = source::without_samples(&world);
    let plain = ready(world.worker("plain").setting("LADDER_FILE", ladder.display())).await;
    let without = medians(&world, &events, "without a sample").await;
    stop(plain).await;
    let worker = ready(world.worker("playable")).await;
    let with = medians(&world, &events, "as shipped").await;
    let whole = whole(&world, &events[0], worker).await;
    let mut text = String::from(
        "| source | plays after, s | ratio to 60 s | without a sample, s | ratio to 60 s | the whole output after, s | sooner |\n|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for (i, (length, word)) in LENGTHS.into_iter().enumerate() {
        // Longer ones were canceled: the rest of them is the same work over and over.
        let (rate, about) = if i == 0 {
            (whole, "")
        } else {
            (whole * f64::from(length) / 60.0, "about ")
        };
        text += &format!(
            "| {word} | {:.1} | **{:.2}** | {:.1} | **{:.2}** | {about}{rate:.0} | {:.0} x |\n",
            with[i],
            with[i] / with[0],
            without[i],
            without[i] / without[0],
            rate / with[i]
        );
    }
    text += "\nThe lowest rung and the sound of 1080p30. Outputs of longer sources were not waited for: theirs is the minute's, times the minutes. \
             The sample is what fits a ladder to the pictures; `per_title = false` in a profile leaves it out.\n";
    Section {
        name: "playable",
        title: "From the event to the first picture",
        text,
    }
}

/// The medians of some runs of each source.
async fn medians(world: &World, events: &[Value], how: &str) -> Vec<f64> {
    let mut found = vec![Vec::new(); events.len()];
    for _ in 0..RUNS {
        for (event, found) in events.iter().zip(&mut found) {
            let job = submit(world, event).await;
            let playable = fact(world, &job, FactKind::Playable).await;
            let after = seconds(uploaded(world, &job).await, playable);
            eprintln!("playable: {} {how} after {after:.2} s", event["name"]);
            found.push(after);
            cancel(world, &job).await;
        }
    }
    found.into_iter().map(median).collect()
}

/// Sends an event again, for a file of its own.
async fn submit(world: &World, event: &Value) -> JobId {
    let mut event = event.clone();
    for id in ["file_id", "job_id"] {
        event[id] = cuid2::create_id().into();
    }
    world.streams.upload(&event).await;
    job_of(&event)
}

async fn cancel(world: &World, job: &JobId) {
    let said = world.say(&["jobs", "cancel", job.as_str()]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    fact(world, job, FactKind::Ended).await;
    world.queue_is_empty().await;
}

/// Seconds from the event to the end.
async fn whole(world: &World, event: &Value, worker: Process) -> f64 {
    let job = submit(world, event).await;
    let ended = fact(world, &job, FactKind::Ended).await;
    stop(worker).await;
    seconds(uploaded(world, &job).await, ended)
}
