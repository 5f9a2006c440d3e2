//! The media half as a whole, on real media.

mod bench;

pub(super) use bench::Bench;

use ffmpeg::argv;
use ffmpeg::testing::{ask, tool};
use media::cmaf::{self, FragmentInfo, GateFailure, InitInfo};
use media::ladder::Profile;

fn pictures(rate: &str, seconds: u32) -> String {
    format!(
        "-f lavfi -i testsrc2=s=400x304:r={rate}:d={seconds} -f lavfi -i sine=f=440:d={seconds} -c:v libx264 -preset ultrafast -bf 2 -g 50 -c:a aac"
    )
}

#[tokio::test]
async fn chunks_of_usual_rates_join_without_a_trace() {
    for (rate, name) in [
        ("25", "a.mp4"),
        ("30000/1001", "a.mkv"),
        ("24000/1001", "a.mp4"),
    ] {
        let mut bench = Bench::of(name, &pictures(rate, 34)).await;
        assert_eq!(
            bench.planned.video.as_ref().unwrap().chunks,
            [0, 2, 5],
            "{rate}"
        );
        bench.whole().await;
    }
}

#[tokio::test]
async fn chunks_of_h265_join_without_a_trace() {
    let hevc = Profile::named("hevc").unwrap();
    let mut bench = Bench::by(hevc, "a.mp4", &pictures("25", 34)).await;
    assert_eq!(bench.planned.video.as_ref().unwrap().chunks, [0, 2, 5]);
    bench.whole().await;
    let top = bench.planned.videos().next().unwrap().name.to_string();
    assert!(bench.init(&top).codec.text.starts_with("hvc1."));
}

#[tokio::test]
async fn fast_sources_are_halved_on_the_same_grid() {
    let mut bench = Bench::of("a.mp4", &pictures("60000/1001", 34)).await;
    let rates: Vec<String> = bench
        .planned
        .videos()
        .map(|rendition| rendition.frame_rate.to_string())
        .collect();
    assert_eq!(rates, ["30000/1001"]);
    bench.whole().await;
}

#[tokio::test]
async fn a_source_without_an_index_is_one_chunk_with_every_frame() {
    let mut bench = Bench::of("a.ts", &pictures("25", 34)).await;
    assert_eq!(bench.planned.video.as_ref().unwrap().chunks, [0]);
    bench.whole().await;
}

#[tokio::test]
async fn sound_that_begins_first_moves_zero_and_the_first_picture_fills_the_gap() {
    let args = "-itsoffset 1.5 -f lavfi -i testsrc2=s=160x120:r=25:d=6 -f lavfi -i sine=d=7 -c:v libx264 -preset ultrafast -c:a aac";
    let mut bench = Bench::of("a.mkv", args).await;
    let video = bench.planned.video.as_ref().unwrap();
    assert!((187..=189).contains(&video.frames), "{}", video.frames);
    bench.whole().await;
}

#[tokio::test]
async fn sound_alone_plays() {
    let mut bench = Bench::of("a.mp3", "-f lavfi -i sine=d=9:r=44100").await;
    assert_eq!(bench.planned.video, None);
    bench.whole().await;
}

#[tokio::test]
async fn odd_turned_anamorphic_and_one_frame_sources_come_out_even_and_upright() {
    for (args, wanted) in [
        (
            "-f lavfi -i testsrc2=s=179x101:r=25:d=1 -c:v libx264 -pix_fmt yuv444p",
            (178, 100),
        ),
        (
            "-f lavfi -i testsrc2=s=180x144:r=25:d=1 -vf setsar=64/45 -c:v libx264",
            (256, 144),
        ),
        (
            "-f lavfi -i testsrc2=s=160x120:r=25 -frames:v 1 -c:v libx264",
            (160, 120),
        ),
        (
            "-f lavfi -i testsrc2=s=160x120:r=25:d=1 -vf tinterlace=interleave_top,fieldorder=tff -flags +ildct+ilme -c:v mpeg4",
            (160, 120),
        ),
    ] {
        let mut bench = Bench::of("a.mp4", args).await;
        let size = bench
            .planned
            .videos()
            .next()
            .map(|rendition| (rendition.width, rendition.height));
        assert_eq!(size, Some(wanted), "{args}");
        bench.whole().await;
    }
}

