//! The command lines of ffmpeg, as values: a plan in, arguments out, no I/O.
//!
//! Output is CMAF, cut by ffmpeg's HLS muxer into `<rendition>/init.mp4` and `<rendition>/<n>.m4s`
//! below the folder ffmpeg runs in, `n` being the number of the segment in the whole rendition. A
//! segment is written under another name first: one that is visible is complete. The init segment
//! is complete as soon as a segment is visible. ffmpeg makes no folders: the caller does, one for
//! each rendition. The playlists it writes beside the segments know one chunk only and are ignored.

mod channel_mix;
mod cover;
mod encoder;
mod encoder_check;
pub(crate) mod filter;
mod hls;
mod picture;
mod poster;
mod raw_frames;
pub mod reference;
mod remux;
pub mod sample;
mod subtitles;
mod tiles;
mod time_format;
mod tracks;
mod uniform_audio;
mod video;

pub use cover::COVER_FILE;
pub use encoder::needs_device;
pub use encoder_check::encoder_check;
pub use poster::{FIRST_CANDIDATES as POSTER_CHOICE, POSTER_FILE, has_poster, poster_size};
pub use remux::{COPY_FILE, CopiedSubtitles, copied_streams, decoded_channels, remux};
pub use subtitles::{TIME_OFFSET_SECONDS, subtitle_file};
pub use tiles::TILES_FILE;
pub use tracks::{TrackSelection, loudness, loudness_file, tracks};
pub use uniform_audio::{uniform, uniform_bytes};
pub use video::{Pass, video_chunk, video_pass};

/// The file a rendition's init segment is written to, in the rendition's folder.
pub const INIT_FILE: &str = "init.mp4";

/// The file segment `n` of a rendition is written to, in the rendition's folder.
#[must_use]
pub fn segment_file(n: u32) -> String {
    format!("{n}.m4s")
}

/// What the machine, not the plan, decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Threads of each decoder and encoder; as many as there are processors where nothing is said.
    pub threads: Option<u32>,
    /// Where a chunk enters the source.
    pub entry: Entry,
}

/// Where a chunk enters the source. What is called a key frame there may be none: then nothing can
/// be shown for a while behind it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Entry {
    /// At the key frame before the chunk, or as much earlier as is planned.
    #[default]
    Planned,
    /// At the key frame so many seconds before that.
    Earlier(u16),
    /// At the start of the source.
    Start,
}

impl Entry {
    /// The next try of a chunk that was entered too late.
    #[must_use]
    pub const fn earlier(self) -> Option<Self> {
        match self {
            Self::Planned => Some(Self::Earlier(12)),
            Self::Earlier(12) => Some(Self::Earlier(60)),
            Self::Earlier(_) => Some(Self::Start),
            Self::Start => None,
        }
    }
}

impl Options {
    fn args(self) -> Vec<String> {
        self.threads.map_or_else(Vec::new, |threads| {
            split_words(&format!("-threads {threads}"))
        })
    }
}

/// What every run begins with: no questions, warnings only, and progress where [`super::process`]
/// reads it.
fn common_args() -> Vec<String> {
    split_words("-hide_banner -nostdin -y -v warning -progress pipe:1 -nostats")
}

/// Arguments without blanks inside, from a text.
fn split_words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod golden;
