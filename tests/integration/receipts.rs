//! The purpose of the receipt: whatever of a finished output is lost or changed is named, and made
//! again under new keys.

use std::collections::{BTreeMap, BTreeSet};

use fluxhls::job::receipt::Receipt;
use serde_json::Value;
use storage::{Digest, JobKeys, ObjectKind, base36};
use streams::fact::{Ended, Planned};
use streams::task::TaskName;
use streams::{JobId, topology};

use crate::harness::clip::{Clip, moving};
use crate::harness::database::Engine;
use crate::harness::output::{Published, verify};
use crate::harness::world::{World, file_of, job_of};

/// A finished job, and the words to damage it.
struct Output<'a> {
    world: &'a World,
    file: String,
    job: JobId,
    ended: Ended,
    planned: Planned,
    clip: Clip,
}

/// What `fluxhls verify --json` said.
struct Verified {
    code: Option<i32>,
    lines: Vec<Value>,
    err: String,
}

impl Verified {
    /// The keys of what is damaged, before any repair.
    fn damaged(&self) -> BTreeSet<String> {
        let before = self
            .lines
            .iter()
            .take_while(|line| line.get("state").is_none());
        before
            .map(|line| line["key"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The last line.
    fn summary(&self) -> &Value {
        self.lines
            .last()
            .unwrap_or_else(|| panic!("it said nothing: {}", self.err))
    }
}

/// How an object is damaged.
#[derive(Debug, Clone, Copy)]
enum Tampering {
    Deleted,
    Flipped,
}

impl<'a> Output<'a> {
    /// Two rungs and audio, in two chunks.
    async fn make(world: &'a World) -> Self {
        let clip = moving("854x480", 26.0).rate("12").make().await;
        let event = world.event(&clip).await;
        let mut worker = world.worker("one").start();
        world.streams.upload(&event).await;
        let (file, job) = (file_of(&event).to_owned(), job_of(&event));
        let ended = world.completed(&job).await;
        worker.kill().await;
        Self {
            world,
            file,
            planned: world.planned(&job).await,
            job,
            ended,
            clip,
        }
    }

    fn keys(&self) -> JobKeys {
        JobKeys::new(&format!("hls/{}/", self.file), self.job.as_str())
    }

    async fn receipt(&self, key: &str) -> Receipt {
        let bytes = self.world.bucket.get(key, u64::MAX).await.unwrap();
        Receipt::decode(&bytes.unwrap_or_else(|| panic!("{key} is missing"))).unwrap()
    }

    /// `fluxhls verify` of the file.
    async fn verify(&self, more: &[&str]) -> Verified {
        let work = self.world.folder().join("work-verify");
        let base = [
            "verify",
            &self.file,
            "--json",
            "--work-dir",
            work.to_str().unwrap(),
        ];
        let said = self.world.say(&[&base, more].concat()).await;
        Verified {
            code: said.code,
            lines: said
                .out
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
            err: said.err,
        }
    }

    async fn is_sound(&self) {
        let said = self.verify(&[]).await;
        assert_eq!(
            (said.code, said.damaged()),
            (Some(0), BTreeSet::new()),
            "{}",
            said.err
        );
    }

    /// Repairs, and panics unless the output is intact afterwards.
    async fn repair(&self) -> Verified {
        let said = self.verify(&["--repair"]).await;
        assert_eq!(said.code, Some(0), "{:?} {}", said.lines, said.err);
        self.is_sound().await;
        said
    }

    /// Damages an object; returns what it was.
    async fn strike(&self, key: &str, tampering: Tampering) -> bytes::Bytes {
        let bytes = self.world.bucket.get(key, u64::MAX).await.unwrap().unwrap();
        match tampering {
            Tampering::Deleted => self.world.bucket.delete(&[key.to_owned()]).await.unwrap(),
            Tampering::Flipped => {
                let mut other = bytes.to_vec();
                let middle = other.len() / 2;
                other[middle] ^= 1;
                self.put(key, other.into()).await;
            }
        }
        bytes
    }

    async fn put(&self, key: &str, bytes: bytes::Bytes) {
        let kind = match key.rsplit('.').next().unwrap() {
            "m3u8" if key == self.keys().master() => ObjectKind::Master,
            "m3u8" => ObjectKind::Playlist,
            "jpg" => ObjectKind::Jpeg,
            "vtt" => ObjectKind::Vtt,
            _ if key.contains("/audio") => ObjectKind::Audio,
            _ => ObjectKind::Video,
        };
        self.world.bucket.put(key, bytes, kind).await.unwrap();
    }

    /// Size and hash of everything there is.
    async fn everything(&self) -> BTreeMap<String, Digest> {
        let mut all = BTreeMap::new();
        for meta in self
            .world
            .bucket
            .list(&format!("hls/{}/", self.file))
            .await
            .unwrap()
        {
            let digest = self.world.bucket.digest(&meta.key).await.unwrap().unwrap();
            all.insert(meta.key, digest);
        }
        all
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_object_that_is_lost_or_changed_is_named_alone() {
    let world = World::new(Engine::Sqlite).await;
    let output = Output::make(&world).await;
    let receipt = output.receipt(&output.keys().receipt()).await;
    tells_everything(&output, &receipt).await;
    output.is_sound().await;
    let mut keys: Vec<String> = receipt
        .objects
        .iter()
        .map(|object| object.key.clone())
        .collect();
    keys.push(output.keys().master());
    assert!(keys.len() > 20, "{keys:?}");
    for key in &keys {
        for (tampering, harm) in [
            (Tampering::Deleted, "missing"),
            (Tampering::Flipped, "content"),
        ] {
            let was = output.strike(key, tampering).await;
            let said = output.verify(&[]).await;
            assert_eq!(
                said.damaged(),
                BTreeSet::from([key.clone()]),
                "{key} {tampering:?}"
            );
            assert_eq!(
                (said.code, said.lines[0]["harm"].as_str()),
                (Some(4), Some(harm))
            );
            output.put(key, was).await;
        }
    }
    // Without a log, master and the receipts in the bucket are sufficient; without master, the
    // receipts are.
    let far = ["--nats-url", "nats://127.0.0.1:9"];
    let sound = output.verify(&far).await;
    assert_eq!(
        (sound.code, sound.lines.len()),
        (Some(0), 1),
        "{}",
        sound.err
    );
    output
        .strike(&output.keys().master(), Tampering::Deleted)
        .await;
    assert_eq!(
        output.verify(&far).await.damaged(),
        BTreeSet::from([output.keys().master()])
    );
}

/// Every object under the prefix is named, every check has figures, and the plan and the results
/// are those of the log.
async fn tells_everything(output: &Output<'_>, receipt: &Receipt) {
    assert_eq!(receipt.planned, output.planned);
    let named: BTreeSet<&str> = receipt
        .objects
        .iter()
        .map(|object| object.key.as_str())
        .collect();
    let apart = [output.keys().master(), output.keys().receipt()];
    for (key, digest) in output.everything().await {
        // One init segment serves a whole rendition, and one poster the whole job; tiles are
        // working material; live playlists were for the time before.
        let spare = ["/init-", "/poster-", "/parts/", "/live.m3u8"];
        if spare.iter().any(|part| key.contains(part)) && !named.contains(key.as_str()) {
            continue;
        }
        assert!(
            named.contains(key.as_str()) || apart.contains(&key),
            "{key} is not named"
        );
        let object = receipt.objects.iter().find(|object| object.key == key);
        assert!(
            object.is_none_or(|object| (object.size, &object.sha256) == (digest.size, &digest.sha256)),
            "{key}"
        );
    }
    let figure = |name: &str, word: &str| {
        let check = receipt.checks.iter().find(|check| check.name == name);
        check.unwrap_or_else(|| panic!("no check {name}")).figures[word]
    };
    assert_eq!(figure("grid_480p", "frames"), 312.0);
    assert!(
        figure("content_480p", "pictures") >= 8.0 && figure("content_360p", "ssim_median") > 0.9
    );
    assert!((figure("content_480p", "luma") - figure("content_480p", "source_luma")).abs() < 1.0);
    assert!(
        (figure("content_audio-0", "rms_db") - figure("content_audio-0", "source_rms_db")).abs()
            < 1.0
    );
    assert!((figure("length_480p", "difference_seconds")).abs() < 0.1);
    assert!(
        figure("audio_video", "difference_seconds").abs() < 0.1
            && figure("bandwidth_360p", "bandwidth") > 0.0
    );
    let results: BTreeSet<TaskName> = receipt.made.iter().map(|made| made.task).collect();
    let planned: BTreeSet<TaskName> = output
        .planned
        .tasks
        .iter()
        .map(|planned| planned.task)
        .collect();
    assert!(
        results == planned && results.contains(&TaskName::video(1)),
        "{results:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_class_of_object_is_mended_beside_and_nothing_else_is_touched() {
    let world = World::new(Engine::Sqlite).await;
    let output = Output::make(&world).await;
    // What is damaged, and what must be new besides the playlists that name it, the commit and the
    // receipt.
    let rounds = [
        (
            "480p/1-",
            Tampering::Deleted,
            &["480p/1-", "480p/index-"][..],
        ),
        (
            "360p/4-",
            Tampering::Flipped,
            &["360p/4-", "360p/index-", "iframe-360p-"],
        ),
        (
            "480p/init-",
            Tampering::Flipped,
            &["480p/init-", "480p/index-"],
        ),
        (
            "audio-0/2-",
            Tampering::Flipped,
            &["audio-0/2-", "audio-0/index-"],
        ),
        (
            "audio-0/init-",
            Tampering::Deleted,
            &["audio-0/init-", "audio-0/index-"],
        ),
        ("poster-", Tampering::Deleted, &["poster-"]),
        ("360p/index", Tampering::Flipped, &["360p/index-"]),
        ("iframe-360p", Tampering::Deleted, &["iframe-360p-"]),
        (
            "storyboard-0-",
            Tampering::Flipped,
            &["storyboard-0-#-", "storyboard-#-"],
        ),
        ("commit", Tampering::Deleted, &[]),
    ];
    let mut receipt = output.keys().receipt();
    for (target, tampering, new) in rounds {
        let objects = output.receipt(&receipt).await.objects;
        let folder = output.keys().folder().to_owned();
        let victims = objects
            .iter()
            .filter(|object| object.key.starts_with(&format!("{folder}{target}")));
        let key = victims
            .map(|object| object.key.clone())
            .next()
            .unwrap_or_else(|| panic!("nothing is {target}"));
        output.strike(&key, tampering).await;
        let before = output.everything().await;
        let said = output.repair().await;
        assert_eq!(said.damaged(), BTreeSet::from([key.clone()]));
        let revision = base36(said.summary()["revision"].as_u64().unwrap());
        let wanted = new.iter().chain(&["commit-", "receipt-"]);
        let wanted: BTreeSet<String> = wanted
            .map(|stem| format!("{folder}{stem}{revision}"))
            .collect();
        let after = output.everything().await;
        let fresh = after.keys().filter(|key| !before.contains_key(*key));
        let fresh: BTreeSet<String> = fresh
            .map(|key| without_hash(key.rsplit_once('.').unwrap().0))
            .collect();
        assert_eq!(fresh, wanted, "after {target}");
        for (old, digest) in before
            .iter()
            .filter(|(old, _)| **old != output.keys().master())
        {
            assert_eq!(
                after.get(old),
                Some(digest),
                "{old} was touched when {key} was repaired"
            );
        }
        receipt = format!("{folder}receipt-{revision}.json");
    }
    verify(&output.ended, &output.planned, &output.clip.path).await;
    master_and_the_receipt_itself_are_written_again(&output, &receipt).await;
    Published::load(output.ended.manifest_url.as_deref().unwrap()).await;
}

/// The name of an object without its extension, and without the hash that names of storyboards
/// hold.
fn without_hash(stem: &str) -> String {
    let parts = stem.split('-').map(|part| {
        let is_hash = part.len() == 12 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hash { "#" } else { part }
    });
    parts.collect::<Vec<_>>().join("-")
}

async fn master_and_the_receipt_itself_are_written_again(output: &Output<'_>, receipt: &str) {
    let before = output.everything().await;
    for tampering in [Tampering::Deleted, Tampering::Flipped] {
        output.strike(&output.keys().master(), tampering).await;
        output.repair().await;
        assert_eq!(output.everything().await, before, "{tampering:?}");
    }
    output.strike(receipt, Tampering::Flipped).await;
    let said = output.verify(&[]).await;
    assert!(
        said.damaged().contains(receipt) && said.code == Some(4),
        "{:?}",
        said.lines
    );
    output.repair().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_source_what_needs_none_is_mended_and_the_rest_is_told() {
    let world = World::new(Engine::Sqlite).await;
    let output = Output::make(&world).await;
    let source = output.planned.source.key.clone();
    let receipt = output.receipt(&output.keys().receipt()).await;
    let segment = &receipt
        .objects
        .iter()
        .find(|object| object.key.contains("/480p/1-"))
        .unwrap()
        .key;
    output.strike(segment, Tampering::Deleted).await;
    output
        .strike(&output.keys().media_playlist("360p"), Tampering::Flipped)
        .await;
    let original = output.strike(&source, Tampering::Flipped).await;

    let alone = |said: &Verified, code: &str| {
        assert_eq!(
            (said.code, said.summary()["error"]["code"].as_str()),
            (Some(4), Some(code)),
            "{:?} {}",
            said.lines,
            said.err
        );
    };
    alone(&output.verify(&["--repair"]).await, "source_changed");
    assert_eq!(
        output.verify(&[]).await.damaged(),
        BTreeSet::from([segment.clone()])
    );

    world
        .bucket
        .delete(std::slice::from_ref(&source))
        .await
        .unwrap();
    let said = output.verify(&["--repair"]).await;
    assert!(
        said.code == Some(1) && said.err.contains("source_not_found"),
        "{}",
        said.err
    );

    world
        .bucket
        .put(&source, original, ObjectKind::private("video/mp4"))
        .await
        .unwrap();
    output.repair().await;
    verify(&output.ended, &output.planned, &output.clip.path).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_repairs_at_a_time_do_no_harm_and_the_receipt_outlives_the_log() {
    let world = World::new(Engine::Sqlite).await;
    let output = Output::make(&world).await;
    let receipt = output.receipt(&output.keys().receipt()).await;
    let segment = |part: &str| {
        receipt
            .objects
            .iter()
            .find(|object| object.key.contains(part))
            .unwrap()
            .key
            .clone()
    };
    output
        .strike(&segment("/480p/4-"), Tampering::Flipped)
        .await;
    let (one, two) = tokio::join!(output.verify(&["--repair"]), output.verify(&["--repair"]));
    let codes = BTreeSet::from([one.code, two.code]);
    assert!(
        codes.contains(&Some(0)) && codes.is_subset(&BTreeSet::from([Some(0), Some(1)])),
        "{} {}",
        one.err,
        two.err
    );
    output.is_sound().await;

    // The log is lost with everything in it; the numbers of the new one continue after those of the
    // old one.
    for stream in [topology::JOBS, topology::WORK] {
        world.streams.js.delete_stream(stream).await.unwrap();
    }
    assert_eq!(world.say(&["provision"]).await.code, Some(0));
    output.is_sound().await;
    let before = output.everything().await;
    output
        .strike(&segment("/audio-0/1-"), Tampering::Deleted)
        .await;
    output.repair().await;
    let after = output.everything().await;
    let untouched = before
        .iter()
        .filter(|(key, _)| **key != output.keys().master() && !key.contains("/audio-0/1-"));
    for (key, digest) in untouched {
        assert_eq!(after.get(key), Some(digest), "{key}");
    }
    verify(&output.ended, &output.planned, &output.clip.path).await;
}
