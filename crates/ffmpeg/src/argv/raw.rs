//! Pictures as plain bytes: what leaves ffmpeg to be looked at, and to be made into images by ourselves.

use media::ladder::size::Size;

use super::words;

/// The filters from the grid's frames, whose matrix is `matrix`, to RGB pictures of a size.
pub(super) fn scaled(size: Size, matrix: &str) -> String {
    format!(
        "scale={}:{}:flags=bicubic+accurate_rnd+full_chroma_int:in_color_matrix={matrix},setsar=1,format=rgb24",
        size.width, size.height
    )
}

/// The output options that write the frames of `label` to `file`, each once.
pub(super) fn output(label: &str, file: &str) -> Vec<String> {
    words(&format!(
        "-map [{label}] -fps_mode passthrough -c:v rawvideo -f rawvideo {file}"
    ))
}
