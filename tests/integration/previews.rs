//! The pictures of a video: a poster that shows something, storyboards that show the right moment,
//! and key frames for fast forward.

use fluxhls::job::receipt::Receipt;
use hls_m3u8::tags::VariantStream;
use hls_m3u8::{MasterPlaylist, MediaPlaylist};
use streams::fact::{Ended, Planned};
use streams::task::{Duty, TaskName};
use url::Url;

use crate::harness::clip::{Clip, make};
use crate::harness::database::Engine;
use crate::harness::output::http::{Answer, get, try_get};
use crate::harness::process::{command, output_of};
use crate::harness::until;
use crate::harness::world::World;

/// A clip of 64x36 pixels whose frames have one colour each, which encodes their number.
async fn numbered(rate: &str, seconds: u32) -> Clip {
    let source = format!(
        "nullsrc=size=64x36:rate={rate}:duration={seconds},format=gbrp,\
         geq=r=21*mod(N\\,12):g=21*mod(floor(N/12)\\,12):b=28*floor(N/144)"
    );
    let encode = [
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-qp",
        "4",
        "-g",
        "25",
        "-pix_fmt",
        "yuv420p",
    ];
    let arguments = ["-f", "lavfi", "-i", &source]
        .into_iter()
        .chain(encode)
        .map(str::to_owned);
    make(&arguments.collect::<Vec<_>>(), "mp4").await
}

/// The number that a picture of [`numbered`] encodes in its colour.
fn number(pixel: [u8; 3]) -> u64 {
    let digit = |value: u8, step: u64| (u64::from(value) + step / 2) / step;
    digit(pixel[0], 21) + 12 * digit(pixel[1], 21) + 144 * digit(pixel[2], 28)
}

/// A decoded picture.
struct Shown {
    width: usize,
    pixels: Vec<u8>,
}

impl Shown {
    /// What ffmpeg makes of the one picture at a path or URL.
    async fn of(input: &str) -> Self {
        let entries = [
            "-v",
            "error",
            "-show_entries",
            "stream=width",
            "-of",
            "csv=p=0",
        ];
        let said = output_of(command("ffprobe").args(entries).arg(input)).await;
        let width = String::from_utf8(said).unwrap().trim().parse().unwrap();
        let mut ffmpeg = command("ffmpeg");
        ffmpeg.args([
            "-nostdin",
            "-v",
            "quiet",
            "-i",
            input,
            "-fps_mode",
            "passthrough",
        ]);
        let pixels = output_of(ffmpeg.args(["-pix_fmt", "rgb24", "-f", "rawvideo", "-"])).await;
        Self { width, pixels }
    }

    fn height(&self) -> usize {
        self.pixels.len() / 3 / self.width
    }

    fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.width + x) * 3;
        self.pixels[at..at + 3].try_into().unwrap()
    }

    /// Mean of all samples, 0 to 255.
    fn brightness(&self) -> f64 {
        self.pixels
            .iter()
            .map(|value| f64::from(*value))
            .sum::<f64>()
            / self.pixels.len() as f64
    }
}

/// A cue of a storyboard.
#[derive(Debug)]
struct Cue {
    from: f64,
    until: f64,
    sheet: Url,
    /// Left, top, width and height in the sheet.
    place: [usize; 4],
}

fn seconds(clock: &str) -> f64 {
    clock
        .split(':')
        .fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap())
}

async fn immutable(url: &Url, content_type: &str) -> Answer {
    let answer = get(url).await;
    assert_eq!(
        (answer.status, answer.content_type.as_str()),
        (200, content_type),
        "{url}"
    );
    assert_eq!(
        answer.cache_control, "public, max-age=31536000, immutable",
        "{url}"
    );
    answer
}

/// The cues of a job's storyboard, as a player reads them.
async fn cues(ended: &Ended) -> Vec<Cue> {
    let index: Url = ended
        .storyboard_url
        .as_deref()
        .expect("a storyboard")
        .parse()
        .unwrap();
    let text = String::from_utf8(immutable(&index, "text/vtt").await.body).unwrap();
    let mut blocks = text.trim_end().split("\n\n");
    assert_eq!(blocks.next(), Some("WEBVTT"), "{text}");
    let cue = |block: &str| {
        let (times, link) = block.split_once('\n').unwrap();
        let (from, until) = times.split_once(" --> ").unwrap();
        let (sheet, place) = link.split_once("#xywh=").unwrap();
        let place: Vec<usize> = place
            .split(',')
            .map(|number| number.parse().unwrap())
            .collect();
        Cue {
            from: seconds(from),
            until: seconds(until),
            sheet: index.join(sheet).unwrap(),
            place: place.try_into().unwrap(),
        }
    };
    blocks.map(cue).collect()
}

