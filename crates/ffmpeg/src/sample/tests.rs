//! Samples of made sources.

use media::ladder::{self, Pin, Profile, Settings};
use streams::fact::Head;
use streams::upload::Priority;

use super::*;
use crate::testing::{Server, make, tool};
use crate::{ProbeLimits, probe};

/// The draft of a source made by ffmpeg, and the source itself.
async fn draft(args: &str) -> (tempfile::TempDir, Server, Planned) {
    let folder = tempfile::tempdir().unwrap();
    let file = make(
        folder.path(),
        "a.mp4",
        &format!("-f lavfi -i {args} -t 44 -c:v libx264 -preset ultrafast -g 8"),
    )
    .await;

    let server = Server::of(&file).await;
    let probe = probe(&tool(), &server.input, &ProbeLimits::default())
        .await
        .unwrap();

    let pin = Pin {
        bucket: "b".to_owned(),
        key: "k".to_owned(),
        etag: "e".to_owned(),
        size: 1,
    };
    let settings = Settings {
        profile: Profile::standard(),
        priority: Priority::Normal,
        limits: media::ladder::Limits::default(),
        fleet: 1,
    };

    let head = Head::new("j".parse().unwrap(), "f".parse().unwrap());
    let draft = ladder::plan(head, &probe, pin, &settings, "test").unwrap();
    (folder, server, draft)
}

async fn samples(args: &str) -> (Samples, Planned) {
    let (folder, server, draft) = draft(args).await;
    let samples = sample(&tool(), &server.input, folder.path(), &draft)
        .await
        .unwrap();
    let refined = per_title::refine(draft, &samples);
    (samples, refined)
}

fn names(draft: &Planned) -> Vec<&str> {
    let videos = draft.renditions.iter().filter_map(Rendition::video);
    videos.map(|video| video.name.as_str()).collect()
}

#[tokio::test]
async fn a_still_picture_needs_less_than_noise_and_a_shorter_ladder() {
    let (still, slides) = samples("smptehdbars=s=854x480:r=4").await;
    let (noise, sport) = samples("color=gray:s=854x480:r=4,noise=alls=60:allf=t").await;

    for samples in [&still, &noise] {
        assert_eq!(samples.rungs.len(), 2);
        assert!(
            samples
                .rungs
                .iter()
                .all(|rung| rung.windows.len() == 4 && rung.windows.iter().all(|rate| *rate > 0.0))
        );
        assert_eq!(
            (
                samples.rungs[0].likeness.len(),
                samples.rungs[1].likeness.len()
            ),
            (11, 0)
        );
        assert!(
            samples.cpu_seconds > 0.0 && (7.9..8.1).contains(&samples.seconds),
            "{samples:?}"
        );
    }

    let (easy, hard) = (still.rungs[0].windows[0], noise.rungs[0].windows[0]);
    assert!(hard > 20.0 * easy, "{easy} {hard}");
    assert_eq!(
        (names(&slides), names(&sport)),
        (vec!["480p"], vec!["480p", "360p"])
    );
    assert!(slides.left_out.iter().any(|out| out.name == "360p"));
}

#[tokio::test]
async fn a_small_picture_blown_up_loses_the_rung_that_shows_nothing_more() {
    let (_, blown_up) = samples("testsrc2=s=1280x720:r=2,scale=1920:1080:flags=bicubic").await;
    assert_eq!(names(&blown_up)[0], "720p");

    let (_, true_size) = samples("testsrc2=s=1920x1080:r=2").await;
    assert_eq!(names(&true_size)[0], "1080p");
}

#[tokio::test]
async fn sources_that_cannot_be_sampled_are_planned_without() {
    let (folder, server, mut draft) = draft("testsrc=s=320x240:r=5").await;
    let gone = Input::http("http://127.0.0.1:9/gone");
    let error = sample(&tool(), &gone, folder.path(), &draft)
        .await
        .unwrap_err();
    assert!(
        matches!(error, SampleError::Failed(End::Failed(_))),
        "{error}"
    );

    draft.video.as_mut().unwrap().seekable = false;
    let error = sample(&tool(), &server.input, folder.path(), &draft)
        .await
        .unwrap_err();
    let whole = per_title::unsampled(draft.clone(), error.to_string());
    assert_eq!(whole.renditions, draft.renditions);
    assert!(
        whole
            .complexity
            .unwrap()
            .not_sampled
            .unwrap()
            .contains("cannot be read from an arbitrary time")
    );
}

#[test]
fn the_processor_time_is_read_from_the_log() {
    let log = "frame=1\nbench: utime=1.250s stime=0.500s rtime=1.0s\nbench: maxrss=1kB\n[libx264 @ 0x1] kb/s:1.0";
    assert_eq!(cpu_seconds(log), Some(1.75));
    assert_eq!(cpu_seconds("nothing"), None);
}

#[test]
fn a_key_frame_counts_once_in_a_group_of_pictures() {
    let lines = (0..2 * argv::WINDOW_FRAMES).map(|i| {
        let size = if i % argv::WINDOW_FRAMES == 0 {
            1000
        } else {
            10
        };
        format!("0, {i}, {i}, 1, {size}, 0x0\n")
    });
    let sizes = Sizes::parse(&format!("#tb 0: 1/25\n{}", lines.collect::<String>()), 1);
    let rendition = streams::testing::planned().videos().next().unwrap().clone();
    let rate = (1000.0 + 10.0 * 239.0) * 8.0 * rendition.frame_rate.as_f64() / 240.0;

    let windows = sizes.windows(0, &rendition);
    assert!(
        windows.len() == 2 && windows.iter().all(|window| (window - rate).abs() < 1e-6),
        "{windows:?}"
    );
}

proptest::proptest! {
    #[test]
    fn no_notes_of_ffmpeg_make_the_readers_panic(text in "((#|[0-3],|-?[0-9]{0,20}, ?|n:1 Y:|bench: utime=|stime=|inf|nan|\\PC{0,5})|\n){0,40}", rungs in 0_usize..4) {
        let sizes = Sizes::parse(&text, rungs);
        let rendition = streams::testing::planned().videos().next().unwrap().clone();
        let _ = (sizes.frames(), sizes.windows(0, &rendition), cpu_seconds(&text));

        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("likeness"), &text).unwrap();
        let _ = parse_ssim(&folder.path().join("likeness"));
    }
}
