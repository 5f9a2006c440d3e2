//! The JSON of `ffprobe -show_format -show_streams`, with only the fields that are used. Missing
//! fields and unexpected types are not errors: what cannot be read is unknown.

use std::collections::BTreeMap;
use std::str::FromStr;

use media::ladder::audio;
use media::ladder::probe::{
    Audience, Audio, Content, DolbyVision, Stream, Unreadable, UnreadableCause, Video,
};
use serde::Deserialize;
use serde_json::Value;
use streams::Rational;

/// What ffprobe says of a source.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Document {
    pub(super) streams: Vec<RawStream>,
    pub(super) format: RawFormat,
    programs: Vec<RawProgram>,
}

/// One programme of a transport stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawProgram {
    streams: Vec<RawStream>,
}

/// The container.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawFormat {
    format_name: Scalar,
    start_time: Scalar,
    duration: Scalar,
    bit_rate: Scalar,
    tags: BTreeMap<String, Scalar>,
}

/// One stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawStream {
    index: Scalar,
    codec_type: Scalar,
    codec_name: Scalar,
    codec_tag_string: Scalar,
    width: Scalar,
    height: Scalar,
    sample_aspect_ratio: Scalar,
    avg_frame_rate: Scalar,
    r_frame_rate: Scalar,
    time_base: Scalar,
    start_pts: Scalar,
    duration: Scalar,
    duration_ts: Scalar,
    field_order: Scalar,
    pix_fmt: Scalar,
    color_space: Scalar,
    color_transfer: Scalar,
    color_primaries: Scalar,
    closed_captions: Scalar,
    bit_rate: Scalar,
    sample_fmt: Scalar,
    channels: Scalar,
    channel_layout: Scalar,
    sample_rate: Scalar,
    disposition: BTreeMap<String, Scalar>,
    tags: BTreeMap<String, Scalar>,
    side_data_list: Vec<SideData>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SideData {
    rotation: Scalar,
    displaymatrix: Scalar,
    dv_profile: Scalar,
    dv_bl_signal_compatibility_id: Scalar,
}

impl SideData {
    /// Whether its matrix turns left into right: then its determinant is negative. ffprobe prints
    /// three rows of three numbers, each row behind its own number and a colon.
    fn mirrors(&self) -> bool {
        let rows = self.displaymatrix.0.as_deref().unwrap_or_default().lines();
        let numbers = rows
            .filter_map(|row| row.split_once(':'))
            .flat_map(|(_, row)| row.split_whitespace());
        let numbers: Vec<f64> = numbers.filter_map(|number| number.parse().ok()).collect();

        match numbers[..] {
            [a, b, _, c, d, ..] => a * d - b * c < 0.0,
            _ => false,
        }
    }

    fn dolby_vision(&self) -> Option<DolbyVision> {
        Some(DolbyVision {
            profile: self.dv_profile.parse()?,
            compatibility: self.dv_bl_signal_compatibility_id.parse(),
        })
    }
}

/// A text or number; ffprobe writes some numbers as texts. Anything else counts as absent.
#[derive(Debug, Default)]
struct Scalar(Option<String>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::deserialize(deserializer)? {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }))
    }
}

impl Scalar {
    /// The text, unless it means that nothing is known.
    fn text(&self) -> Option<&str> {
        self.0
            .as_deref()
            .map(str::trim)
            .filter(|text| !matches!(*text, "" | "N/A" | "unknown" | "und"))
    }

    fn parse<T: FromStr>(&self) -> Option<T> {
        self.text()?.parse().ok()
    }

    fn seconds(&self) -> Option<f64> {
        self.parse().filter(|seconds: &f64| seconds.is_finite())
    }

    fn positive_rational(&self) -> Option<Rational> {
        self.text()?
            .replace(':', "/")
            .parse()
            .ok()
            .filter(|value| *value > Rational::ZERO)
    }
}

/// Tags are spelled in any case, by container.
fn tag<'a>(tags: &'a BTreeMap<String, Scalar>, name: &str) -> Option<&'a str> {
    tags.iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))?
        .1
        .text()
}

impl RawFormat {
    /// The demuxer's name.
    pub(super) fn name(&self) -> Option<&str> {
        self.format_name.text()
    }

    /// The brand an ISO file names first.
    pub(super) fn brand(&self) -> Option<String> {
        // Not trimmed: brands are padded with spaces.
        let (_, brand) = self
            .tags
            .iter()
            .find(|(key, _)| key.as_str() == "major_brand")?;
        brand.0.clone().filter(|brand| brand.len() <= 4)
    }