/// Every tile shows the frame its cue begins with; cues follow each other without gap from zero to
/// the end. Returns how many sheets there are.
async fn every_tile_shows_its_moment(ended: &Ended, planned: &Planned) -> usize {
    let rate = planned.video.as_ref().unwrap().frame_rate.as_f64();
    let cues = cues(ended).await;
    assert_eq!(cues.len(), planned.storyboard.unwrap().tiles as usize);
    assert!(cues[0].from.abs() < 1e-9);
    assert!(
        cues.windows(2)
            .all(|pair| (pair[0].until - pair[1].from).abs() < 1e-9)
    );
    let end = ended.duration_seconds.unwrap();
    assert!(
        (cues.last().unwrap().until - end).abs() < 0.001,
        "{cues:?} of {end} s"
    );
    let mut sheets: Vec<(Url, Shown)> = Vec::new();
    for Cue {
        from, sheet, place, ..
    } in &cues
    {
        if sheets.last().is_none_or(|(url, _)| url != sheet) {
            immutable(sheet, "image/jpeg").await;
            sheets.push((sheet.clone(), Shown::of(sheet.as_str()).await));
        }
        let shown = &sheets.last().unwrap().1;
        let [x, y, width, height] = *place;
        assert!(
            x + width <= shown.width && y + height <= shown.height(),
            "{place:?} in {sheet}"
        );
        // JPEG mixes colours within blocks of 16 pixels, which tiles need not end with: so it is
        // looked at more than that inside.
        for x in [x + 17, x + width / 2, x + width - 18] {
            let pixel = shown.pixel(x, y + height / 2);
            assert_eq!(
                number(pixel),
                (from * rate).round() as u64,
                "{pixel:?} at {from} s in {sheet}"
            );
        }
    }
    sheets.len()
}

/// Every key frame that the I-frame playlist names is one picture, the right one, for as long as
/// the next one takes to come.
async fn every_key_frame_is_the_one_it_should_be(world: &World, ended: &Ended, planned: &Planned) {
    let master: Url = ended.manifest_url.as_deref().unwrap().parse().unwrap();
    let text = String::from_utf8(get(&master).await.body).unwrap();
    let parsed = MasterPlaylist::try_from(text.as_str()).unwrap();
    let iframes: Vec<_> = parsed
        .variant_streams
        .iter()
        .filter_map(|variant| match variant {
            VariantStream::ExtXIFrame { uri, stream_data } => Some((uri, stream_data)),
            VariantStream::ExtXStreamInf { .. } => None,
        })
        .collect();
    let [(uri, stream)] = iframes[..] else {
        panic!("one I-frame variant in {text}")
    };
    let url = master.join(uri).unwrap();
    let body = immutable(&url, "application/vnd.apple.mpegurl").await.body;
    let text = String::from_utf8(body).unwrap();
    let playlist = MediaPlaylist::try_from(text.as_str()).unwrap();
    assert!(
        playlist.has_i_frames_only && playlist.has_end_list,
        "{text}"
    );
    let lowest = planned.videos().last().unwrap();
    let size = stream
        .resolution()
        .map(|size| (size.width(), size.height()));
    assert_eq!(size, Some((lowest.width as usize, lowest.height as usize)));
    let init = text
        .lines()
        .find_map(|line| line.strip_prefix("#EXT-X-MAP:URI=\""))
        .unwrap();
    let init = immutable(&url.join(init.trim_end_matches('"')).unwrap(), "video/mp4")
        .await
        .body;
    let mut at = 0.0;
    let mut peak = 0.0_f64;
    for segment in playlist.segments.values() {
        let range = segment.byte_range.as_ref().unwrap();
        let wanted = format!("bytes={}-{}", range.start().unwrap(), range.end() - 1);
        let answer = try_get(&url.join(segment.uri()).unwrap(), &wanted)
            .await
            .unwrap();
        assert_eq!((answer.status, answer.body.len()), (206, range.end()));
        let file = world.folder().join("key-frame.mp4");
        std::fs::write(&file, [init.clone(), answer.body].concat()).unwrap();
        let shown = Shown::of(file.to_str().unwrap()).await;
        assert_eq!(shown.pixels.len(), 64 * 36 * 3, "one picture at {at} s");
        let rate = lowest.frame_rate.as_f64();
        assert_eq!(
            number(shown.pixel(32, 18)),
            (at * rate).round() as u64,
            "at {at} s"
        );
        let seconds = segment.duration.duration().as_secs_f64();
        if seconds * 2.0 >= f64::from(planned.segment.target_duration) {
            peak = peak.max(range.end() as f64 * 8.0 / seconds);
        }
        at += seconds;
    }
    assert!(
        (at - ended.duration_seconds.unwrap()).abs() < 0.001,
        "{at} s of key frames"
    );
    let declared = stream.bandwidth() as f64;
    assert!(
        (0.99..1.01).contains(&(declared / peak)),
        "{declared} b/s declared, {peak} measured"
    );
}

