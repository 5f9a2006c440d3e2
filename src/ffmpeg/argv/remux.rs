//! A copy of a source, packet for packet, in a container whose index leads to every key frame.

use std::collections::BTreeMap;

use super::uniform::one_form;
use super::{preamble, words};
use crate::ffmpeg::input::Input;

/// The file the copy is written to, in the folder ffmpeg runs in.
pub const COPY: &str = "source.mkv";

/// The arguments that copy video and sound of `input`, and its subtitles where `subtitles` says so, since Matroska does not take
/// every kind. Equal sources give equal bytes.
///
/// `decoded` names tracks by their number among those of sound, with the channels they get: they are decoded to one form.
#[must_use]
pub fn remux(input: &Input, subtitles: bool, decoded: &BTreeMap<u32, u32>) -> Vec<String> {
    let mut args = preamble();
    args.extend(words("-fflags +genpts -copyts"));
    args.extend(input.args());
    args.extend(words("-map 0:V -map 0:a?"));
    args.extend(words(if subtitles { "-map 0:s?" } else { "-sn" }));
    args.extend(words("-dn -c copy"));
    for (k, channels) in decoded {
        // Frames so short that next to nothing is lost of the one in the making at a change.
        let filter = one_form(*channels, "s16");
        args.extend(words(&format!(
            "-c:a:{k} flac -frame_size:a:{k} 1024 -filter:a:{k} {filter}"
        )));
    }
    args.extend(words("-fflags +bitexact -f matroska"));
    args.push(COPY.to_owned());
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_and_sound_are_copied_and_subtitles_where_they_can_be() {
        let text = |subtitles| remux(&Input::http("http://127.0.0.1:1/x"), subtitles, &BTreeMap::new()).join(" ");
        let common = "-map 0:V -map 0:a?";
        assert!(text(true).ends_with(&format!(
            "{common} -map 0:s? -dn -c copy -fflags +bitexact -f matroska source.mkv"
        )));
        assert!(text(false).ends_with(&format!(
            "{common} -sn -dn -c copy -fflags +bitexact -f matroska source.mkv"
        )));
    }

    #[test]
    fn sound_whose_changes_matroska_cannot_keep_is_decoded() {
        let decoded = [(1, 2)].into();
        let text = remux(&Input::http("http://127.0.0.1:1/x"), false, &decoded).join(" ");
        assert!(
            text.contains("-c copy -c:a:1 flac -frame_size:a:1 1024 -filter:a:1 "),
            "{text}"
        );
    }
}