    /// The time the container starts at, zero where it does not say.
    pub(super) fn start(&self) -> Rational {
        let micros = self
            .start_time
            .seconds()
            .map_or(0.0, |seconds| (seconds * 1e6).round());
        #[expect(clippy::cast_possible_truncation, reason = "casts of floats saturate")]
        Rational::new(micros as i64, 1_000_000).unwrap_or(Rational::ZERO)
    }

    /// Its length in seconds, where it has one.
    pub(super) fn duration(&self) -> Option<f64> {
        self.duration.seconds().filter(|duration| *duration > 0.0)
    }
}

impl Document {
    /// The streams of each programme, by their absolute indexes.
    pub(super) fn programmes(&self) -> Vec<Vec<u32>> {
        let indexes = |program: &RawProgram| {
            program
                .streams
                .iter()
                .filter_map(|s| s.index.parse())
                .collect()
        };
        self.programs.iter().map(indexes).collect()
    }

    /// Bits per second of the only stream at `index` without its own rate: the total rate of the
    /// container minus the rates of the others.
    pub(super) fn rest_of_bitrate(&self, index: u32) -> Option<u64> {
        let whole: u64 = self.format.bit_rate.parse()?;
        let others = self
            .streams
            .iter()
            .filter(|stream| stream.index.parse() != Some(index));
        let others: u64 = others.filter_map(RawStream::bitrate).sum();
        whole.checked_sub(others).filter(|rate| *rate > 0)
    }
}

impl RawStream {
    /// The unit of its time stamps, in seconds.
    pub(super) fn time_base(&self) -> Option<Rational> {
        self.time_base.positive_rational()
    }

    /// The stream without what only its packets show; none if ffprobe gives it no index.
    pub(super) fn stream(&self) -> Option<Stream> {
        let start = self
            .start_pts
            .parse()
            .map(Rational::whole)
            .zip(self.time_base())
            .and_then(|(pts, base)| pts.checked_mul(base));
        Some(Stream {
            index: self.index.parse()?,
            codec: self.codec(),
            language: tag(&self.tags, "language").map(|text| truncate_text(text, 35)),
            // Not `handler_name`: that is more often the name of the program that wrote the file
            // than one for people. But it may name the channel.
            title: tag(&self.tags, "title")
                .or_else(|| {
                    tag(&self.tags, "handler_name").filter(|name| audio::side(name).is_some())
                })
                .map(|text| truncate_text(text, 60)),
            default: self.flag("default"),
            audience: Audience {
                forced: self.flag("forced"),
                hearing_impaired: self.flag("hearing_impaired"),
                visual_impaired: self.flag("visual_impaired") || self.flag("descriptions"),
                commentary: self.flag("comment"),
            },
            start,
            end: None,
            packet: 0.0,
            content: self.content(),
        })
    }

    /// Width and height of video as the container or a decoder gives them, whether or not it can be
    /// decoded; zeros if neither gives them. None for other tracks.
    pub(super) fn picture(&self) -> Option<(u32, u32)> {
        let pixels = |side: &Scalar| side.parse().unwrap_or(0);
        let moves = self.codec_type.text() == Some("video") && !self.is_attached();
        moves.then(|| (pixels(&self.width), pixels(&self.height)))
    }

    fn is_attached(&self) -> bool {
        self.flag("attached_pic") || self.flag("timed_thumbnails")
    }

    /// Its length in seconds according to the container. All ones mean an unknown length (ISO/IEC
    /// 14496-12 section 8.4.2.3), and so do the values that some writers derive from them.
    pub(super) fn duration(&self) -> Option<f64> {
        const UNKNOWN: [u64; 4] = [u32::MAX as u64, i32::MAX as u64, u64::MAX, i64::MAX as u64];
        let ticks: Option<u64> = self.duration_ts.parse();
        let duration = self.duration.seconds().filter(|duration| *duration > 0.0);
        duration.filter(|_| ticks.is_none_or(|ticks| !UNKNOWN.contains(&ticks)))
    }

    /// Whether it is a font, or another file that lies in the container.
    pub(super) fn is_attachment(&self) -> bool {
        self.codec_type.text() == Some("attachment")
    }

    /// Whether it is video or audio that ffmpeg could decode if it had more parameters.
    pub(super) fn may_be_known_deeper(&self) -> bool {
        matches!(self.content(), Content::Unreadable(why) if why.cause == UnreadableCause::NoParameters)
    }

    /// The name of the codec in ffmpeg, else the name in the container if it consists of letters.
    fn codec(&self) -> String {
        let tag = self
            .codec_tag_string
            .text()
            .filter(|tag| !tag.starts_with('['));
        let name = self.codec_name.text().or(tag).unwrap_or_default();
        truncate_text(name, 30)
    }

