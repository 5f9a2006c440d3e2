//! The pictures that chunks make in addition to their segments, on real media: each from the right
//! frame, upright, in the right colours.

use ffmpeg::argv;
use ffmpeg::testing::{ask, tool};
use media::image::{MIN_POSTER_SCORE, Picture};
use streams::plan::{Storyboard, Transfer};

use crate::whole::Bench;

/// A clip whose frames have one colour each, which encodes their number.
fn numbered(rate: &str, seconds: u32) -> String {
    format!(
        "-f lavfi -i nullsrc=s=64x36:r={rate}:d={seconds},format=gbrp,geq=r=20*mod(N\\,12):g=20*mod(floor(N/12)\\,12):b=20*mod(floor(N/144)\\,12) \
         -c:v libx264 -preset ultrafast -qp 4 -g 25 -pix_fmt yuv420p"
    )
}

/// The number that a picture of [`numbered`] encodes in the pixel in its middle.
fn number(pixels: &[u8]) -> u64 {
    let middle = &pixels[pixels.len() / 6 * 3..][..3];
    let digit = |value: u8| (u64::from(value) + 10) / 20;
    digit(middle[0]) + 12 * digit(middle[1]) + 144 * digit(middle[2])
}

impl Bench {
    fn storyboard(&self) -> Storyboard {
        self.planned.storyboard.unwrap()
    }

    /// Encodes a chunk and returns its tiles, each as its pixels.
    async fn tiles_of(&self, chunk: u32) -> Vec<Vec<u8>> {
        // The tiles of an earlier chunk would count where this one has none.
        let _ = std::fs::remove_file(self.path(argv::TILES_FILE));
        self.run(&self.chunk_args(chunk)).await;
        let bytes = std::fs::read(self.path(argv::TILES_FILE)).unwrap_or_default();
        let tiles = bytes.chunks(self.storyboard().tile_bytes());
        tiles.map(<[u8]>::to_vec).collect()
    }

    /// The pictures that the last chunk that was encoded offers for the poster.
    fn posters(&self) -> Vec<Picture> {
        let size = argv::poster_size(&self.planned).unwrap();
        let (width, height) = (size.width as usize, size.height as usize);
        let bytes = std::fs::read(self.path(argv::POSTER_FILE)).unwrap();
        let pictures = bytes.chunks(width * height * 3);
        pictures
            .map(|pixels| Picture::of(width, height, pixels.to_vec()).expect("whole pictures"))
            .collect()
    }

    fn best_score(&self) -> f64 {
        self.posters()
            .iter()
            .map(Picture::score)
            .fold(0.0, f64::max)
    }
}

#[tokio::test]
async fn tiles_are_the_frames_they_should_be_in_every_chunk() {
    for (rate, name) in [("25", "a.mp4"), ("30000/1001", "a.mkv"), ("12", "a.mp4")] {
        let bench = Bench::of(name, &numbered(rate, 40)).await;
        let (storyboard, video) = (bench.storyboard(), bench.planned.video.clone().unwrap());
        assert!(video.chunks.len() > 2, "{rate}");

        let mut found = Vec::new();
        for chunk in 0..video.chunks.len() as u32 {
            found.extend(bench.tiles_of(chunk).await.iter().map(|tile| number(tile)));
        }

        let interval = u64::from(storyboard.interval_frames);
        let wanted: Vec<u64> = (0..u64::from(storyboard.tiles))
            .map(|tile| tile * interval)
            .collect();
        assert_eq!(found, wanted, "{rate}");
    }
}

