//! A viewer need not wait for the end: live playlists follow what is encoded, and are sealed
//! with it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use streams::fact::{FactKind, Outcome};
use streams::task::Duty;
use streams::{JobId, topology};
use url::Url;

use crate::harness::clip::{Clip, moving};
use crate::harness::database::Engine;
use crate::harness::encoder::paced_ffmpeg;
use crate::harness::output::http::get;
use crate::harness::output::verify;
use crate::harness::players::{follow, parses_strictly};
use crate::harness::until;
use crate::harness::world::{World, job_of};

/// The last line of a playlist that does not grow any more.
const END: &str = "#EXT-X-ENDLIST\n";

/// A clip whose chunks take some seconds each, so that there is something to see grow.
async fn clip() -> Clip {
    moving("1280x720", 60.0).make().await
}

/// Waits until the job plays; the address of its live multivariant playlist.
async fn playable(world: &World, job: &JobId) -> Url {
    let told = world.streams.fact(job, FactKind::Playable).await.json();
    told["manifest_url"].as_str().unwrap().parse().unwrap()
}

/// The text of a live playlist, which no one may keep.
async fn text(url: &Url) -> String {
    let answer = get(url).await;
    assert_eq!(
        (
            answer.status,
            answer.content_type.as_str(),
            answer.cache_control.as_str()
        ),
        (200, "application/vnd.apple.mpegurl", "no-store"),
        "{url}"
    );
    String::from_utf8(answer.body).unwrap()
}

/// The media playlists a multivariant playlist names.
fn named(text: &str) -> BTreeSet<String> {
    let plain = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned);
    let quoted = text
        .lines()
        .filter_map(|line| line.split("URI=\"").nth(1)?.split('"').next());
    plain.chain(quoted.map(str::to_owned)).collect()
}

/// What a viewer of all renditions has read so far.
#[derive(Default)]
struct Viewer {
    playlists: BTreeMap<String, String>,
    objects: BTreeSet<String>,
}

impl Viewer {
    /// Reads everything again. What was listed must still be listed, and what is listed must exist.
    async fn looks(&mut self, manifest: &Url) {
        let multivariant = text(manifest).await;
        let names = named(&multivariant);
        assert!(
            self.playlists.keys().all(|name| names.contains(name)),
            "{multivariant}"
        );
        for name in names {
            let url = manifest.join(&name).unwrap();
            let now = text(&url).await;
            let before = self
                .playlists
                .insert(name.clone(), now.clone())
                .unwrap_or_default();
            assert!(
                now.starts_with(before.trim_end_matches(END)),
                "{name} was\n{before}\nand is\n{now}"
            );
            assert!(
                !before.ends_with(END) || now == before,
                "{name} was sealed, and is\n{now}"
            );
            for object in named(&now) {
                let address = url.join(&object).unwrap();
                if self.objects.insert(address.to_string()) {
                    assert_eq!(get(&address).await.status, 200, "{address}");
                }
            }
        }
    }

