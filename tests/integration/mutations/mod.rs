//! Thousands of damaged files, processed like every upload. None causes a panic, each ends in time
//! with one code, and nothing is left running.
//!
//! `make fuzz MUTATIONS=2000` does it long and prints the table of docs/hostile.md; without a
//! number it is a few dozen.

mod mutate;
mod trial;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ffmpeg::Tool;
use futures::StreamExt as _;
use futures::future::join_all;
use mutate::{Dice, mutate};
use streams::Code;
use streams::fact::Outcome as End;
use strum::VariantArray as _;
use trial::{Bench, Outcome};

use crate::harness::clip::{Clip, make_from};
use crate::harness::database::Engine;
use crate::harness::world::World;

/// Files tried at once.
const AT_ONCE: usize = 2;

/// No file takes longer, from its first byte to its code.
const LONGEST: Duration = Duration::from_secs(240);

/// What the files are made of, by container: two seconds of a small picture and a tone, or the tone
/// alone.
const SPECIMENS: [(&str, &str, &str); 12] = [
    (
        "mp4",
        "mp4",
        "-c:v libx264 -preset ultrafast -g 5 -c:a aac -movflags +faststart",
    ),
    (
        "mp4, index last",
        "mp4",
        "-c:v libx264 -preset ultrafast -g 5 -c:a aac",
    ),
    (
        "mp4, fragmented",
        "mp4",
        "-c:v libx264 -preset ultrafast -g 5 -c:a aac -movflags frag_keyframe+empty_moov",
    ),
    ("mov", "mov", "-c:v mjpeg -c:a pcm_s16le"),
    ("mkv", "mkv", "-c:v libx264 -preset ultrafast -g 5 -c:a aac"),
    (
        "webm",
        "webm",
        "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 200k -c:a libopus",
    ),
    ("ts", "ts", "-c:v mpeg2video -c:a mp2"),
    ("flv", "flv", "-c:v flv -c:a libmp3lame -ar 44100"),
    ("avi", "avi", "-c:v mpeg4 -c:a libmp3lame"),
    ("ogg", "ogg", "-vn -c:a libvorbis"),
    ("mp3", "mp3", "-vn -c:a libmp3lame"),
    ("wav", "wav", "-vn -c:a pcm_s16le"),
];

/// A number from the environment, or its default.
#[expect(
    clippy::disallowed_methods,
    reason = "the length of a test's run is its caller's choice"
)]
fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(usual)
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests use the tool of the developer's PATH"
)]
fn tool() -> Tool {
    Tool::locate(None, None, &std::env::var_os("PATH").unwrap_or_default())
        .expect("ffmpeg is installed")
}

async fn specimens() -> Vec<Vec<u8>> {
    let made = SPECIMENS.map(async |(_, extension, arguments)| {
        let source =
            "-f lavfi -i testsrc2=s=128x72:r=10:d=2 -f lavfi -i sine=f=440:r=48000:d=2 -shortest -pix_fmt yuv420p";
        let source = if extension == "mov" {
            source.replace("yuv420p", "yuvj420p")
        } else {
            source.to_owned()
        };
        std::fs::read(make_from(&format!("{source} {arguments}"), extension).await.path).unwrap()
    });
    join_all(made).await
}

