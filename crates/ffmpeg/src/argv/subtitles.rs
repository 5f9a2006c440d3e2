//! Subtitles as WebVTT files, on the source's clock: what is on the output's is computed from them.

use streams::RenditionName;
use streams::plan::SubtitleRendition;

use super::split_words;

/// Seconds by which all times in the files are later than on the source's clock, since WebVTT has
/// no negative ones.
pub const TIME_OFFSET_SECONDS: u32 = 3600;

/// The file a subtitle rendition is written to, in the folder ffmpeg runs in.
#[must_use]
pub fn subtitle_file(name: &RenditionName) -> String {
    format!("subtitles-{name}.vtt")
}

/// Input options: text that is not UTF-8 is handed on as it is, not dropped.
pub(super) fn decoding() -> Vec<String> {
    split_words("-sub_charenc_mode ignore")
}

/// The output options of one rendition.
pub(super) fn args(rendition: &SubtitleRendition) -> Vec<String> {
    let mut args = split_words(&format!(
        "-map 0:{} -c:s webvtt -map_metadata -1 -map_chapters -1 -fflags +bitexact",
        rendition.track
    ));
    args.extend(split_words(&format!(
        "-output_ts_offset {TIME_OFFSET_SECONDS} -avoid_negative_ts disabled -f webvtt"
    )));
    args.push(subtitle_file(&rendition.name));
    args
}
