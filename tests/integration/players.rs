//! Representative outputs in every player, of today and of years ago, and before two strict
//! parsers.

use crate::edges::input::{H264, Input, made, moving, tone};
use crate::edges::mp4::orient;
use crate::harness::database::Engine;
use crate::harness::players::{parses_strictly, watches};
use crate::harness::world::World;

/// An output that viewers watch.
struct Viewing {
    /// What it is, in words.
    name: &'static str,
    /// What it is made of.
    input: Input,
    /// What has to be visible and audible, as arguments of `watch.mjs`.
    expected: &'static [&'static str],
}

fn viewings() -> Vec<Viewing> {
    let viewing = |name, input, expected| Viewing {
        name,
        input,
        expected,
    };
    let film = |size: &str, rate: &str, sounds: &str, behind: &str| {
        made(
            format!(
                "{} {sounds} {H264} -c:a aac {behind}",
                moving(size, rate, 5.0)
            ),
            "mp4",
        )
    };
    let one = tone(440, 5.0);
    let two = format!("{one} {}", tone(660, 5.0));
    let languages =
        "-map 0 -map 1 -map 2 -metadata:s:a:0 language=eng -metadata:s:a:1 language=ger";
    vec![
        viewing(
            "portrait",
            film("640x360", "25", &one, "").changed(|bytes| orient(bytes, [0, 1, -1, 0])),
            &[],
        ),
        viewing("sound alone", made(format!("{one} -c:a aac"), "m4a"), &[]),
        viewing(
            "no sound",
            made(format!("{} {H264}", moving("320x180", "25", 5.0)), "mp4"),
            &[],
        ),
        viewing("60 frames a second", film("1280x720", "60", &one, ""), &[]),
        viewing(
            "two languages",
            film("640x360", "25", &two, languages),
            &["--tones", "en=440,de=660"],
        ),
        viewing(
            "sound that ends before the pictures",
            uneven(UNEVEN, 3.0, &[]),
            &[],
        ),
        viewing(
            "pictures that end before the sound",
            uneven(3.0, UNEVEN, &[]),
            &[],
        ),
        viewing(
            "a language that ends before the other",
            uneven(UNEVEN, UNEVEN, &[3.0]),
            &[],
        ),
    ]
}

/// Seconds of the longest track of uneven ones: two segments and one frame, which is not a separate
/// segment.
const UNEVEN: f64 = 8.04;

/// Video and a tone of this many seconds, and more tones in other languages.
fn uneven(pictures: f64, sound: f64, others: &[f64]) -> Input {
    let tones: String = others
        .iter()
        .map(|seconds| format!(" {}", tone(660, *seconds)))
        .collect();
    let maps: String = (0..others.len() + 2)
        .map(|input| format!(" -map {input}"))
        .collect();
    made(
        format!(
            "{} {}{tones}{maps} -metadata:s:a:0 language=eng -metadata:s:a:1 language=ger {H264} -c:a aac",
            moving("640x360", "25", pictures),
            tone(440, sound)
        ),
        "mkv",
    )
}

/// Uploads all at once; then two parsers read each output, and every player plays it.
async fn watch_all(viewings: Vec<Viewing>) {
    let mut world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").setting("ENCODE_SLOTS", 2).start();
    let mut jobs = Vec::new();
    for viewing in viewings {
        let clip = viewing.input.make(world.folder()).await;
        jobs.push((world.submit(&clip).await, viewing));
    }
    let mut manifests = Vec::new();
    for (job, viewing) in jobs {
        let manifest = world.completed(&job).await.manifest_url.unwrap();
        parses_strictly(&manifest).await;
        manifests.push((manifest, viewing));
    }
    // A player that shares the machine drops pictures.
    world.alone().await;
    for (manifest, viewing) in &manifests {
        eprintln!("{}", viewing.name);
        watches(manifest, viewing.expected).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_player_plays_what_two_parsers_read_to_its_end() {
    watch_all(viewings()).await;
}

/// Outputs that need features under development: subtitles, and 5.1 in addition to stereo.
mod pending {
    use super::{H264, Input, Viewing, made, moving, tone, watch_all};
    use crate::edges::rows::sound::chord;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_player_shows_subtitles_at_their_times_and_offers_surround_beside_stereo() {
        let text = "1\n00:00:01,000 --> 00:00:02,000\nGuten Tag\n\n2\n00:00:02,500 --> 00:00:03,500\nAuf Wiedersehen\n";
        let picture = made(
            format!(
                "{} {} {H264} -c:a aac",
                moving("640x360", "25", 5.0),
                tone(440, 5.0)
            ),
            "mkv",
        );
        let maps = "-map 0 -map 1 -c:v copy -c:a copy -c:s srt -metadata:s:s:0 language=ger";
        let subtitled = picture.with(
            vec![Input::Bytes(text.as_bytes().to_vec())],
            "-f srt",
            maps,
            "mkv",
        );
        let six = chord(&[300, 400, 500, 60, 700, 800], "5.1", 5.0);
        let surround = made(
            format!(
                "{} {six} {H264} -c:a aac -metadata:s:a:0 language=eng",
                moving("640x360", "25", 5.0)
            ),
            "mp4",
        );
        watch_all(vec![
            Viewing {
                name: "subtitles",
                input: subtitled,
                expected: &["--cues", "de=1:Guten Tag,de=2.5:Auf Wiedersehen"],
            },
            Viewing {
                name: "5.1 beside stereo",
                input: surround,
                expected: &["--channels", "2,6"],
            },
        ])
        .await;
    }
}