    fn sees_the_end(&self) -> bool {
        self.playlists.values().all(|text| text.ends_with(END))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn playlists_only_grow_name_only_what_is_there_and_are_sealed_before_the_job_ends() {
    let world = World::new(Engine::Sqlite).await;
    let clip = clip().await;
    let _worker = world.worker("one").start();
    let event = world.event(&clip).await;
    let job = job_of(&event);
    world.streams.upload(&event).await;
    let manifest = playable(&world, &job).await;
    until("the row names the live playlist", async || {
        let row = world.database.job(job.as_str()).await.unwrap();
        row.manifest_url.as_deref() == Some(manifest.as_str())
    })
    .await;

    let mut viewer = Viewer::default();
    viewer.looks(&manifest).await;
    let planned = world.planned(&job).await;
    let lowest = format!("{}/live.m3u8", planned.videos().last().unwrap().name);
    assert!(
        viewer.playlists.contains_key(&lowest),
        "{:?}",
        viewer.playlists.keys()
    );
    assert!(!viewer.sees_the_end());
    let mut changes = BTreeSet::new();
    until("the end is published", async || {
        viewer.looks(&manifest).await;
        changes.insert(viewer.playlists[&lowest].clone());
        viewer.sees_the_end()
    })
    .await;
    assert!(changes.len() > 2, "it grew in {} steps", changes.len());

    let ended = world.completed(&job).await;
    verify(&ended, &planned, &clip.path).await;
    viewer.looks(&manifest).await;
    assert_eq!(viewer.playlists.len(), planned.renditions.len());
    for rendition in &planned.renditions {
        let last = &viewer.playlists[&format!("{}/live.m3u8", rendition.name())];
        let whole = text_of(
            &manifest
                .join(&format!("{}/index.m3u8", rendition.name()))
                .unwrap(),
        )
        .await;
        assert_eq!(
            segments(last),
            segments(&whole),
            "nothing failed, so both name the same"
        );
    }
    parses_strictly(manifest.as_str()).await;
    let row = world.database.job(job.as_str()).await.unwrap();
    assert_eq!(row.manifest_url, ended.manifest_url);
    // No task was started for playlists, and none is left.
    let starts = world.starts(&job).await;
    assert!(starts.values().all(|count| *count == 1), "{starts:?}");
    world.queue_is_empty().await;
}

/// With memory for one rung at a time each pass over a chunk makes another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rung_is_listed_while_those_of_later_passes_are_made() {
    let world = World::new(Engine::Sqlite).await;
    // Its audio would wait for the memory that the video uses.
    let clip = moving("1920x1080", 8.0).silent().make().await;
    let _worker = world
        .worker("small")
        .setting("MEMORY_MAX", 512 << 20)
        .start();
    let job = world.submit(&clip).await;
    let manifest = playable(&world, &job).await;
    let planned = world.planned(&job).await;
    let rungs: Vec<_> = planned.videos().collect();
    let second = rungs[rungs.len() - 2];
    let listed = format!("{}/live.m3u8", second.name);
    until("the second rung is listed", async || {
        named(&text(&manifest).await).contains(&listed)
    })
    .await;
    let done = world.results(&job).await;
    assert!(
        done.iter().all(|done| done.task.duty != Duty::Video(0)),
        "it was listed with the result of its task"
    );
    let mut viewer = Viewer::default();
    until("the end is published", async || {
        viewer.looks(&manifest).await;
        viewer.sees_the_end()
    })
    .await;
    let ended = world.completed(&job).await;
    verify(&ended, &planned, &clip.path).await;
}

async fn text_of(url: &Url) -> String {
    String::from_utf8(get(url).await.body).unwrap()
}

fn segments(playlist: &str) -> Vec<&str> {
    playlist
        .lines()
        .filter(|line| line.starts_with("#EXTINF") || line.ends_with(".m4s"))
        .collect()
}

/// Encodes at about `rate` times the speed of playing, its first chunk twice: the lowest rung for
/// itself, and then the others.
async fn every_player_follows(rate: f64) {
    let mut world = World::new(Engine::Sqlite).await;
    world.alone().await;
    let clip = moving("640x360", 40.0).make().await;
    let ffmpeg = paced_ffmpeg(world.folder(), rate);
    let worker = world.worker("one").setting("FFMPEG", ffmpeg.display());
    let _worker = worker.setting("ENCODE_SLOTS", 1).start();
    let at_once = followed(&world, &clip, None).await;
    // All at once may be too much for the machine: what is wrong with the output is wrong when a
    // player is alone, too.
    for (player, seen) in at_once {
        let alone = followed(&world, &clip, Some(&player)).await;
        assert!(
            alone.is_empty(),
            "{player}: {alone:?}, and with the others {seen:?}"
        );
    }
}

/// Encodes the clip once, and has players follow; those that did not, with what was seen.
async fn followed(
    world: &World,
    clip: &Clip,
    players: Option<&str>,
) -> BTreeMap<String, Vec<Value>> {
    let job = world.submit(clip).await;
    let manifest = playable(world, &job).await;
    let wrong = follow(manifest.as_str(), players).await;
    world.completed(&job).await;
    wrong
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_player_follows_what_grows_about_as_fast_as_it_plays_to_its_end() {
    every_player_follows(1.2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_player_follows_what_grows_half_as_fast_again_to_its_end() {
    every_player_follows(1.8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_wakes_late_neither_shrinks_nor_unseals_a_playlist() {
    let world = World::new(Engine::Sqlite).await;
    world
        .redeliver_after(topology::HEARTBEAT + Duration::from_secs(3))
        .await;
    let clip = clip().await;
    let others = world
        .worker("others")
        .roles("intake,plan,encode,project")
        .start();
    // It has read what is there, which is nothing, and is about to write its first playlist.
    let zombie = world
        .worker("zombie")
        .roles("package")
        .pauses_at("playlist.read")
        .start();
    let event = world.event(&clip).await;
    let job = job_of(&event);
    world.streams.upload(&event).await;
    zombie.has_stopped().await;
    until("what plays first is encoded", async || {
        let done = world.results(&job).await;
        let is_done = |duty: Duty| done.iter().any(|done| done.task.duty == duty);
        is_done(Duty::Video(0)) && is_done(Duty::Tracks)
    })
    .await;
    // So the job cannot end before the successor is given the playlist.
    others.signal(Signal::SIGSTOP);
    let _successor = world.worker("successor").roles("package").start();
    let manifest = playable(&world, &job).await;
    others.signal(Signal::SIGCONT);
    let ended = world.completed(&job).await;
    let mut viewer = Viewer::default();
    viewer.looks(&manifest).await;
    assert!(viewer.sees_the_end());

    zombie.signal(Signal::SIGCONT);
    zombie.signal(Signal::SIGTERM);
    let mut zombie = zombie;
    let status = zombie.ended_within(Duration::from_secs(60)).await;
    assert_eq!(status.code(), Some(0), "{status}");
    viewer.looks(&manifest).await;
    verify(&ended, &world.planned(&job).await, &clip.path).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn playlists_of_a_canceled_job_are_sealed_as_they_are() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").start();
    let job = world.submit(&clip().await).await;
    let manifest = playable(&world, &job).await;
    let said = world.say(&["jobs", "cancel", job.as_str()]).await;
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    let ended = world.ended(&job).await;
    assert_eq!(
        (ended.outcome, ended.manifest_url),
        (Outcome::Canceled, None)
    );
    let mut viewer = Viewer::default();
    until("the playlists are sealed", async || {
        viewer.looks(&manifest).await;
        viewer.sees_the_end()
    })
    .await;
    let row = world.database.job(job.as_str()).await.unwrap();
    assert_eq!(
        (row.status.as_deref(), row.manifest_url),
        (Some("canceled"), None)
    );
    world.queue_is_empty().await;
}
