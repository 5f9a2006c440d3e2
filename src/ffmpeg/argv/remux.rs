//! A copy of a source, packet for packet, in a container whose index leads to every key frame.

use super::{preamble, words};
use crate::ffmpeg::input::Input;

/// The file the copy is written to, in the folder ffmpeg runs in.
pub const COPY: &str = "source.mkv";

/// The arguments that copy video and sound of `input`, and its subtitles where `subtitles` says so, since Matroska does not take
/// every kind. Equal sources give equal bytes.
#[must_use]
pub fn remux(input: &Input, subtitles: bool) -> Vec<String> {
    let mut args = preamble();
    args.extend(words("-fflags +genpts -copyts"));
    args.extend(input.args());
    args.extend(words("-map 0:V -map 0:a?"));
    args.extend(words(if subtitles { "-map 0:s?" } else { "-sn" }));
    args.extend(words("-dn -c copy -fflags +bitexact -f matroska"));
    args.push(COPY.to_owned());
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_and_sound_are_copied_and_subtitles_where_they_can_be() {
        let text = |subtitles| remux(&Input::http("http://127.0.0.1:1/x"), subtitles).join(" ");
        let common = "-map 0:V -map 0:a?";
        assert!(text(true).ends_with(&format!(
            "{common} -map 0:s? -dn -c copy -fflags +bitexact -f matroska source.mkv"
        )));
        assert!(text(false).ends_with(&format!(
            "{common} -sn -dn -c copy -fflags +bitexact -f matroska source.mkv"
        )));
    }
}
