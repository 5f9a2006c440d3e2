//! A few pictures of our own through an encoder, to nowhere.

use streams::plan::VideoRendition;

use super::filter::{Chain, Filter};
use super::{encoder, split_words};

/// The arguments that show whether the encoder of `rendition` works, by the exit code.
#[must_use]
pub fn encoder_check(rendition: &VideoRendition) -> Vec<String> {
    let mut args = split_words("-hide_banner -nostdin -v error");
    args.extend(encoder::device_args(rendition));

    let gray = Filter::new("color")
        .value("gray")
        .arg("s", format!("{}x{}", rendition.width, rendition.height))
        .arg("r", 25);
    args.extend(split_words(&format!(
        "-f lavfi -i {gray} -frames:v {} -vf",
        rendition.gop_frames
    )));

    let chain = Chain::default()
        .then(Filter::new("format").value(&rendition.pixel_format))
        .then_all(encoder::upload_filters(rendition));
    args.push(chain.to_string());

    args.extend(encoder::args(rendition));
    args.extend(split_words("-f null -"));
    args
}
