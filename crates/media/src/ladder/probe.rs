//! What is known of a source after it was probed. Values only: `ffmpeg::probe` measures them, the
//! planner reads them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use streams::Rational;

use super::cadence::Cadence;
use super::rotation::Rotation;
use super::size::Size;

/// Pictures of a film for each picture of a still track next to it: slides, or the best shots of a
/// phone.
const STILL_TRACK_RATIO: usize = 20;

/// A probed source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// The demuxer's name, e.g. `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// The brand an ISO file names first, e.g. `qt  `.
    pub brand: Option<String>,
    /// The time the container starts at, in seconds. Seeking is relative to it.
    pub container_start: Rational,
    /// The time at which video and audio end according to the index of the container, in seconds,
    /// if it has one. If the packets end much earlier, data is missing.
    pub declared_end: Option<f64>,
    /// Every stream of the container, in its order.
    pub streams: Vec<Stream>,
    /// Whether a decoder can enter the main video at a time, as real seeks showed.
    pub seekable: bool,
    /// Seconds from a key frame to the time that was sought, for times spread over the main video.
    /// Empty when not seekable.
    pub leads: Vec<f64>,
    /// The programmes of a transport stream, each as the absolute indexes of its streams. Empty for
    /// other containers.
    #[serde(default)]
    pub programmes: Vec<Vec<u32>>,
    /// Seconds before a key frame from which decoding has to begin, since what is called a key
    /// frame is none: 0 for honest sources.
    pub seek_margin: f64,
    /// Whether its tracks are only known to readers that look deep into it.
    pub deep: bool,
    /// How its packets are brought onto one clock; none if they are on one already.
    pub clock_repair: Option<ClockRepair>,
}

/// Where the timestamps of a source restart or jump, and the correction that brings all tracks onto
/// one increasing clock.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClockRepair {
    /// The shifts of each stream, by its absolute index, in the order of its packets.
    pub shifts: BTreeMap<u32, Vec<ClockShift>>,
    /// Seconds from the first sample to the end of the last one, once repaired.
    pub duration: f64,
}

/// From one packet on, the time stamps of a stream are moved by so much more than before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClockShift {
    /// Number of the packet in its stream, counted from zero at its first key packet.
    pub packet: u64,
    /// Microseconds that are added.
    pub micros: i64,
}

/// One stream of a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// Absolute stream index.
    pub index: u32,
    /// The decoder's name for the codec; that of the container where ffmpeg knows none, empty where
    /// that has none either.
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
    /// Seconds of its longest packet of those that were seen, at most two; 0 where none was.
    #[serde(default)]
    pub packet: f64,
    /// What it carries.
    pub content: Content,
}

/// For whom a stream is. Containers mark this with "dispositions".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    /// Everyone, also those who asked for none: foreign speech and signs.
    pub forced: bool,
    /// People who are hard of hearing.
    pub hearing_impaired: bool,
    /// Those who see badly.
    pub visual_impaired: bool,
    /// People who want a commentary.
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
    /// Video or audio that cannot be decoded.
    Unreadable(Unreadable),
    /// Anything else.
    Data,
}

/// Why a track that is there cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// Whether it carries video; otherwise audio.
    pub is_video: bool,
    /// What is missing.
    pub cause: UnreadableCause,
}

