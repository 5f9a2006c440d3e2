//! The time from the event to a playable output, by the length of the source, on all cores, as
//! shipped: with the sampling that fits the ladder to the content.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use streams::{FactKind, JobId};
use url::Url;

use crate::harness::database::Engine;
use crate::harness::output::http::get;
use crate::harness::process::{Process, command, output_of};
use crate::harness::world::{World, job_of};
use crate::page::Section;
use crate::timing::{fact, median, ready, seconds, stop, uploaded};
use crate::{machine, source};

/// Jobs of each length.
const RUNS: usize = 3;

/// How often the bucket and the live playlist are polled.
const LOOK: Duration = Duration::from_millis(100);

/// Lengths in seconds, with the word for each.
const LENGTHS: [(u32, &str); 3] = [(60, "60 s"), (600, "10 min"), (7200, "2 h")];

pub(crate) async fn run() -> Section {
    machine::pin_ourselves("0,1").await;
    let world = World::new(Engine::Sqlite).await;
    let mut events = Vec::new();
    for (length, _) in LENGTHS {
        events.push(world.event(&source::full(length).await).await);
    }
    // Gigabytes that are not on the disk yet would slow down everything that follows.
    output_of(&mut command("sync")).await;
    let ladder = source::without_samples(&world);
    let plain = ready(
        world
            .worker("plain")
            .setting("LADDER_FILE", ladder.display()),
    )
    .await;
    let without = medians(&world, &events, "without a sample").await;
    stop(plain).await;
    let worker = ready(world.worker("playable")).await;
    let with = medians(&world, &events, "as shipped").await;
    let (whole, mut delays) = whole(&world, &events[0], worker).await;
    let (usual, longest) = (median(delays.clone()), delays.drain(..).fold(0.0, f64::max));
    let mut text = String::from(
        "| source | first playable after, s | ratio to 60 s | without sampling, s | ratio to 60 s | complete output after, s | sooner by |\n|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for (i, (length, word)) in LENGTHS.into_iter().enumerate() {
        // Longer ones were canceled: the rest of each repeats the same work.
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
    text += "\nPlayable means the lowest rung and the audio of a 1080p30 source. The complete output of the longer sources is estimated: the time for one minute, \
             times the length in minutes. Sampling fits the ladder to the content; `per_title = false` in a profile turns it off.\n";
    text += &format!(
        "\nA segment of the lowest rung is listed in the live playlist {usual:.1} s after it is stored in the bucket (median over the 60 s source), at most \
         {longest:.1} s. A segment lasts 4 s. Both are polled every {} ms.\n",
        LOOK.as_millis()
    );
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

/// Sends an event again, for a new file.
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

/// Seconds from the event to the end, and for each segment of the lowest rung the seconds from the
/// bucket to the live playlist.
async fn whole(world: &World, event: &Value, worker: Process) -> (f64, Vec<f64>) {
    let job = submit(world, event).await;
    let told = world.streams.fact(&job, FactKind::Playable).await.json();
    let manifest = told["manifest_url"].as_str().unwrap().parse().unwrap();
    let delays = listing_delays(world, &manifest).await;
    let ended = fact(world, &job, FactKind::Ended).await;
    stop(worker).await;
    (seconds(uploaded(world, &job).await, ended), delays)
}

/// Watches the bucket and the live playlist of the lowest rung until it is sealed. Returns the
/// seconds from the one to the other, for each segment whose arrival was seen.
async fn listing_delays(world: &World, manifest: &Url) -> Vec<f64> {
    let multivariant = text(manifest).await;
    let lowest = multivariant
        .lines()
        .rfind(|line| !line.starts_with('#'))
        .unwrap();
    let playlist = manifest.join(lowest).unwrap();
    let folder = playlist
        .join(".")
        .unwrap()
        .path()
        .trim_start_matches("/media/")
        .to_owned();
    let (mut stored, mut listed) = (BTreeMap::new(), BTreeMap::new());
    let (mut first, mut sealed) = (true, false);
    while !sealed {
        // In this order, so that nothing is listed before it is stored.
        let names = text(&playlist).await;
        let now = Instant::now();
        for object in world.bucket.list(&folder).await.unwrap() {
            // The time of what is there at the first poll is unknown.
            let since = (!first).then_some(now);
            stored
                .entry(object.key.rsplit('/').next().unwrap().to_owned())
                .or_insert(since);
        }
        for name in names.lines().filter(|line| line.ends_with(".m4s")) {
            listed.entry(name.to_owned()).or_insert(now);
        }
        (first, sealed) = (false, names.contains("#EXT-X-ENDLIST"));
        tokio::time::sleep(LOOK).await;
    }
    let delay = |(name, at): (&String, &Instant)| {
        Some(
            at.saturating_duration_since((*stored.get(name)?)?)
                .as_secs_f64(),
        )
    };
    listed.iter().filter_map(delay).collect()
}

async fn text(url: &Url) -> String {
    String::from_utf8(get(url).await.body).unwrap()
}
