//! Probes of real files, made by ffmpeg.

use std::path::Path;

use media::ladder::Limits;
use streams::{Code, Rational};

use super::description::refused_size;
use super::*;
use crate::testing::{make, tool};

const PICTURES: &str = "-f lavfi -i testsrc=s=128x96:r=25:d=12";
const SOUND: &str = "-f lavfi -i sine=d=12:r=48000";

async fn probe_file(file: &Path) -> Result<Probe, ProbeError> {
    probe(&tool(), &Input::file(file), &ProbeLimits::default()).await
}

async fn probed(name: &str, args: &str) -> Probe {
    let folder = tempfile::tempdir().unwrap();
    probe_file(&make(folder.path(), name, args).await)
        .await
        .unwrap()
}

fn near(found: Option<f64>, wanted: f64) -> bool {
    found.is_some_and(|found| (found - wanted).abs() < 0.06)
}

#[tokio::test]
async fn containers_with_an_index_can_be_entered_and_the_others_cannot() {
    let encode = format!("{PICTURES} {SOUND} -g 50 -c:v libx264 -preset ultrafast -c:a aac");
    for (name, seekable) in [
        ("a.mp4", true),
        ("a.mkv", true),
        ("a.ts", false),
        ("a.flv", false),
        ("a.avi", false),
    ] {
        let probe = probed(name, &encode).await;
        assert_eq!(probe.seekable, seekable, "{name}");
        assert!(
            probe.leads.iter().all(|lead| *lead < 2.1),
            "{name}: {:?}",
            probe.leads
        );

        let (video, start) = (
            probe.main_video().unwrap().0,
            probe.main_video().unwrap().0.start.unwrap().as_f64(),
        );
        assert!(
            near(video.end.map(|end| end - start), 12.0),
            "{name}: {video:?}"
        );
        assert!(
            near(
                probe.audios().next().unwrap().0.end.map(|end| end - start),
                12.0
            ),
            "{name}"
        );
    }
}

#[tokio::test]
async fn fragmented_files_and_files_without_a_duration_are_measured_by_their_packets() {
    let encode = format!("{PICTURES} -g 50 -c:v libx264 -preset ultrafast -bf 2");
    let fragmented = probed(
        "a.mp4",
        &format!("{encode} -movflags frag_keyframe+empty_moov"),
    )
    .await;
    let (video, _) = fragmented.main_video().unwrap();
    assert_eq!(video.start, Rational::new(2, 25));
    assert!(near(video.end, 12.08), "{video:?}");

    let live = probed(
        "a.webm",
        &format!("{PICTURES} -c:v libvpx -deadline realtime -cpu-used 8 -live 1"),
    )
    .await;
    assert!(!live.seekable);
    assert!(near(live.main_video().unwrap().0.end, 12.0), "{live:?}");
}

#[tokio::test]
async fn the_end_is_found_where_one_track_is_much_shorter_than_the_other() {
    let short_sound = probed(
        "a.mp4",
        "-f lavfi -i testsrc=s=64x64:r=10:d=90 -f lavfi -i sine=d=5 -c:v libx264 -preset ultrafast",
    )
    .await;
    assert!(near(short_sound.main_video().unwrap().0.end, 90.0));
    assert!(near(short_sound.audios().next().unwrap().0.end, 5.0));
}

#[tokio::test]
async fn late_and_offset_tracks_keep_their_times() {
    let args = format!("-itsoffset 0.5 {SOUND} {PICTURES} -c:v libx264 -preset ultrafast -c:a aac");
    let probe = probed("a.mkv", &args).await;
    let start = |stream: &media::ladder::probe::Stream| stream.start.unwrap().as_f64();
    // An offset does not look like missing data.
    assert!(
        probe.declared_end.unwrap() - probe.end().unwrap() < 0.1,
        "{probe:?}"
    );
    let late = start(probe.audios().next().unwrap().0) - start(probe.main_video().unwrap().0);
    assert!((late - 0.5).abs() < 0.05, "{late}");
}

#[tokio::test]
async fn the_start_up_samples_of_a_coder_are_no_sound() {
    let probe = probed("a.mp3", SOUND).await;
    let start = probe.audios().next().unwrap().0.start.unwrap().as_f64();
    assert!((0.02..0.03).contains(&start), "{start}");
}

#[tokio::test]
async fn sound_that_an_edit_list_leaves_out_at_its_beginning_is_no_sound_that_cannot_be_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let file = make(
        folder.path(),
        "a.mp4",
        "-f lavfi -i sine=d=1.8:r=48000 -c:a aac",
    )
    .await;

    // The edit of the track begins 0.6 s later: `elst`, version and count of entries, their length,
    // then the time in the media.
    let mut bytes = std::fs::read(&file).unwrap();
    let edit = bytes.windows(4).position(|four| four == b"elst").unwrap() + 16;
    bytes[edit..edit + 4].copy_from_slice(&28_800_i32.to_be_bytes());
    std::fs::write(&file, bytes).unwrap();

    let probe = probe_file(&file).await.unwrap();
    assert_eq!(probe.audios().count(), 1, "{:?}", probe.streams);
}