/// What keeps a track from being decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnreadableCause {
    /// There is no decoder for its codec.
    NoDecoder,
    /// There is a decoder, and nothing in the track says what it has to know, such as the size of
    /// pictures.
    NoParameters,
    /// The decoder was tried and made nothing of its packets: it knows the codec, and not this form
    /// of it.
    UnknownForm,
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
    /// The lowest rate that holds every time stamp, as ffmpeg guesses it: the true one for constant
    /// rates.
    pub base_rate: Option<Rational>,
    /// How its pictures follow each other by their packets, where two of them were seen.
    #[serde(default)]
    pub cadence: Option<Box<Cadence>>,
    /// Whether the stream says that frames are pairs of fields.
    pub interlaced: bool,
    /// What a sample of the pictures showed of that, where one was taken and showed anything.
    pub fields: Option<Fields>,
    /// ffmpeg's name of the pixel format, e.g. `yuv420p10le`.
    pub pixel_format: String,
    /// Matrix coefficients, e.g. `bt709`; none if the source does not say.
    pub matrix: Option<String>,
    /// Transfer characteristics, e.g. `smpte2084`; none if the source does not say.
    pub transfer: Option<String>,
    /// Primaries, e.g. `bt2020`; none if the source does not say.
    pub primaries: Option<String>,
    /// Whether pictures may be transparent in places.
    pub alpha: bool,
    /// Whether the size or shape of the pictures changes within the stream, as far as it was
    /// checked.
    pub size_changes: bool,
    /// Whether pictures carry closed captions (CEA-608, CEA-708), as far as they were checked.
    #[serde(default)]
    pub captions: bool,
    /// Bits per second of the stream, where the container says.
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
    /// Whether the base layer is a complete picture: HDR10, HLG or standard. Profile 5 keeps its
    /// colours in a special colour space, and so does every later profile without a compatible
    /// base.
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
    /// The channel layout, as ffmpeg names it, e.g. `5.1(side)`; none if the source does not
    /// declare it.
    pub layout: Option<String>,
    /// Whether samples from several places of the track differ in channels, layout, rate or sample
    /// format. The fields above are then those of the widest form that lasts.
    #[serde(default)]
    pub changes: bool,
}

impl Probe {
    /// The stream whose pictures are encoded: of the videos that have any, one that moves, then the
    /// default one, then the largest as players show it, then the first. Before packets were looked
    /// at, codecs of single pictures come last.
    #[must_use]
    pub fn main_video(&self) -> Option<(&Stream, &Video)> {
        let most = self
            .videos()
            .map(|(_, video)| video.intervals())
            .max()
            .unwrap_or_default();

        self.videos().min_by_key(|(stream, video)| {
            let unknown = stream.end.is_none();
            let single = unknown && stream.is_picture_codec();
            let slow = video.intervals().saturating_mul(STILL_TRACK_RATIO) < most;
            (
                unknown,
                single,
                slow,
                !stream.default,
                Reverse(video.upright_size().area()),
            )
        })
    }

    /// The streams that carry moving pictures.
    fn videos(&self) -> impl Iterator<Item = (&Stream, &Video)> {
        self.streams
            .iter()
            .filter_map(|stream| match &stream.content {
                Content::Video(video) => Some((stream, video)),
                _ => None,
            })
    }

    /// Turns still videos into covers if there is a moving one; `pictures` is the number of
    /// pictures seen in a stream. A still on its own is the video.
    pub fn set_stills_aside(&mut self, pictures: impl Fn(u32) -> usize) {
        let most = self
            .videos()
            .map(|(stream, _)| pictures(stream.index))
            .max();
        let Some(most) = most.filter(|most| *most > 1) else {
            return;
        };

        for stream in &mut self.streams {
            let seen = pictures(stream.index);
            // Only codecs of single pictures are judged by how few there are; a stream of one
            // picture is a still in any codec.
            let few = stream.is_picture_codec() && seen.saturating_mul(STILL_TRACK_RATIO) < most;
            if matches!(stream.content, Content::Video(_)) && (seen == 1 || (seen > 0 && few)) {
                stream.content = Content::Cover;
            }
        }
    }

    /// The source time at which the last video or audio stream ends, according to its packets.
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

    /// Whether a stream belongs to another programme than the main video or, without video, than
    /// the first audio.
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
        let is_told =
            holding(main.index).next().is_some() && holding(stream.index).next().is_some();
        is_told && !holding(main.index).any(|programme| programme.contains(&stream.index))
    }

    /// The streams that carry audio of the programme.
    pub fn audios(&self) -> impl Iterator<Item = (&Stream, &Audio)> {
        self.streams
            .iter()
            .filter_map(|stream| match &stream.content {
                Content::Audio(audio) if !self.is_of_other_programme(stream) => {
                    Some((stream, audio))
                }
                _ => None,
            })
    }
}

