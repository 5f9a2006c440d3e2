//! The poster of a source without video: its cover, no larger than other posters.

use super::filter::{Chain, Filter};
use super::split_words;

/// The file the cover is written to, in the folder ffmpeg runs in.
pub const COVER_FILE: &str = "cover.jpg";

/// Longest side of the poster, in pixels.
const MAX_COVER_SIDE: u32 = 1280;

/// The output options of the poster, made of stream `track`. JPEG files are full-range BT.601
/// (JFIF).
pub(super) fn args(track: u32) -> Vec<String> {
    let fitted = Filter::new("scale")
        .arg("w", format!("min({MAX_COVER_SIDE},iw)"))
        .arg("h", format!("min({MAX_COVER_SIDE},ih)"))
        .arg("force_original_aspect_ratio", "decrease")
        .arg("force_divisible_by", 2)
        .arg("out_color_matrix", "bt601")
        .arg("out_range", "pc");
    let chain = Chain::default()
        .then(fitted)
        .then(Filter::new("setsar").value(1))
        .then(Filter::new("format").value("yuvj420p"));

    let mut args = split_words(&format!("-map 0:{track} -frames:v 1 -filter:v"));
    args.push(chain.to_string());
    args.extend(split_words(
        "-c:v mjpeg -q:v 4 -map_metadata -1 -fflags +bitexact -flags:v +bitexact -f image2 -update 1",
    ));
    args.push(COVER_FILE.to_owned());
    args
}
