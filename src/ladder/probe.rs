//! What is known of a source after it was probed. Values only: `ffmpeg::probe` measures them, the planner reads them.

use serde::{Deserialize, Serialize};
use streams::Rational;

/// A probed source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// The demuxer's name, e.g. `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// The brand an ISO file names first, e.g. `qt  `.
    pub brand: Option<String>,
    /// The time the container starts at, in seconds. Seeking is relative to it.
    pub container_start: Rational,
    /// The time at which video and sound end by the word of the container's index, in seconds, where it has one. Where the packets
    /// end much earlier, data is missing.
    pub declared_end: Option<f64>,
    /// Every stream of the container, in its order.
    pub streams: Vec<Stream>,
    /// Whether a decoder can enter the main video at a time, as real seeks showed.
    pub seekable: bool,
    /// Seconds from a key frame to the time that was sought, for times spread over the main video. Empty when not seekable.
    pub leads: Vec<f64>,
    /// The programmes of a transport stream, each as the absolute indexes of its streams. Empty for other containers.
    #[serde(default)]
    pub programmes: Vec<Vec<u32>>,
}

/// One stream of a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// Absolute stream index.
    pub index: u32,
    /// The decoder's name for the codec; empty when ffmpeg knows none.
    pub codec: String,
    /// Language as the container spells it.
    pub language: Option<String>,
    /// Title the container gives the stream.
    pub title: Option<String>,
    /// Whether the container marks it as default.
    pub default: bool,
    /// For whom it is, by the marks of the container.
    pub audience: Audience,
    /// Source time of its first sample, in seconds, as its packets show.
    pub start: Option<Rational>,
    /// Source time of the end of its last sample, in seconds, as its packets show.
    pub end: Option<f64>,
    /// What it carries.
    pub content: Content,
}

/// For whom a stream is. Containers mark this with "dispositions".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    /// Everybody, also those who asked for none: foreign speech and signs.
    pub forced: bool,
    /// Those who hear badly.
    pub hearing_impaired: bool,
    /// Those who see badly.
    pub visual_impaired: bool,
    /// Those who want to hear about the making.
    pub commentary: bool,
}

/// What a stream carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Moving pictures.
    Video(Video),
    /// Sound.
    Audio(Audio),
    /// Subtitles.
    Subtitle {
        /// Whether they are pictures, not text.
        bitmap: bool,
    },
    /// An attached picture.
    Cover,
    /// Anything else.
    Data,
}

/// Moving pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Video {
    /// Pixels as stored, before rotation.
    pub width: u32,
    /// Pixels as stored, before rotation.
    pub height: u32,
    /// Width of a stored pixel over its height.
    pub pixel_aspect: Rational,
    /// Degrees by which players turn the picture counterclockwise, -180 to 180.
    pub rotation: i32,
    /// Whether players show it mirrored, too.
    pub mirrored: bool,
    /// Mean frames per second.
    pub average_rate: Option<Rational>,
    /// The lowest rate that holds every time stamp, as ffmpeg guesses it: the true one for constant rates.
    pub base_rate: Option<Rational>,
    /// Whether the stream says that frames are pairs of fields.
    pub interlaced: bool,
    /// What a sample of the pictures showed of that, where one was taken and told anything.
    pub fields: Option<Fields>,
    /// ffmpeg's name of the pixel format, e.g. `yuv420p10le`.
    pub pixel_format: String,
    /// Matrix coefficients, e.g. `bt709`; nothing where the source does not say.
    pub matrix: Option<String>,
    /// Transfer characteristics, e.g. `smpte2084`; nothing where the source does not say.
    pub transfer: Option<String>,
    /// Primaries, e.g. `bt2020`; nothing where the source does not say.
    pub primaries: Option<String>,
    /// Whether pictures may be transparent in places.
    pub alpha: bool,
    /// Bits per second of the stream, where the container tells.
    pub bitrate: Option<u64>,
    /// Dolby Vision, where there is any.
    pub dolby_vision: Option<DolbyVision>,
}

/// What frames turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fields {
    /// Whole pictures.
    Progressive,
    /// Pairs of fields, the top one first.
    TopFirst,
    /// Pairs of fields, the bottom one first.
    BottomFirst,
}

/// The Dolby Vision a stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DolbyVision {
    /// The profile.
    pub profile: u32,
    /// What players without Dolby Vision may take the base layer for; 0 is nothing.
    pub compatibility: Option<u32>,
}

impl DolbyVision {
    /// Whether the base layer is a picture of its own: HDR10, HLG or standard. Profile 5 keeps its colours in a space of its own, and so
    /// does every later profile without a compatible base.
    #[must_use]
    pub const fn has_base(self) -> bool {
        self.profile != 5 && !(self.profile >= 8 && matches!(self.compatibility, Some(0)))
    }
}

/// Sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audio {
    /// Channels.
    pub channels: u32,
    /// Samples per second.
    pub sample_rate: u32,
    /// ffmpeg's name of which channel is for which loudspeaker, e.g. `5.1(side)`; nothing where the source does not say.
    pub layout: Option<String>,
    /// Whether samples from several places of the track differ in channels, layout, rate or sample format. The fields above are then
    /// those of the widest form that lasts.
    #[serde(default)]
    pub changes: bool,
}

impl Probe {
    /// The stream whose pictures are encoded: the default video, else the first one.
    #[must_use]
    pub fn main_video(&self) -> Option<(&Stream, &Video)> {
        let videos = || {
            self.streams.iter().filter_map(|stream| match &stream.content {
                Content::Video(video) => Some((stream, video)),
                _ => None,
            })
        };
        videos().find(|(stream, _)| stream.default).or_else(|| videos().next())
    }

    /// The source time at which the last stream of video or sound ends, as packets show.
    #[must_use]
    pub fn end(&self) -> Option<f64> {
        let of_programme = |stream: &&Stream| !self.is_of_other_programme(stream);
        let media = self
            .streams
            .iter()
            .filter(|stream| stream.is_media())
            .filter(of_programme);
        media.filter_map(|stream| stream.end).max_by(f64::total_cmp)
    }

    /// Whether a stream belongs to another programme than the main video, or where there is none, than the first sound.
    #[must_use]
    pub fn is_of_other_programme(&self, stream: &Stream) -> bool {
        let first_sound = || {
            self.streams
                .iter()
                .find(|stream| matches!(stream.content, Content::Audio(_)))
        };
        let main = self.main_video().map(|(stream, _)| stream);
        let Some(main) = main.or_else(first_sound) else {
            return false;
        };
        let holding = |index: u32| {
            let programmes = self.programmes.iter();
            programmes.filter(move |programme| programme.contains(&index))
        };
        // What no programme mentions belongs to any of them.
        let is_told = holding(main.index).next().is_some() && holding(stream.index).next().is_some();
        is_told && !holding(main.index).any(|programme| programme.contains(&stream.index))
    }

    /// The streams that carry sound of the programme.
    pub fn audios(&self) -> impl Iterator<Item = (&Stream, &Audio)> {
        self.streams.iter().filter_map(|stream| match &stream.content {
            Content::Audio(audio) if !self.is_of_other_programme(stream) => Some((stream, audio)),
            _ => None,
        })
    }
}

impl Stream {
    /// Whether it carries moving pictures or sound.
    #[must_use]
    pub const fn is_media(&self) -> bool {
        matches!(self.content, Content::Video(_) | Content::Audio(_))
    }
}
