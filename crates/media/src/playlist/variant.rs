//! `EXT-X-STREAM-INF` and `EXT-X-I-FRAME-STREAM-INF` lines (RFC 8216bis sections 4.4.6.2 and
//! 4.4.6.3): what can be played.

use streams::Rational;

use super::attributes::Attributes;
use super::bandwidth::Bandwidth;

/// One rung.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Its media playlist, relative to the multivariant playlist.
    pub uri: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames per second.
    pub frame_rate: Rational,
    /// Codecs as RFC 6381 text.
    pub codecs: String,
    /// Rates of the pictures alone, in bits per second.
    pub bandwidth: Bandwidth,
}

/// The key frames of one rung, for fast forward and backward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IframeVariant {
    /// Its I-frame playlist, relative to the multivariant playlist.
    pub uri: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Codecs as RFC 6381 text, of the pictures alone.
    pub codecs: String,
    /// Rates of the key frames alone, played at normal speed, in bits per second.
    pub bandwidth: Bandwidth,
}

/// The audio and subtitles with which a variant is played.
pub(super) struct PlayedWith<'a> {
    /// The audio group and the largest rates in it.
    pub(super) audio: Option<(&'a str, Bandwidth)>,
    /// The codec of the pictures, where there are any, and each of the group's once.
    pub(super) codecs: String,
    /// The group of subtitles.
    pub(super) subtitles: Option<&'a str>,
    /// The group of the closed captions within the pictures.
    pub(super) captions: Option<&'a str>,
}

impl PlayedWith<'_> {
    /// The rates of something that is played with the group: any of its tracks may be, so the
    /// largest counts.
    pub(super) fn plus(&self, own: Bandwidth) -> Bandwidth {
        self.audio.map_or(own, |(_, largest)| own.plus(largest))
    }

    fn rates(&self, rates: Bandwidth) -> Attributes {
        Attributes::default()
            .plain("BANDWIDTH", rates.peak)
            .plain("AVERAGE-BANDWIDTH", rates.average)
            .quoted("CODECS", &self.codecs)
    }

    fn groups(&self, attributes: Attributes) -> Attributes {
        attributes
            .maybe_quoted("AUDIO", self.audio.map(|(group, _)| group))
            .maybe_quoted("SUBTITLES", self.subtitles)
    }

    /// The attributes of an audio-only variant; `rates` are the largest of the group.
    pub(super) fn sound_alone(&self, rates: Bandwidth) -> Attributes {
        self.groups(self.rates(rates))
    }
}

impl Variant {
    pub(super) fn attributes(&self, beside: &PlayedWith<'_>) -> Attributes {
        let pictures = beside
            .rates(beside.plus(self.bandwidth))
            .plain("RESOLUTION", format_args!("{}x{}", self.width, self.height))
            .plain(
                "FRAME-RATE",
                format_args!("{:.3}", self.frame_rate.as_f64()),
            )
            .plain("VIDEO-RANGE", "SDR");

        let attributes = beside.groups(pictures);
        // Where one variant says `NONE`, all of them have to (RFC 8216 section 4.3.4.2).
        match beside.captions {
            Some(group) => attributes.quoted("CLOSED-CAPTIONS", group),
            None => attributes.plain("CLOSED-CAPTIONS", "NONE"),
        }
    }
}

impl IframeVariant {
    pub(super) fn attributes(&self) -> Attributes {
        Attributes::default()
            .plain("BANDWIDTH", self.bandwidth.peak)
            .plain("AVERAGE-BANDWIDTH", self.bandwidth.average)
            .quoted("CODECS", &self.codecs)
            .plain("RESOLUTION", format_args!("{}x{}", self.width, self.height))
            .plain("VIDEO-RANGE", "SDR")
            .quoted("URI", &self.uri)
    }
}
