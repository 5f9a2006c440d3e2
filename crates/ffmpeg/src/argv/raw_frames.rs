//! Pictures as plain bytes: what leaves ffmpeg to be looked at, and to be made into images by
//! ourselves.

use media::ladder::size::Size;

use super::filter::Filter;
use super::split_words;

/// Only the frames with these numbers, counted from zero.
pub(super) fn select(numbers: impl IntoIterator<Item = u64>) -> Filter {
    let terms: Vec<String> = numbers.into_iter().map(|n| format!("eq(n,{n})")).collect();
    Filter::new("select").value(terms.join("+"))
}

/// The filters from the grid's frames, whose matrix is `matrix`, to RGB pictures of a size.
pub(super) fn scaled(size: Size, matrix: &str) -> [Filter; 3] {
    [
        Filter::new("scale")
            .value(size.width)
            .value(size.height)
            .arg("flags", "bicubic+accurate_rnd+full_chroma_int")
            .arg("in_color_matrix", matrix),
        Filter::new("setsar").value(1),
        Filter::new("format").value("rgb24"),
    ]
}

/// The output options that write the frames of `label` to `file`, each once.
pub(super) fn output(label: &str, file: &str) -> Vec<String> {
    split_words(&format!(
        "-map [{label}] -fps_mode passthrough -c:v rawvideo -f rawvideo {file}"
    ))
}