impl Probe {
    /// The video or audio streams whose packets cannot be decoded here.
    pub fn unreadable(&self) -> impl Iterator<Item = (&Stream, Unreadable)> {
        self.streams
            .iter()
            .filter_map(|stream| match stream.content {
                Content::Unreadable(why) if stream.end.is_some() => Some((stream, why)),
                _ => None,
            })
    }
}

impl Video {
    /// How its stored pictures are rotated to be upright.
    #[must_use]
    pub fn turn(&self) -> Rotation {
        Rotation::from_rotation(self.rotation, self.mirrored)
    }

    /// Its upright size in square pixels: the stored height, and the width its pixel aspect makes
    /// of the stored width, turned as players turn it.
    #[must_use]
    pub fn upright_size(&self) -> Size {
        let aspect = if Size::believes(self.pixel_aspect) {
            self.pixel_aspect.as_f64()
        } else {
            1.0
        };
        let (width, height) = (
            (f64::from(self.width) * aspect).round().max(1.0) as u32,
            self.height,
        );

        if matches!(self.turn().clockwise, 90 | 270) {
            Size {
                width: height,
                height: width,
            }
        } else {
            Size { width, height }
        }
    }

    /// How many times a picture was seen to follow another.
    fn intervals(&self) -> usize {
        self.cadence.as_ref().map_or(0, |cadence| cadence.intervals)
    }
}

impl Stream {
    /// Whether it carries video or audio.
    #[must_use]
    pub const fn is_media(&self) -> bool {
        matches!(self.content, Content::Video(_) | Content::Audio(_))
    }