/// How many mutants of each container came to each end.
type Table = BTreeMap<(usize, Outcome), u64>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_files_end_in_time_with_one_word_and_leave_nothing_running() {
    let (count, seed) = (setting("MUTATIONS", 60), setting("MUTATION_SEED", 1));
    let world = World::bare(Engine::Sqlite).await;
    let bench = Arc::new(Bench {
        bucket: world.bucket.clone(),
        tool: tool(),
    });
    let specimens = Arc::new(specimens().await);
    for (number, bytes) in specimens.iter().enumerate() {
        let whole = bench
            .try_out(&format!("whole-{number}"), bytes.clone())
            .await;
        assert_eq!(whole, Ok(Outcome::Sound), "{}", SPECIMENS[number].0);
    }
    let tries = futures::stream::iter(0..count).map(|number| {
        let (bench, specimens) = (Arc::clone(&bench), Arc::clone(&specimens));
        async move {
            let specimen = number as usize % specimens.len();
            let mut bytes = specimens[specimen].clone();
            let damage = mutate(&mut bytes, &mut Dice::new(seed, number));
            // A separate task: a panic ends it, and is reported with the number that reproduces it.
            let trial = tokio::spawn(async move {
                let key = format!("mutant-{number}");
                tokio::time::timeout(LONGEST, bench.try_out(&key, bytes)).await
            });
            let outcome = match trial.await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Err(format!("it took longer than {LONGEST:?}")),
                Err(panic) => Err(panic.to_string()),
            };
            let name = SPECIMENS[specimen].0;
            outcome.map(|outcome| (specimen, outcome)).map_err(|fault| {
                format!("mutant {number} of seed {seed} ({name}, {damage:?}): {fault}")
            })
        }
    });
    let ends: Vec<Result<(usize, Outcome), String>> =
        tries.buffer_unordered(AT_ONCE).collect().await;
    let mut table = Table::new();
    let mut faults = Vec::new();
    for end in ends {
        match end {
            Ok(end) => *table.entry(end).or_default() += 1,
            Err(fault) => faults.push(fault),
        }
    }
    println!("{}", text(&table));
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
    let failed = table
        .keys()
        .any(|(_, outcome)| matches!(outcome, Outcome::Coded(_)));
    assert!(
        failed,
        "no mutant was damaged enough to fail:\n{}",
        text(&table)
    );
}

/// The table as Markdown: a line for each container, a column for each end that came up.
fn text(table: &Table) -> String {
    let mut ends: Vec<Outcome> = table.keys().map(|(_, outcome)| *outcome).collect();
    ends.sort_unstable();
    ends.dedup();
    let word = |end: &Outcome| match end {
        Outcome::Sound => "encoded".to_owned(),
        Outcome::Coded(code) => format!("`{code}`"),
    };
    let mut text = format!(
        "| container | mutants | {} |\n",
        ends.iter().map(word).collect::<Vec<_>>().join(" | ")
    );
    text.push_str(&format!("|---|{}\n", "---:|".repeat(ends.len() + 1)));
    let line = |name: &str, counts: Vec<u64>| {
        let cells: Vec<String> = counts.iter().map(u64::to_string).collect();
        format!(
            "| {name} | {} | {} |\n",
            counts.iter().sum::<u64>(),
            cells.join(" | ")
        )
    };
    let count = |of: Option<usize>, end: &Outcome| {
        let fits = table.iter().filter(|((specimen, outcome), _)| {
            outcome == end && of.is_none_or(|of| of == *specimen)
        });
        fits.map(|(_, count)| count).sum()
    };
    for (number, (name, ..)) in SPECIMENS.iter().enumerate() {
        text.push_str(&line(
            name,
            ends.iter().map(|end| count(Some(number), end)).collect(),
        ));
    }
    text.push_str(&line(
        "all",
        ends.iter().map(|end| count(None, end)).collect(),
    ));
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_files_end_their_jobs_once() {
    let world = World::new(Engine::Sqlite).await;
    let worker = world.worker("one").setting("ENCODE_SLOTS", 2).start();
    let specimens = specimens().await;
    let jobs = join_all((0..12_u64).map(|number| {
        let mut bytes = specimens[number as usize % specimens.len()].clone();
        mutate(&mut bytes, &mut Dice::new(3, number));
        let clip = Clip::of_bytes(world.folder(), &format!("mutant-{number}.mp4"), &bytes);
        let world = &world;
        async move { world.submit(&clip).await }
    }))
    .await;
    for job in &jobs {
        let ended = world.ended(job).await;
        assert!(ended.outcome != End::Failed || ended.error.is_some());
        assert!(
            world.facts(job).await.values().all(|count| *count == 1),
            "{job}"
        );
        if let Some(error) = ended.error {
            assert!(Code::VARIANTS.contains(&error.code));
            assert!(!error.message.contains(char::is_control), "{error:?}");
        }
    }
    world.queue_is_empty().await;
    assert!(!worker.said().contains("panicked"), "{}", worker.said());
}