#[tokio::test]
async fn a_chunk_shorter_than_the_interval_may_have_no_tile() {
    let mut bench = Bench::of("a.mp4", &numbered("25", 40)).await;
    let storyboard = bench.planned.storyboard.as_mut().unwrap();
    (storyboard.interval_frames, storyboard.tiles) = (450, 3);

    let mut found = Vec::new();
    for chunk in 0..3 {
        found.push(
            bench
                .tiles_of(chunk)
                .await
                .iter()
                .map(|tile| number(tile))
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(found, [vec![0], vec![450], vec![900]]);

    bench.planned.storyboard.as_mut().unwrap().interval_frames = 700;
    assert_eq!(bench.tiles_of(1).await.len(), 0);
}

#[tokio::test]
async fn small_tall_and_one_frame_sources_have_previews_of_their_own_size() {
    for (args, tile, poster) in [
        (
            "-f lavfi -i testsrc2=s=16x16:r=25:d=1 -c:v libx264",
            (16, 16),
            (16, 16),
        ),
        (
            "-f lavfi -i testsrc2=s=160x120:r=25 -frames:v 1 -c:v libx264",
            (160, 120),
            (160, 120),
        ),
        (
            "-f lavfi -i testsrc2=s=1080x1920:r=5:d=1 -c:v libx264 -preset ultrafast",
            (108, 192),
            (720, 1280),
        ),
        (
            "-f lavfi -i testsrc2=s=179x101:r=25:d=1 -c:v libx264 -pix_fmt yuv444p",
            (178, 100),
            (178, 100),
        ),
    ] {
        let bench = Bench::of("a.mp4", args).await;
        let storyboard = bench.storyboard();
        assert_eq!((storyboard.width, storyboard.height), tile, "{args}");
        let size = argv::poster_size(&bench.planned).unwrap();
        assert_eq!((size.width, size.height), poster, "{args}");

        let tiles = bench.tiles_of(0).await;
        assert_eq!(tiles.len(), 1, "{args}");
        let tile =
            Picture::of(tile.0 as usize, tile.1 as usize, tiles[0].clone()).expect("a whole tile");
        assert!(
            tile.score() > MIN_POSTER_SCORE && bench.best_score() > MIN_POSTER_SCORE,
            "{args}"
        );
    }
}

#[tokio::test]
async fn a_poster_is_not_black_unless_everything_is() {
    let black = "-f lavfi -i color=black:s=160x120:r=25:d=3 -c:v libx264";
    let bench = Bench::of("a.mp4", black).await;
    bench.run(&bench.chunk_args(0)).await;
    assert!(bench.best_score() < 1.0);

    // Black at first, as most films are: the poster is what comes then.
    let fade = "-f lavfi -i testsrc2=s=160x120:r=25:d=6 -vf fade=in:st=3:d=1 -c:v libx264";
    let bench = Bench::of("a.mp4", fade).await;
    bench.run(&bench.chunk_args(0)).await;
    assert!(bench.best_score() > MIN_POSTER_SCORE);

    // An intro longer than the first chunk: the next one offers what there is to see.
    let intro = "-f lavfi -i testsrc2=s=160x120:r=12:d=40 -vf fade=in:st=14:d=2 -c:v libx264 -preset ultrafast -g 24";
    let bench = Bench::of("a.mp4", intro).await;
    bench.run(&bench.chunk_args(0)).await;
    assert!(bench.best_score() < MIN_POSTER_SCORE);
    bench.run(&bench.chunk_args(1)).await;
    assert!(bench.best_score() > MIN_POSTER_SCORE);
}

#[tokio::test]
async fn a_long_single_chunk_looks_further_for_a_poster() {
    let intro = "-f lavfi -i testsrc2=s=64x36:r=5:d=100 -vf fade=in:st=40:d=2 -c:v libx264 -preset ultrafast -g 500";
    let bench = Bench::of("a.mp4", intro).await;
    assert_eq!(
        bench.planned.video.as_ref().unwrap().chunks,
        [0],
        "its key frames are rare"
    );

    bench.run(&bench.chunk_args(0)).await;
    let scores: Vec<f64> = bench.posters().iter().map(Picture::score).collect();
    assert!(scores[..8].iter().all(|score| *score < 1.0), "{scores:?}");
    assert!(
        scores[8..].iter().any(|score| *score > MIN_POSTER_SCORE),
        "{scores:?}"
    );
}

#[tokio::test]
async fn previews_of_high_dynamic_range_have_the_colours_of_the_video() {
    let args = "-f lavfi -i testsrc2=s=160x120:r=25:d=1 -pix_fmt yuv420p10le -c:v libx265 -x265-params log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc";
    let bench = Bench::of("hdr.mp4", args).await;
    assert_eq!(
        bench.planned.video.as_ref().unwrap().picture.color.transfer,
        Transfer::Pq
    );

    let tiles = bench.tiles_of(0).await;
    let name = bench.planned.videos().next().unwrap().name.to_string();
    let first = [
        std::fs::read(bench.path(&name).join(argv::INIT_FILE)).unwrap(),
        std::fs::read(bench.path(&name).join(argv::segment_file(0))).unwrap(),
    ];
    std::fs::write(bench.path("first.mp4"), first.concat()).unwrap();

    let shot = "-v error -nostdin -i first.mp4 -frames:v 1 -pix_fmt rgb24 -f rawvideo shot.rgb";
    ask(&tool().ffmpeg, bench.folder.path(), shot).await;
    let shot = std::fs::read(bench.path("shot.rgb")).unwrap();

    assert_eq!(shot.len(), tiles[0].len());
    let off: u64 = shot
        .iter()
        .zip(&tiles[0])
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    let mean = off as f64 / shot.len() as f64;
    assert!(
        mean < 6.0,
        "tile and video differ by {mean} of 255 on average"
    );
}

#[tokio::test]
async fn what_lies_before_the_end_of_a_key_frame_decodes_to_that_picture_alone() {
    let bench = Bench::of("a.mp4", &numbered("25", 40)).await;
    for chunk in [0, 1] {
        bench.run(&bench.chunk_args(chunk)).await;
        let video = bench.planned.video.as_ref().unwrap();
        let first = video.chunks[chunk as usize];
        let name = bench.planned.videos().last().unwrap().name.to_string();

        for (n, fragment, size) in bench.segments(&name, first) {
            let end = fragment.key_frame.expect("a key frame") as usize;
            assert!(end < size as usize);

            let mut bytes = std::fs::read(bench.path(&name).join(argv::INIT_FILE)).unwrap();
            bytes.extend(
                &std::fs::read(bench.path(&name).join(argv::segment_file(n))).unwrap()[..end],
            );
            std::fs::write(bench.path("range.mp4"), bytes).unwrap();

            let decode = "-v quiet -nostdin -y -i range.mp4 -fps_mode passthrough -pix_fmt rgb24 -f rawvideo range.rgb";
            ask(&tool().ffmpeg, bench.folder.path(), decode).await;
            let pixels = std::fs::read(bench.path("range.rgb")).unwrap();
            assert_eq!(pixels.len(), 64 * 36 * 3, "segment {n} gives one picture");
            assert_eq!(
                number(&pixels),
                u64::from(n) * u64::from(video.segment_frames)
            );
        }
    }
}
