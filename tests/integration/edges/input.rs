//! How an input is made: by ffmpeg, in one step or in several, and by changing what ffmpeg made.

use std::path::Path;

use futures::future::BoxFuture;
use sha2::{Digest as _, Sha256};

use crate::harness::clip::{Clip, make_from};

/// A change to the bytes of a file.
pub(crate) type Change = Box<dyn Fn(&mut Vec<u8>) + Send + Sync>;

/// What an upload is made of.
pub(crate) enum Input {
    /// By ffmpeg with these arguments, none of which contains a space.
    Made(String, &'static str),
    /// By ffmpeg from another input: the arguments before it, and those after it.
    Remade(Box<Input>, String, String, &'static str),
    /// By ffmpeg from an input and additional ones: the arguments before each of these, and those
    /// after all.
    Muxed(Box<Input>, Vec<Input>, String, String, &'static str),
    /// The bytes of several inputs behind each other.
    Joined(Vec<Input>),
    /// Another input with its bytes changed.
    Changed(Box<Input>, Change),
    /// These bytes.
    Bytes(Vec<u8>),
    /// A file of this name, whatever it holds.
    Named(Box<Input>, &'static str),
}

/// An input that ffmpeg makes with these arguments.
pub(crate) fn made(arguments: impl Into<String>, extension: &'static str) -> Input {
    Input::Made(arguments.into(), extension)
}

/// Cheap H.264 as cameras write it.
pub(crate) const H264: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 25";

/// A moving picture of `size` at `rate` for `seconds`, as an input of ffmpeg.
pub(crate) fn moving(size: &str, rate: &str, seconds: f64) -> String {
    format!("-f lavfi -i testsrc2=s={size}:r={rate}:d={seconds}")
}

/// A tone of `hertz` for `seconds`, as an input of ffmpeg.
pub(crate) fn tone(hertz: u32, seconds: f64) -> String {
    format!("-f lavfi -i sine=f={hertz}:r=48000:d={seconds}")
}

/// A black screen at `rate` that flashes for three frames at each of `moments`, which are times of
/// frames.
pub(crate) fn flashes(rate: &str, seconds: f64, moments: &[f64]) -> String {
    let (num, den) = rate.split_once('/').unwrap_or((rate, "1"));
    let rate_number = num.parse::<f64>().unwrap() / den.parse::<f64>().unwrap();
    let lit = moments.iter().map(|moment| {
        let first = (moment * rate_number).round();
        format!("between(n\\,{first}\\,{})", first + 2.0)
    });
    let lit = lit.collect::<Vec<_>>().join("+");
    format!(
        "-f lavfi -i color=c=black:s=128x72:r={rate}:d={seconds},drawbox=w=iw:h=ih:c=white:t=fill:enable={lit}"
    )
}

/// Silence that beeps for a tenth of a second at each of `moments`.
pub(crate) fn beeps(seconds: f64, moments: &[f64]) -> String {
    let loud = moments
        .iter()
        .map(|moment| format!("between(t\\,{moment}\\,{})", moment + 0.1));
    let loud = loud.collect::<Vec<_>>().join("+");
    format!("-f lavfi -i aevalsrc=0.8*sin(2*PI*1000*t)*({loud}):s=48000:d={seconds}")
}

impl Input {
    /// Passed through ffmpeg again, with these arguments before and behind it.
    pub(crate) fn remade(self, before: &str, behind: &str, extension: &'static str) -> Self {
        Self::Remade(
            Box::new(self),
            before.to_owned(),
            behind.to_owned(),
            extension,
        )
    }

    /// Passed through ffmpeg together with others, which these arguments precede; other arguments
    /// follow all of them.
    pub(crate) fn with(
        self,
        others: Vec<Self>,
        before: &str,
        behind: &str,
        extension: &'static str,
    ) -> Self {
        Self::Muxed(
            Box::new(self),
            others,
            before.to_owned(),
            behind.to_owned(),
            extension,
        )
    }

    /// With its bytes changed.
    pub(crate) fn changed(self, change: impl Fn(&mut Vec<u8>) + Send + Sync + 'static) -> Self {
        Self::Changed(Box::new(self), Box::new(change))
    }

    /// Under another file name.
    pub(crate) fn named(self, name: &'static str) -> Self {
        Self::Named(Box::new(self), name)
    }

    /// Its first `share` (0 to 1).
    pub(crate) fn cut(self, share: f64) -> Self {
        self.changed(move |bytes| bytes.truncate((bytes.len() as f64 * share) as usize))
    }

    /// Makes the file, in `folder` unless it is one that ffmpeg made alone.
    pub(crate) fn make<'a>(&'a self, folder: &'a Path) -> BoxFuture<'a, Clip> {
        Box::pin(async move {
            match self {
                Self::Made(arguments, extension) => make_from(arguments, extension).await,
                Self::Remade(input, before, behind, extension) => {
                    let clip = input.make(folder).await;
                    make_from(&format!("{before} -i {} {behind}", clip.text()), extension).await
                }
                Self::Muxed(input, others, before, behind, extension) => {
                    let mut arguments = format!("-i {}", input.make(folder).await.text());
                    for other in others {
                        arguments
                            .push_str(&format!(" {before} -i {}", other.make(folder).await.text()));
                    }
                    make_from(&format!("{arguments} {behind}"), extension).await
                }
                Self::Joined(inputs) => {
                    let mut bytes = Vec::new();
                    for input in inputs {
                        bytes.extend(read(&input.make(folder).await));
                    }
                    write(folder, &bytes)
                }
                Self::Changed(input, change) => {
                    let mut bytes = read(&input.make(folder).await);
                    change(&mut bytes);
                    write(folder, &bytes)
                }
                Self::Bytes(bytes) => write(folder, bytes),
                Self::Named(input, name) => Clip {
                    name: (*name).to_owned(),
                    ..input.make(folder).await
                },
            }
        })
    }
}

fn read(clip: &Clip) -> Vec<u8> {
    std::fs::read(&clip.path).unwrap()
}

/// A file named for its bytes, so that what is made from it is named for them too.
fn write(folder: &Path, bytes: &[u8]) -> Clip {
    let name: String = Sha256::digest(bytes)[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Clip::of_bytes(folder, &name, bytes)
}