#[tokio::test]
async fn rotation_aspect_and_fields_are_read() {
    let folder = tempfile::tempdir().unwrap();
    make(
        folder.path(),
        "flat.mp4",
        &format!("{PICTURES} -vf setsar=32/27 -c:v libx264 -preset ultrafast -flags +ildct -x264-params tff=1"),
    )
    .await;

    let turned = folder.path().join("turned.mp4");
    let mut bytes = std::fs::read(folder.path().join("flat.mp4")).unwrap();
    let header = bytes.windows(4).position(|kind| kind == b"tkhd").unwrap();

    // The matrix of a track header (ISO/IEC 14496-12 section 8.3.2): a quarter turn.
    for (i, value) in [0, 0x1_0000, 0, -0x1_0000, 0, 0, 0, 0, 0x4000_0000_i32]
        .into_iter()
        .enumerate()
    {
        let at = header + 44 + 4 * i;
        bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }
    std::fs::write(&turned, bytes).unwrap();

    let probe = probe_file(&turned).await.unwrap();
    let (_, video) = probe.main_video().unwrap();
    assert_eq!(
        (video.width, video.height, video.pixel_aspect),
        (128, 96, Rational::new(32, 27).unwrap())
    );
    assert_eq!(video.rotation.abs(), 90);
    assert!(video.interlaced);
}

#[tokio::test]
async fn a_cut_file_ends_before_its_index_says() {
    let folder = tempfile::tempdir().unwrap();
    let whole = make(
        folder.path(),
        "a.mp4",
        &format!("{PICTURES} {SOUND} -c:v libx264 -preset ultrafast -movflags +faststart"),
    )
    .await;

    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(&whole, &bytes[..bytes.len() * 6 / 10]).unwrap();

    let probe = probe_file(&whole).await.unwrap();
    assert!(near(probe.declared_end, 12.0), "{probe:?}");
    assert!(probe.end().unwrap() < 9.0, "{probe:?}");
}

#[tokio::test]
async fn what_cannot_be_planned_has_its_own_code() {
    let folder = tempfile::tempdir().unwrap();
    // No suffix, as behind the loopback server: a suffix would decide over the bytes.
    let file = folder.path().join("upload");
    let mut whole = std::fs::read(make(folder.path(), "a.mp4", PICTURES).await).unwrap();
    whole.truncate(whole.len() / 2);

    let texts: [(&[u8], Code); 4] = [
        (&whole, Code::TruncatedUpload),
        (b"#EXTM3U\n#EXTINF:1,\nother.mp4\n", Code::NotMedia),
        (
            b"ffconcat version 1.0
file a.mp4
",
            Code::ForbiddenContainer,
        ),
        (&[0x17; 5000], Code::NotMedia),
    ];

    for (bytes, code) in texts {
        std::fs::write(&file, bytes).unwrap();
        let error = probe_file(&file).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }

    let picture = make(
        folder.path(),
        "a.png",
        "-f lavfi -i testsrc=s=64x64 -frames:v 1",
    )
    .await;
    assert_eq!(
        probe_file(&picture).await.unwrap_err().code(),
        Code::ForbiddenContainer
    );
    let words = make(
        folder.path(),
        "words.mkv",
        "-f lavfi -i anullsrc=d=1 -c:a copy",
    )
    .await;
    assert!(probe_file(&words).await.is_ok());
}

#[tokio::test]
async fn a_source_that_says_too_much_is_over_the_policy() {
    let folder = tempfile::tempdir().unwrap();
    let file = make(
        folder.path(),
        "a.mp4",
        "-f lavfi -i testsrc=s=64x64:r=25:d=2 -f lavfi -i sine=d=2",
    )
    .await;

    let usual = ProbeLimits::default();
    let policy = |change: fn(&mut Limits)| {
        let mut policy = Limits::default();
        change(&mut policy);
        ProbeLimits::of(policy)
    };

    for (limits, word) in [
        (
            ProbeLimits {
                description: 100,
                ..usual
            },
            "100 bytes",
        ),
        (
            ProbeLimits {
                packets: 10,
                ..usual
            },
            "10 packets",
        ),
        (
            policy(|policy| policy.tracks = 1),
            "2 video and audio tracks",
        ),
        (policy(|policy| policy.pixels = 64 * 63), "64x64"),
    ] {
        let error = probe(&tool(), &Input::file(&file), &limits)
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::ExceedsPolicy, "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }

    // The container may lie: the decoder's own bound holds.
    let small = Input::file(&file).decoding(1000);
    let limits = policy(|policy| policy.pixels = 1000);
    assert_eq!(
        probe(&tool(), &small, &limits).await.unwrap_err().code(),
        Code::ExceedsPolicy
    );
}

#[test]
fn a_decoders_refusal_names_the_size() {
    let line = "[png @ 0x1] [IMGUTILS @ 0x2] Picture size 16000x9000 exceeds specified max pixel count 1000, see";
    assert_eq!(refused_size(line), Some((16_000, 9000)));

    for odd in [
        "Picture size ",
        "Picture size x",
        "Picture size 99999999999x1 is",
        "Picture size -1x1",
        "",
    ] {
        assert_eq!(refused_size(odd), None, "{odd}");
    }
}

#[tokio::test]
async fn a_source_that_never_answers_is_given_up() {
    // Connections are never accepted.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits = ProbeLimits {
        look: Duration::from_millis(300),
        ..ProbeLimits::default()
    };
    let silent = Input::http(&format!("http://{}/x", listener.local_addr().unwrap()));
    let error = probe(&tool(), &silent, &limits).await.unwrap_err();
    assert_eq!(error.code(), Code::FfmpegStalled);
}
