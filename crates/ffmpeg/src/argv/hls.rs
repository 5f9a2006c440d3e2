//! The output options of one rendition: fragmented MP4 on the timeline of the whole rendition, one
//! file for each segment.

use streams::{Rational, RenditionName};

use super::split_words;
use super::time_format::{nearest, not_after};

/// What a rendition's muxer must know.
pub(super) struct Hls<'a> {
    /// The rendition.
    pub(super) name: &'a RenditionName,
    /// Length of a segment, in seconds.
    pub(super) segment: Rational,
    /// Number of the first segment.
    pub(super) first_segment: u32,
    /// Time of the first frame on the rendition's timeline, in seconds; nothing for runs that begin
    /// at zero.
    pub(super) offset: Option<Rational>,
    /// Sequence number of the first fragment, so that numbers rise over chunks.
    pub(super) first_fragment: u64,
}

impl Hls<'_> {
    /// The options. A cut that is due a microsecond after its key frame is made at the next one, so
    /// the segment length is rounded down. `frag_discont` keeps true decode times where the muxer
    /// would begin at zero; the edit list it writes by default is the same in every chunk;
    /// `temp_file` renames finished segments into place.
    pub(super) fn args(&self) -> Vec<String> {
        let mut args = split_words("-map_metadata -1 -map_chapters -1 -fflags +bitexact");
        if let Some(offset) = self.offset {
            args.extend(["-output_ts_offset".to_owned(), nearest(offset)]);
        }

        // Times have to stay as they are: ffmpeg would shift an output whose first decode time is
        // negative.
        args.extend(split_words(
            "-avoid_negative_ts disabled -f hls -hls_segment_type fmp4 -hls_playlist_type vod",
        ));
        args.extend(split_words("-hls_flags independent_segments+temp_file"));
        args.extend(split_words(&format!(
            "-hls_time {} -start_number {}",
            not_after(self.segment),
            self.first_segment
        )));
        args.extend(["-hls_segment_options".to_owned(), self.fragments()]);

        let name = self.name;
        args.extend(split_words(&format!(
            "-hls_fmp4_init_filename {} -hls_segment_filename {name}/%d.m4s {name}/local.m3u8",
            super::INIT_FILE
        )));
        args
    }

    fn fragments(&self) -> String {
        format!(
            "movflags=+frag_discont+skip_sidx:fragment_index={}",
            self.first_fragment
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_length_is_never_rounded_up() {
        let name = "240p".parse().unwrap();
        let hls = Hls {
            name: &name,
            // 63 frames at 110/7 a second, 4.0090909… s: rounded up, two segments became one.
            segment: Rational::new(441, 110).unwrap(),
            first_segment: 0,
            offset: None,
            first_fragment: 1,
        };

        let args = hls.args();
        let at = args.iter().position(|arg| arg == "-hls_time").unwrap();
        assert_eq!(args[at + 1], "4.009090");
    }
}