#[tokio::test]
async fn odd_sizes_of_every_chroma_come_out_whole() {
    for (name, args, wanted) in [
        (
            "a.webm",
            "-f lavfi -i testsrc2=s=161x121:r=25:d=1 -c:v libvpx -pix_fmt yuv420p",
            (160, 120),
        ),
        (
            "a.mov",
            "-f lavfi -i testsrc2=s=190x122:r=25:d=1 -c:v svq1 -pix_fmt yuv410p",
            (190, 122),
        ),
        (
            "a.mkv",
            "-f lavfi -i testsrc2=s=191x122:r=25:d=1 -c:v ffv1 -pix_fmt yuv411p",
            (190, 122),
        ),
        (
            "b.mkv",
            "-f lavfi -i testsrc2=s=161x33:r=25:d=1 -c:v ffv1 -pix_fmt yuv422p",
            (160, 32),
        ),
    ] {
        let mut bench = Bench::of(name, args).await;
        let top = bench.planned.videos().next().unwrap();
        assert_eq!((top.width, top.height), wanted, "{args}");
        bench.whole().await;
    }
}

#[tokio::test]
async fn output_is_tagged_as_what_it_is() {
    let args = "-f lavfi -i testsrc2=s=160x120:r=25:d=1 -pix_fmt yuv420p10le -c:v libx265 -x265-params log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc";
    let mut bench = Bench::of("hdr.mp4", args).await;
    assert!(bench.planned.warnings.contains(&"tone_mapped".to_owned()));
    bench.whole().await;

    let entries = "-v error -show_entries stream=pix_fmt,color_range,color_space,color_transfer,color_primaries,profile -of csv=p=0 120p/index.m3u8";
    let said = ask(&tool().ffprobe, bench.folder.path(), entries).await;
    let line = said.lines().find(|line| !line.is_empty()).unwrap();
    assert_eq!(
        line.trim_end_matches(','),
        "High,yuv420p,tv,bt709,bt709,bt709"
    );
}

#[tokio::test]
async fn all_languages_are_kept_and_lie_where_they_lay() {
    let args = "-f lavfi -i testsrc2=s=160x120:r=25:d=6 -f lavfi -i sine=d=6 -itsoffset 0.75 -f lavfi -i sine=d=5 \
                -map 0 -map 1 -map 2 -metadata:s:a:0 language=eng -metadata:s:a:1 language=ger -c:v libx264 -c:a aac";
    let mut bench = Bench::of("a.mkv", args).await;
    let languages: Vec<Option<String>> = bench
        .planned
        .audios()
        .map(|audio| audio.language.clone())
        .collect();
    assert_eq!(languages, [Some("en".to_owned()), Some("de".to_owned())]);
    bench.whole().await;
}

/// A chunk 1 made with one argument of its command line changed.
async fn damaged(change: impl Fn(&str) -> String) -> Result<u64, GateFailure> {
    let bench = Bench::of("a.mp4", &pictures("25", 50)).await;
    let args: Vec<String> = bench.chunk_args(1).iter().map(|arg| change(arg)).collect();
    bench.run(&args).await;
    bench.gate(bench.planned.videos().next().unwrap(), 1)
}

#[tokio::test]
async fn lost_frames_and_a_shifted_chunk_are_caught_though_ffmpeg_finishes() {
    assert_eq!(damaged(str::to_owned).await, Ok(300));

    let lost = damaged(|arg| arg.replace("end_pts=300", "end_pts=299")).await;
    assert_eq!(
        lost,
        Err(GateFailure::Frames {
            found: 299,
            wanted: 300
        })
    );

    let hole = damaged(|arg| {
        arg.replace(
            "trim=start_pts=0:end_pts=300",
            "trim=start_pts=0:end_pts=300,select='not(eq(n,150))'",
        )
    })
    .await;
    assert!(hole.is_err(), "{hole:?}");

    let shifted = damaged(|arg| arg.replace("8.000000", "8.080000")).await;
    assert!(
        matches!(shifted, Err(GateFailure::Start { .. })),
        "{shifted:?}"
    );
}

#[tokio::test]
async fn a_chunk_behind_the_end_of_its_source_is_caught_though_ffmpeg_finishes() {
    let mut bench = Bench::of("a.mp4", &pictures("25", 4)).await;
    let video = bench.planned.video.as_mut().unwrap();
    (video.frames, video.chunks) = (2000, vec![0, 4, 8]);
    bench.run(&bench.chunk_args(1)).await;

    let rendition = bench.planned.videos().next().unwrap();
    let folder = bench.path(rendition.name.as_str());

    // What ffmpeg leaves behind differs by version: no init segment, an init segment without a
    // picture, or an empty segment.
    let init = std::fs::read(folder.join(argv::INIT_FILE)).unwrap_or_default();
    let segment = std::fs::read(folder.join(argv::segment_file(4))).unwrap_or_default();
    let read = InitInfo::parse(&init)
        .and_then(|init| Ok((FragmentInfo::parse(&segment, init.defaults)?, init)));
    if let Ok((segment, init)) = read {
        cmaf::video_chunk(&bench.planned, rendition, 1, &init, &[(4, segment)]).unwrap_err();
    }
}
