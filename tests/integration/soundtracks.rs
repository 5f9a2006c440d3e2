//! Everything but video: audio in several languages and in 5.1, subtitles, covers. From the upload
//! to the playlists for players.

use base64::Engine as _;
use serde_json::json;
use streams::fact::{Ended, Planned};

use crate::harness::clip::{Clip, make_from};
use crate::harness::database::Engine;
use crate::harness::output::http::get;
use crate::harness::output::sound::sound;
use crate::harness::output::{Listing, Published, conforms, verify};
use crate::harness::process::{command, output_of};
use crate::harness::world::{World, job_of};

/// A picture that costs next to nothing.
const PICTURE: &str = "-f lavfi -i testsrc2=size=160x120:rate=25:duration=6";
const ENCODED: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac";

/// Subtitles as an input of ffmpeg.
fn subrip(text: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(text);
    format!("-f srt -i data:application/x-subrip;base64,{text}")
}

fn tone(frequency: u32) -> String {
    format!("-f lavfi -i aevalsrc=exprs=0.3*sin(2*PI*{frequency}*t):s=48000:d=6")
}

/// Brings every track to a certain loudness.
const LADDER: &str = r#"
[profiles.even]
about = "One small rung, and sound of one loudness."
segment = 4
encoder = "libx264"
preset = "ultrafast"
loudness = -16.0
per_title = false
storyboard = false
rungs = [ { short_side = 144, crf = 30, maxrate = 200_000 } ]
"#;

async fn published(world: &World, clip: &Clip) -> (Published, Planned, Ended) {
    let job = world.submit(clip).await;
    let (ended, planned) = (world.completed(&job).await, world.planned(&job).await);
    let manifest = ended.manifest_url.clone().unwrap();
    (conforms(&manifest, &planned).await, planned, ended)
}