/// What the receipt names is there, and all previews are named.
async fn receipt(world: &World, planned: &Planned) -> Receipt {
    let listed = world.bucket.list("hls/").await.unwrap();
    let key = |part: &str| {
        listed
            .iter()
            .map(|meta| &meta.key)
            .find(|key| key.contains(part))
            .unwrap()
    };
    let job = planned.head.job_id.as_str();
    let bytes = world
        .bucket
        .get(key(&format!("{job}/receipt.json")), 1 << 20)
        .await
        .unwrap()
        .unwrap();
    let receipt: Receipt = serde_json::from_slice(&bytes).unwrap();
    for object in &receipt.objects {
        let found = listed.iter().find(|meta| meta.key == object.key);
        assert_eq!(
            found.map(|meta| meta.size),
            Some(object.size),
            "{}",
            object.key
        );
    }
    for wanted in ["/storyboard-0-", "/iframe-", ".vtt"]
        .into_iter()
        .chain(receipt.poster.as_deref())
    {
        assert!(
            receipt
                .objects
                .iter()
                .any(|object| object.key.contains(wanted)),
            "{wanted}"
        );
    }
    receipt
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tiles_and_key_frames_of_a_video_by_two_workers_show_the_right_moments() {
    let world = World::new(Engine::Sqlite).await;
    let (_one, _two) = (world.worker("one").start(), world.worker("two").start());
    for (rate, seconds) in [("25", 41), ("30000/1001", 26)] {
        let job = world.submit(&numbered(rate, seconds).await).await;
        let (ended, planned) = (world.completed(&job).await, world.planned(&job).await);
        assert_eq!(ended.warnings, ["no_audio"]);
        assert_eq!(every_tile_shows_its_moment(&ended, &planned).await, 1);
        every_key_frame_is_the_one_it_should_be(&world, &ended, &planned).await;
        let poster: Url = ended.thumbnail_url.as_deref().unwrap().parse().unwrap();
        immutable(&poster, "image/jpeg").await;
        let receipt = receipt(&world, &planned).await;
        assert!(poster.path().ends_with(&receipt.poster.unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_video_fills_several_sheets() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").start();
    let job = world.submit(&numbered("2", 600).await).await;
    let (ended, planned) = (world.completed(&job).await, world.planned(&job).await);
    assert_eq!(every_tile_shows_its_moment(&ended, &planned).await, 3);
    receipt(&world, &planned).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_video_that_begins_black_has_a_poster_from_later_on() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").start();
    let arguments = "-f lavfi -i testsrc2=size=320x180:rate=12:duration=40 -vf fade=in:st=15:d=2 -c:v libx264 -preset ultrafast -g 24";
    let arguments: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
    let job = world.submit(&make(&arguments, "mp4").await).await;
    let ended = world.completed(&job).await;
    let poster = ended.thumbnail_url.clone().unwrap();
    let shown = Shown::of(&poster).await;
    assert_eq!((shown.width, shown.height()), (320, 180));
    assert!(shown.brightness() > 60.0, "{}", shown.brightness());
    let results = world.results(&job).await;
    let first = results
        .iter()
        .find(|done| done.task == TaskName::video(0))
        .unwrap();
    let attempt = storage::base36(first.attempt);
    assert!(
        !poster.ends_with(&format!("poster-{attempt}.jpg")),
        "{poster} is the first chunk's"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn previews_that_are_lost_are_a_warning_and_the_video_plays() {
    let world = World::new(Engine::Sqlite).await;
    let worker = world
        .worker("encoder")
        .roles("intake,plan,encode,project")
        .start();
    let job = world.submit(&numbered("25", 26).await).await;
    let chunks = world.planned(&job).await.video.unwrap().chunks.len();
    until("every chunk is done", async || {
        world.results(&job).await.len() == chunks
    })
    .await;
    let listed = world.bucket.list("hls/").await.unwrap();
    let tiles: Vec<String> = listed
        .into_iter()
        .map(|meta| meta.key)
        .filter(|key| key.ends_with(".rgb"))
        .collect();
    assert_eq!(tiles.len(), chunks);
    world.bucket.delete(&tiles[..1]).await.unwrap();
    drop(worker);
    let _packager = world.worker("packager").start();
    let ended = world.completed(&job).await;
    assert_eq!(ended.warnings, ["no_audio", "no_storyboard"]);
    assert_eq!(ended.storyboard_url, None);
    assert!(
        world
            .results(&job)
            .await
            .iter()
            .all(|done| matches!(done.task.duty, Duty::Video(_)) && !done.task.redo)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_finishers_write_one_storyboard() {
    let world = World::new(Engine::Sqlite).await;
    let mut first = world.worker("first").dies_at("package.receipt").start();
    let job = world.submit(&numbered("25", 26).await).await;
    first.ended_within(crate::harness::DEADLINE).await;
    let _second = world.worker("second").start();
    world.completed(&job).await;
    let listed = world.bucket.list("hls/").await.unwrap();
    let images: Vec<_> = listed
        .iter()
        .filter(|meta| meta.key.contains("/storyboard-"))
        .collect();
    assert_eq!(images.len(), 2, "one sheet and one index: {images:?}");
}
