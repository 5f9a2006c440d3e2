//! `EXT-X-MEDIA` lines (RFC 8216bis section 4.4.6.1): the audio and subtitles that variants share.

use super::attributes::Attributes;
use super::bandwidth::Bandwidth;

/// The group of the stereo audio of every variant.
pub(super) const STEREO_GROUP: &str = "audio";

/// The group of the variants for players with more than two loudspeakers.
pub(super) const SURROUND_GROUP: &str = "surround";

/// The tag of an unknown language (RFC 5646 section 4.1): Apple's authoring rules want one for
/// every track.
const UNDETERMINED_LANGUAGE: &str = "und";

/// The one group of subtitles.
pub(super) const SUBTITLES_GROUP: &str = "subtitles";

/// The one group of closed captions.
pub(super) const CAPTIONS_GROUP: &str = "cc";

/// The line of closed captions that every variant carries within its pictures (RFC 8216bis section
/// 4.4.6.1). Which of the channels have text is not known without decoding all of them; the first
/// is that of the programme's own language.
pub(super) fn closed_captions() -> Attributes {
    Attributes::default()
        .plain("TYPE", "CLOSED-CAPTIONS")
        .quoted("GROUP-ID", CAPTIONS_GROUP)
        .quoted("NAME", "Closed captions")
        .yes_or_no("DEFAULT", false)
        .yes_or_no("AUTOSELECT", true)
        .quoted("INSTREAM-ID", "CC1")
}

/// One audio track, as one or two streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioMedia {
    /// What a player's menu shows; no two tracks may share it.
    pub name: String,
    /// RFC 5646 tag, where known.
    pub language: Option<String>,
    /// Whether players start with it. At most one may be.
    pub default: bool,
    /// Whether it describes what is visible, for people who cannot see it.
    pub describes_video: bool,
    /// Whether it is a commentary, which a player must not select automatically.
    pub commentary: bool,
    /// The track in stereo.
    pub stereo: AudioStream,
    /// The track in 5.1, where its source has as much.
    pub surround: Option<AudioStream>,
}

/// One encoding of an audio track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioStream {
    /// Its media playlist, relative to the multivariant playlist.
    pub uri: String,
    /// Number of channels.
    pub channels: u32,
    /// Codecs as RFC 6381 text.
    pub codecs: String,
    /// Peak and mean rate, in bits per second.
    pub bandwidth: Bandwidth,
}

/// One track of subtitles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubtitleMedia {
    /// Its media playlist, relative to the multivariant playlist.
    pub uri: String,
    /// What a player's menu shows; no two tracks may share it.
    pub name: String,
    /// RFC 5646 tag, where known.
    pub language: Option<String>,
    /// Whether players show it unasked. At most one may be.
    pub default: bool,
    /// Whether it holds only what everyone must read.
    pub forced: bool,
    /// Whether it also describes sounds, for people who cannot hear them.
    pub hearing_impaired: bool,
}

impl AudioMedia {
    const fn characteristics(&self) -> Option<&'static str> {
        if self.describes_video {
            Some("public.accessibility.describes-video")
        } else {
            None
        }
    }

    /// Whether a player may select the track by the language and needs of the viewer: not
    /// commentary, and of several tracks that it cannot distinguish only the first.
    pub(super) fn autoselect(&self, before: &[Self]) -> bool {
        let alike = |other: &Self| {
            !other.commentary
                && other.language == self.language
                && other.describes_video == self.describes_video
        };

        self.default || (!self.commentary && !before.iter().any(alike))
    }

    /// The line for one of its streams in the group `group`. In all groups the lines of a track are
    /// equal, except for the differences that the RFC allows.
    pub(super) fn attributes(
        &self,
        group: &str,
        stream: &AudioStream,
        autoselect: bool,
    ) -> Attributes {
        Attributes::default()
            .plain("TYPE", "AUDIO")
            .quoted("GROUP-ID", group)
            .quoted("NAME", &self.name)
            .quoted(
                "LANGUAGE",
                self.language.as_deref().unwrap_or(UNDETERMINED_LANGUAGE),
            )
            .yes_or_no("DEFAULT", self.default)
            .yes_or_no("AUTOSELECT", autoselect)
            .maybe_quoted("CHARACTERISTICS", self.characteristics())
            .quoted("CHANNELS", &stream.channels.to_string())
            .quoted("URI", &stream.uri)
    }
}

impl SubtitleMedia {
    const fn characteristics(&self) -> Option<&'static str> {
        if self.hearing_impaired {
            Some(
                "public.accessibility.transcribes-spoken-dialog,public.accessibility.describes-music-and-sound",
            )
        } else {
            None
        }
    }

    /// Whether a player may select the track by the language and needs of the viewer: of several
    /// that it cannot distinguish only the first.
    pub(super) fn autoselect(&self, before: &[Self]) -> bool {
        let alike = |other: &Self| {
            other.language == self.language
                && other.forced == self.forced
                && other.hearing_impaired == self.hearing_impaired
        };
        self.default || !before.iter().any(alike)
    }

    pub(super) fn attributes(&self, autoselect: bool) -> Attributes {
        Attributes::default()
            .plain("TYPE", "SUBTITLES")
            .quoted("GROUP-ID", SUBTITLES_GROUP)
            .quoted("NAME", &self.name)
            .quoted(
                "LANGUAGE",
                self.language.as_deref().unwrap_or(UNDETERMINED_LANGUAGE),
            )
            .yes_or_no("DEFAULT", self.default)
            .yes_or_no("AUTOSELECT", autoselect)
            .yes_or_no("FORCED", self.forced)
            .maybe_quoted("CHARACTERISTICS", self.characteristics())
            .quoted("URI", &self.uri)
    }
}