    /// Whether its codec is one of single pictures, which may be a film as well.
    #[must_use]
    pub fn is_picture_codec(&self) -> bool {
        matches!(
            self.codec.as_str(),
            "mjpeg" | "png" | "apng" | "bmp" | "gif" | "webp" | "tiff"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::testing;
    use proptest::prelude::*;

    fn video(index: u32, codec: &str, (width, height): (u32, u32), default: bool) -> Stream {
        let content = Content::Video(Video {
            width,
            height,
            ..testing::video()
        });
        Stream {
            default,
            end: Some(6.0),
            ..testing::stream(index, codec, content)
        }
    }

    fn probe(streams: Vec<Stream>) -> Probe {
        Probe {
            container: "matroska,webm".to_owned(),
            brand: None,
            container_start: Rational::ZERO,
            declared_end: None,
            streams,
            seekable: true,
            leads: Vec::new(),
            ..Probe::default()
        }
    }

    fn main(probe: &Probe) -> Option<u32> {
        probe.main_video().map(|(stream, _)| stream.index)
    }

    fn stored((width, height): (u32, u32), (num, den): (i64, i64), rotation: i32) -> Video {
        Video {
            width,
            height,
            pixel_aspect: Rational::new(num, den).unwrap(),
            rotation,
            ..testing::video()
        }
    }

    #[test]
    fn phones_and_discs_come_out_upright_and_square() {
        let upright = |size, aspect, rotation| {
            let size = stored(size, aspect, rotation).upright_size();
            (size.width, size.height)
        };

        assert_eq!(upright((1920, 1080), (1, 1), -90), (1080, 1920));
        assert_eq!(upright((1920, 1080), (1, 1), 180), (1920, 1080));
        assert_eq!(upright((720, 576), (64, 45), 0), (1024, 576));
        assert_eq!(upright((720, 576), (64, 45), 90), (576, 1024));
        assert_eq!(upright((640, 480), (1, 4000), 0), (640, 480));
    }

    #[test]
    fn the_default_then_the_largest_then_the_first_is_the_main_video() {
        let of = |streams| main(&probe(streams));
        let (small, large) = ((320, 180), (480, 270));

        assert_eq!(
            of(vec![
                video(0, "h264", small, true),
                video(1, "h264", large, true)
            ]),
            Some(1)
        );
        assert_eq!(
            of(vec![
                video(0, "h264", small, true),
                video(1, "h264", large, false)
            ]),
            Some(0)
        );
        assert_eq!(
            of(vec![
                video(0, "h264", small, false),
                video(1, "h264", large, false)
            ]),
            Some(1)
        );
        assert_eq!(
            of(vec![
                video(0, "h264", large, true),
                video(1, "h264", large, true)
            ]),
            Some(0)
        );

        assert_eq!(of(vec![]), None);
    }

    #[test]
    fn a_track_that_hardly_moves_is_no_main_video_beside_one_that_does() {
        let seen = |mut stream: Stream, pictures: u32| {
            if let Content::Video(video) = &mut stream.content {
                video.cadence = Cadence::of([testing::times(25.0, pictures, 0.001)]).map(Box::new);
            }
            stream
        };

        let film = || seen(video(0, "hevc", (1440, 1080), false), 53);
        let large = |pictures| seen(video(1, "hevc", (4000, 3000), true), pictures);
        assert_eq!(main(&probe(vec![film(), large(2)])), Some(0));
        assert_eq!(main(&probe(vec![film(), large(20)])), Some(1));
    }

    #[test]
    fn a_track_without_a_picture_is_no_main_video() {
        let empty = Stream {
            end: None,
            ..video(0, "h264", (1920, 1080), true)
        };
        assert_eq!(
            main(&probe(vec![
                empty.clone(),
                video(1, "h264", (320, 180), false)
            ])),
            Some(1)
        );
        assert_eq!(main(&probe(vec![empty])), Some(0));
    }

    #[test]
    fn before_packets_were_looked_at_a_codec_of_single_pictures_comes_last() {
        let unknown = |stream| Stream {
            end: None,
            ..stream
        };
        let cover = unknown(video(0, "mjpeg", (1000, 1000), true));
        let film = unknown(video(1, "h264", (640, 360), false));
        assert_eq!(main(&probe(vec![cover.clone(), film])), Some(1));
        assert_eq!(main(&probe(vec![cover])), Some(0));
    }

    #[test]
    fn stills_are_covers_beside_a_film_and_videos_alone() {
        let aside = |codec, pictures: [usize; 2]| {
            let mut probe = probe(vec![
                video(0, codec, (1000, 1000), true),
                video(1, "h264", (640, 360), true),
            ]);
            probe.set_stills_aside(|index| pictures[index as usize]);
            (probe.streams[0].content == Content::Cover, main(&probe))
        };

        assert_eq!(aside("mjpeg", [1, 150]), (true, Some(1)));
        assert_eq!(aside("h264", [1, 150]), (true, Some(1)));
        // A slide show of photographs next to a film.
        assert_eq!(aside("png", [4, 150]), (true, Some(1)));
        // A camera's film in JPEG.
        assert_eq!(aside("mjpeg", [150, 150]), (false, Some(0)));
        assert_eq!(aside("h264", [4, 150]), (false, Some(0)));
        // Nothing moves, or nothing was seen of it.
        assert_eq!(aside("mjpeg", [1, 1]), (false, Some(0)));
        assert_eq!(aside("mjpeg", [1, 0]), (false, Some(0)));
        assert_eq!(aside("h264", [0, 150]), (false, Some(0)));
    }

    proptest! {
        #[test]
        fn no_video_makes_its_upright_size_panic(width: u32, height: u32, num in 1i64.., den in 1i64.., rotation: i32, short: u32) {
            let _ = stored((width, height), (num, den), rotation).upright_size().scaled_to(short);
        }

        #[test]
        fn a_film_is_never_set_aside(
            streams in prop::collection::vec(("(h264|mjpeg|png)", any::<bool>(), 0usize..400, any::<bool>()), 0..6),
        ) {
            let ended = |ended: bool| ended.then_some(1.0);
            let videos = (0..).zip(&streams).map(|(index, (codec, default, _, end))| {
                Stream { end: ended(*end), ..video(index, codec, (64, 64), *default) }
            });

            let mut probe = probe(videos.collect());
            probe.set_stills_aside(|index| streams[index as usize].2);
            prop_assert_eq!(probe.main_video().is_some(), !streams.is_empty());

            let most = streams.iter().map(|stream| stream.2).max().unwrap_or_default();
            for (stream, (_, _, pictures, _)) in probe.streams.iter().zip(&streams) {
                prop_assert!(*pictures < most || *pictures == 0 || stream.content != Content::Cover);
            }
        }
    }
}
