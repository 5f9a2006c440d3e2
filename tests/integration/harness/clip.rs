//! Clips made by ffmpeg, once for each description, and files that are no clips.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::process::{command, output_of};

/// A file to upload.
#[derive(Debug, Clone)]
pub(crate) struct Clip {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// What its event calls it.
    pub(crate) name: String,
}

/// What a clip is to be made of.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    size: &'static str,
    rate: &'static str,
    seconds: f64,
    sound: bool,
    title: Option<&'static str>,
    index_last: bool,
}

/// A moving test picture of `size` (`<width>x<height>`) and `seconds`, with noise as its sound: of
/// all sounds, noise tells best whether it was moved.
pub(crate) fn moving(size: &'static str, seconds: f64) -> Recipe {
    Recipe {
        size,
        rate: "25",
        seconds,
        sound: true,
        title: None,
        index_last: false,
    }
}

/// A clip of three chunks and two rungs that is as little work as such a clip can be.
pub(crate) fn long() -> Recipe {
    moving("854x480", 40.0).rate("12")
}

/// A clip of two chunks and less work still, for jobs that have to wait for something else.
pub(crate) fn small() -> Recipe {
    moving("640x360", 30.0).rate("12")
}

impl Recipe {
    /// Another frame rate than 25, as ffmpeg writes it.
    pub(crate) fn rate(mut self, rate: &'static str) -> Self {
        self.rate = rate;
        self
    }

    /// No sound.
    pub(crate) fn silent(mut self) -> Self {
        self.sound = false;
        self
    }

    /// A title in the container.
    pub(crate) fn titled(mut self, title: &'static str) -> Self {
        self.title = Some(title);
        self
    }

    /// The index of the container at its end, as a camera writes it.
    pub(crate) fn index_last(mut self) -> Self {
        self.index_last = true;
        self
    }

    fn arguments(&self) -> Vec<String> {
        let (size, rate, seconds) = (self.size, self.rate, self.seconds);
        let mut arguments = vec!["-f".to_owned(), "lavfi".into(), "-i".into()];
        arguments.push(format!(
            "testsrc2=size={size}:rate={rate}:duration={seconds}"
        ));

        if self.sound {
            let noise = format!(
                "anoisesrc=color=pink:seed=7:amplitude=0.4:sample_rate=48000:duration={seconds}"
            );
            arguments.extend(["-f".into(), "lavfi".into(), "-i".into(), noise]);
            arguments.extend(["-c:a", "aac", "-b:a", "128k", "-ac", "2"].map(str::to_owned));
        }

        arguments.extend(
            [
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
                "-crf",
                "24",
                "-pix_fmt",
                "yuv420p",
            ]
            .map(str::to_owned),
        );
        // With key frames far apart the planner would make one task of the whole clip.
        arguments.extend(["-g", "25"].map(str::to_owned));

        if !self.index_last {
            arguments.extend(["-movflags", "+faststart"].map(str::to_owned));
        }
        if let Some(title) = self.title {
            arguments.extend(["-metadata".into(), format!("title={title}")]);
        }

        arguments
    }

    /// The clip; made unless it was made before.
    pub(crate) async fn make(&self) -> Clip {
        make(&self.arguments(), "mp4").await
    }
}

/// A clip from any ffmpeg arguments before the output file.
pub(crate) async fn make(arguments: &[String], extension: &str) -> Clip {
    let digest = Sha256::digest(arguments.join("\0"));
    let name: String = digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let name = format!("{name}.{extension}");

    let folder = shelf();
    let path = folder.join(&name);
    if !path.exists() {
        // Several tests may want it at once: each makes its own, and the last one to be done stays.
        let part = folder.join(format!("{}.{extension}", cuid2::create_id()));
        let mut ffmpeg = command("ffmpeg");
        output_of(
            ffmpeg
                .args(["-v", "error", "-y"])
                .args(arguments)
                .arg(&part),
        )
        .await;
        std::fs::rename(&part, &path).unwrap();
    }

    Clip { path, name }
}

/// A clip from ffmpeg arguments in one line, none of which holds a blank.
pub(crate) async fn make_from(arguments: &str, extension: &str) -> Clip {
    let arguments: Vec<String> = arguments
        .split_ascii_whitespace()
        .map(str::to_owned)
        .collect();
    make(&arguments, extension).await
}

/// The folder of the clips, which outlives the run.
fn shelf() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clips");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A picture under the name of a video.
pub(crate) async fn photograph() -> Clip {
    let arguments = [
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x180",
        "-frames:v",
        "1",
    ]
    .map(str::to_owned);
    let clip = make(&arguments, "jpg").await;
    Clip {
        name: "photograph.mp4".to_owned(),
        ..clip
    }
}

impl Clip {
    /// A clip that someone else made.
    pub(crate) fn at(path: PathBuf) -> Self {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        Self { path, name }
    }

    /// A file with these bytes.
    pub(crate) fn of_bytes(folder: &Path, name: &str, bytes: &[u8]) -> Self {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        Self {
            path,
            name: name.to_owned(),
        }
    }

    /// Its first `share` (0 to 1), as a new file in `folder`.
    pub(crate) fn cut(&self, share: f64, folder: &Path) -> Self {
        let bytes = std::fs::read(&self.path).unwrap();
        let kept = (bytes.len() as f64 * share) as usize;
        Self::of_bytes(folder, &format!("cut-{}", self.name), &bytes[..kept])
    }

    /// Where it lies, as an argument.
    pub(crate) fn text(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// Bytes.
    pub(crate) fn size(&self) -> u64 {
        self.path.metadata().unwrap().len()
    }
}