/// The mean level in dB of an audio channel of a playlist around one frequency.
async fn level(url: &str, channel: usize, frequency: u32) -> f64 {
    let filters = format!(
        "pan=mono|c0=c{channel},bandpass=f={frequency}:width_type=h:w=10,astats=metadata=1:measure_overall=none:measure_perchannel=RMS_level,ametadata=mode=print:key=lavfi.astats.1.RMS_level:file=-"
    );
    let arguments = [
        "-nostdin", "-v", "error", "-i", url, "-map", "0:a:0", "-af", &filters, "-f", "null", "-",
    ];
    let said = String::from_utf8(output_of(command("ffmpeg").args(arguments)).await).unwrap();
    let mut levels = said
        .lines()
        .filter_map(|line| line.strip_prefix("lavfi.astats.1.RMS_level=")?.parse().ok());
    levels.next_back().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_channels_and_a_bass_stand_beside_stereo() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").start();
    let tones = [300, 400, 500, 60, 700, 800];
    let channels = tones
        .map(|tone| format!("0.2*sin(2*PI*{tone}*t)"))
        .join("|");
    let six = format!("-f lavfi -i aevalsrc=exprs={channels}:s=48000:d=6:c=5.1");
    let clip = make_from(
        &format!("{PICTURE} {six} {} -map 0 -map 1 -map 2 {ENCODED} -metadata:s:a:0 language=eng -metadata:s:a:1 language=ger", tone(900)),
        "mp4",
    )
    .await;
    let (output, planned, ended) = published(&world, &clip).await;
    let in_menu = |listing: &Listing| {
        (
            listing.group.clone(),
            listing.name.clone(),
            listing.channels,
        )
    };
    let listed: Vec<_> = output
        .audio
        .iter()
        .map(|audio| in_menu(&audio.listing))
        .collect();
    let wanted = [
        ("audio", "English", Some(2)),
        ("audio", "German", Some(2)),
        ("surround", "English", Some(6)),
        ("surround", "German", Some(2)),
    ];
    assert_eq!(
        listed,
        wanted.map(|(group, name, channels)| (group.to_owned(), name.to_owned(), channels))
    );
    let surround = output.audio[2].track.url.as_str();
    for (channel, tone) in tones.into_iter().enumerate() {
        let own = level(surround, channel, tone).await;
        let other = level(surround, (channel + 1) % 6, tone).await;
        assert!(
            own > -22.0 && other < own - 20.0,
            "{tone} Hz: {own} dB in its channel, {other} dB in others"
        );
    }
    let stereo = output.audio[0].track.url.as_str();
    assert!(
        level(stereo, 0, 500).await > -25.0 && level(stereo, 1, 500).await > -25.0,
        "the centre is on both sides"
    );
    let groups: Vec<Option<&str>> = output
        .variants
        .iter()
        .map(|variant| variant.group.as_deref())
        .collect();
    assert_eq!(groups, [Some("audio"), Some("surround")]);
    assert!(
        output
            .variants
            .iter()
            .all(|variant| variant.frame_rate == Some(25.0))
    );
    assert_eq!(ended.warnings, planned.warnings);
    verify(&ended, &planned, &clip.path).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subtitles_of_every_language_are_in_time_with_the_pictures() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").start();
    let english = subrip(
        b"1\n00:00:00,500 --> 00:00:02,123\nHello <i>you</i> & 1 < 2\n\n2\n00:00:04,000 --> 00:00:05,500\nlast -->\n",
    );
    let french = subrip(b"1\n00:00:01,000 --> 00:00:02,000\ncaf\xe9\n");
    let languages = "-metadata:s:s:0 language=eng -metadata:s:s:1 language=fre -disposition:s:0 default -disposition:s:1 forced";
    let maps = "-map 0 -map 1 -map 2 -map 3 -map 4";
    // The first picture is at 7 s of the source's clock, and the first audio at 7.75 s.
    let clip = make_from(
        &format!(
            "{PICTURE} -itsoffset 0.75 {} {english} {french} {} {maps} {ENCODED} -c:s copy {languages} -output_ts_offset 7",
            tone(440),
            subrip(b"1\n00:00:01,000 --> 00:00:02,000\n<i></i>\n")
        ),
        "mkv",
    )
    .await;
    let (output, _, ended) = published(&world, &clip).await;
    let heard = sound(output.audio[0].track.url.as_str())
        .await
        .loud_times(0.1)[0];
    assert!((heard - 0.75).abs() < 0.005, "sound begins at {heard} s");
    let found: Vec<(Option<&str>, bool, &str)> = output
        .subtitles
        .iter()
        .map(|track| {
            (
                track.listing.language.as_deref(),
                track.listing.default,
                track.text.as_str(),
            )
        })
        .collect();
    let head = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n";
    let english = format!(
        "{head}\n00:00:00.500 --> 00:00:02.123\nHello <i>you</i> &amp; 1 &lt; 2\n\n00:00:04.000 --> 00:00:05.500\nlast --&gt;\n"
    );
    let french = format!("{head}\n00:00:01.000 --> 00:00:02.000\ncafé\n");
    assert_eq!(
        found,
        [
            (Some("en"), true, english.as_str()),
            (Some("fr"), false, french.as_str())
        ]
    );
    assert!(
        output.text.contains("FORCED=YES") && output.text.contains("SUBTITLES=\"subtitles\""),
        "{}",
        output.text
    );
    assert_eq!(
        ended.warnings,
        [
            "length_padded",
            "subtitles_charset_guessed",
            "empty_subtitles_left_out"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subtitles_that_break_ffmpeg_do_not_break_the_sound() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").start();
    // One cue of more text than ffmpeg's encoder takes ends its whole run.
    let endless = format!(
        "1\n00:00:00,500 --> 00:00:02,000\n{}\n",
        "more text\n".repeat(120_000)
    );
    let folder = tempfile::tempdir().unwrap();
    let text = Clip::of_bytes(folder.path(), "endless.srt", endless.as_bytes());
    let clip = make_from(
        &format!(
            "{PICTURE} {} -i {} -map 0 -map 1 -map 2 {ENCODED} -c:s copy",
            tone(440),
            text.text()
        ),
        "mkv",
    )
    .await;
    let (output, planned, ended) = published(&world, &clip).await;
    assert_eq!((output.audio.len(), output.subtitles.len()), (1, 0));
    assert_eq!(ended.warnings, ["subtitles_failed"]);
    verify(&ended, &planned, &clip.path).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cover_of_a_song_is_its_poster() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").start();
    let cover = "-f lavfi -i testsrc2=size=1400x1400:duration=0.04 -map 0 -map 1 -disposition:v attached_pic";
    let clip = make_from(
        &format!("{} {cover} -c:v png -c:a libmp3lame", tone(440)),
        "mp3",
    )
    .await;
    let (output, _, ended) = published(&world, &clip).await;
    assert_eq!(
        (output.variants.len(), output.variants[0].resolution),
        (1, None)
    );
    let poster = get(&ended.thumbnail_url.unwrap().parse().unwrap()).await;
    assert_eq!(
        (poster.status, poster.content_type.as_str()),
        (200, "image/jpeg")
    );
    let file = Clip::of_bytes(world.folder(), "poster.jpg", &poster.body);
    let size = [
        "-v",
        "error",
        "-show_entries",
        "stream=width,height",
        "-of",
        "csv=p=0",
        file.text(),
    ];
    assert_eq!(
        String::from_utf8(output_of(command("ffprobe").args(size)).await)
            .unwrap()
            .trim(),
        "1280,1280"
    );
    assert_eq!(ended.warnings, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_does_not_go_back_where_the_loudness_is_measured_before_the_sound_is_encoded() {
    let world = World::new(Engine::Sqlite).await;
    let ladder = world.folder().join("ladder.toml");
    std::fs::write(&ladder, LADDER).unwrap();
    let worker = world.worker("one");
    let _worker = worker.setting("LADDER_FILE", ladder.display()).start();

    // Long enough that progress is published more than once in each run over it.
    let clip = make_from("-f lavfi -i sine=d=300:r=48000 -c:a aac", "m4a").await;
    let mut event = world.event(&clip).await;
    event["settings"] = json!({"profile": "even"});
    let job = job_of(&event);
    let progress = world.streams.progress_of(&job).await;
    world.streams.upload(&event).await;
    world.completed(&job).await;

    let shares: Vec<f64> = progress
        .so_far()
        .into_iter()
        .map(|(_, share)| share)
        .collect();
    assert!(!shares.is_empty() && shares.is_sorted(), "{shares:?}");
}