    fn flag(&self, name: &str) -> bool {
        self.disposition
            .get(name)
            .and_then(Scalar::parse::<i64>)
            .is_some_and(|set| set != 0)
    }

    fn content(&self) -> Content {
        match self.codec_type.text() {
            Some("video") if self.is_attached() => Content::Cover,
            Some("video") => self
                .video()
                .map_or_else(|| self.unreadable(true), Content::Video),
            Some("audio") => self
                .audio()
                .map_or_else(|| self.unreadable(false), Content::Audio),
            Some("subtitle") => Content::Subtitle {
                // Teletext pages are characters, but ffmpeg hands them out as pictures.
                bitmap: matches!(
                    self.codec_name.text(),
                    Some(
                        "hdmv_pgs_subtitle"
                            | "dvd_subtitle"
                            | "dvb_subtitle"
                            | "dvb_teletext"
                            | "xsub"
                    )
                ),
            },
            _ => Content::Data,
        }
    }

    fn unreadable(&self, is_video: bool) -> Content {
        Content::Unreadable(Unreadable {
            is_video,
            cause: match self.codec_name.text() {
                Some(_) => UnreadableCause::NoParameters,
                None => UnreadableCause::NoDecoder,
            },
        })
    }

    /// Pictures of a codec ffmpeg does not know have no format and cannot be decoded.
    fn video(&self) -> Option<Video> {
        Some(Video {
            width: self.width.parse().filter(|width| *width > 0)?,
            height: self.height.parse().filter(|height| *height > 0)?,
            pixel_aspect: self
                .sample_aspect_ratio
                .positive_rational()
                .unwrap_or(Rational::whole(1)),
            rotation: self.rotation(),
            mirrored: self.side_data_list.iter().any(SideData::mirrors),
            average_rate: self.avg_frame_rate.positive_rational(),
            base_rate: self.r_frame_rate.positive_rational(),
            cadence: None,
            interlaced: matches!(self.field_order.text(), Some("tt" | "bb" | "tb" | "bt")),
            fields: None,
            alpha: self.alpha(),
            size_changes: false,
            captions: self
                .closed_captions
                .parse::<u8>()
                .is_some_and(|found| found != 0),
            bitrate: self.bitrate(),
            pixel_format: self.pix_fmt.text()?.to_owned(),
            matrix: self.color_space.text().map(str::to_owned),
            transfer: self.color_transfer.text().map(str::to_owned),
            primaries: self.color_primaries.text().map(str::to_owned),
            dolby_vision: self.side_data_list.iter().find_map(SideData::dolby_vision),
        })
    }

    /// Bits per second by the word of the container; Matroska keeps them in a tag of its
    /// statistics.
    pub(super) fn bitrate(&self) -> Option<u64> {
        let tagged = || {
            ["BPS", "BPS-eng"]
                .iter()
                .find_map(|name| tag(&self.tags, name)?.parse().ok())
        };
        self.bit_rate
            .parse()
            .or_else(tagged)
            .filter(|rate| *rate > 0)
    }

    /// Whether its pictures may be transparent: by their format, or, for codecs that store opacity
    /// separately, by a tag.
    fn alpha(&self) -> bool {
        let format = self.pix_fmt.text().unwrap_or_default();
        let marks = [
            "yuva", "rgba", "bgra", "argb", "abgr", "gbrap", "ya8", "ya16",
        ];
        marks.iter().any(|mark| format.starts_with(mark))
            || tag(&self.tags, "alpha_mode") == Some("1")
    }

    /// Audio of a codec that ffmpeg does not know has no sample format and cannot be decoded.
    fn audio(&self) -> Option<Audio> {
        self.sample_fmt.text()?;
        Some(Audio {
            channels: self.channels.parse().filter(|channels| *channels > 0)?,
            sample_rate: self.sample_rate.parse().filter(|rate| *rate > 0)?,
            layout: self
                .channel_layout
                .text()
                .map(|text| truncate_text(text, 60)),
            changes: false,
        })
    }

    fn rotation(&self) -> i32 {
        let degrees = self
            .side_data_list
            .iter()
            .find_map(|data| data.rotation.seconds())
            .unwrap_or(0.0);
        #[expect(clippy::cast_possible_truncation, reason = "casts of floats saturate")]
        let degrees = degrees.round() as i32 % 360;

        match degrees {
            181.. => degrees - 360,
            ..=-181 => degrees + 360,
            _ => degrees,
        }
    }
}

/// At most `longest` characters, without control characters: titles go into playlists and facts.
fn truncate_text(text: &str, longest: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(longest)
        .collect()
}

#[cfg(test)]
mod tests;
