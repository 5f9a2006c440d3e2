//! Multivariant playlists (RFC 8216bis section 4.4.6): every variant of a job, and the sound they share.

use std::fmt::{self, Display};

use streams::Rational;

use super::VERSION;
use super::attributes::Attributes;
use super::bandwidth::Bandwidth;

/// The one group of sound.
const GROUP: &str = "audio";

/// The rate a player should begin with, bits per second: the default variant of Apple's authoring rules for Wi-Fi.
const FIRST: u64 = 2_000_000;

/// A job's multivariant playlist.
#[derive(Debug, Clone, PartialEq)]
pub struct Multivariant {
    /// The rungs, in any order.
    pub variants: Vec<Variant>,
    /// The sound, the default track first. Its names differ.
    pub audios: Vec<AudioMedia>,
}

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
    /// RFC 6381 text.
    pub codecs: String,
    /// Rates of the pictures alone.
    pub bandwidth: Bandwidth,
}

/// One track of sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioMedia {
    /// Its media playlist, relative to the multivariant playlist.
    pub uri: String,
    /// What a player's menu shows; no two tracks may share it.
    pub name: String,
    /// RFC 5646 tag, where known.
    pub language: Option<String>,
    /// Whether players start with it. At most one may be.
    pub default: bool,
    /// Channels.
    pub channels: u32,
    /// RFC 6381 text.
    pub codecs: String,
    /// Rates.
    pub bandwidth: Bandwidth,
}

impl Display for Multivariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-INDEPENDENT-SEGMENTS")?;
        let has_group = !self.variants.is_empty() || self.audios.len() > 1;
        if has_group {
            for audio in &self.audios {
                writeln!(f, "#EXT-X-MEDIA:{}", audio.attributes())?;
            }
        }
        if self.variants.is_empty() {
            return self.sound_alone(f, has_group);
        }
        for variant in self.ordered() {
            writeln!(f, "#EXT-X-STREAM-INF:{}\n{}", self.stream_inf(variant), variant.uri)?;
        }
        Ok(())
    }
}

impl Multivariant {
    /// Every player begins with the first variant it can play: that is the one nearest to [`FIRST`]. The others follow from the top.
    fn ordered(&self) -> Vec<&Variant> {
        let rate = |variant: &Variant| variant.bandwidth.plus(self.sound()).peak;
        let mut ordered: Vec<&Variant> = self.variants.iter().collect();
        ordered.sort_by_key(|variant| std::cmp::Reverse((rate(variant), variant.width)));
        if let Some(first) = (0..ordered.len()).min_by_key(|i| rate(ordered[*i]).abs_diff(FIRST)) {
            ordered[..=first].rotate_right(1);
        }
        ordered
    }

    /// The largest rates of the group, which any variant may be played with.
    fn sound(&self) -> Bandwidth {
        self.audios
            .iter()
            .fold(Bandwidth::default(), |largest, audio| largest.max(audio.bandwidth))
    }

    /// The pictures' codec, where there is one, and each codec of the group once.
    fn codecs(&self, pictures: Option<&str>) -> String {
        let mut codecs: Vec<&str> = pictures.into_iter().collect();
        for audio in &self.audios {
            if !codecs.contains(&audio.codecs.as_str()) {
                codecs.push(&audio.codecs);
            }
        }
        codecs.join(",")
    }

    fn stream_inf(&self, variant: &Variant) -> Attributes {
        let rates = variant.bandwidth.plus(self.sound());
        Attributes::default()
            .plain("BANDWIDTH", rates.peak)
            .plain("AVERAGE-BANDWIDTH", rates.average)
            .quoted("CODECS", &self.codecs(Some(&variant.codecs)))
            .plain("RESOLUTION", format_args!("{}x{}", variant.width, variant.height))
            .plain("FRAME-RATE", format_args!("{:.3}", variant.frame_rate.as_f64()))
            .plain("VIDEO-RANGE", "SDR")
            .maybe_quoted("AUDIO", (!self.audios.is_empty()).then_some(GROUP))
            .plain("CLOSED-CAPTIONS", "NONE")
    }

    /// Without pictures the default track is the one variant; the others are its alternatives.
    fn sound_alone(&self, f: &mut fmt::Formatter<'_>, has_group: bool) -> fmt::Result {
        let Some(first) = self.audios.iter().find(|audio| audio.default).or(self.audios.first()) else {
            return Ok(());
        };
        let rates = self.sound();
        let attributes = Attributes::default()
            .plain("BANDWIDTH", rates.peak)
            .plain("AVERAGE-BANDWIDTH", rates.average)
            .quoted("CODECS", &self.codecs(None))
            .maybe_quoted("AUDIO", has_group.then_some(GROUP));
        writeln!(f, "#EXT-X-STREAM-INF:{attributes}\n{}", first.uri)
    }
}

impl AudioMedia {
    fn attributes(&self) -> Attributes {
        Attributes::default()
            .plain("TYPE", "AUDIO")
            .quoted("GROUP-ID", GROUP)
            .quoted("NAME", &self.name)
            .maybe_quoted("LANGUAGE", self.language.as_deref())
            .plain("DEFAULT", if self.default { "YES" } else { "NO" })
            .plain("AUTOSELECT", "YES")
            .quoted("CHANNELS", &self.channels.to_string())
            .quoted("URI", &self.uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hls_m3u8::MasterPlaylist;
    use proptest::prelude::*;

    fn variant(height: u32, peak: u64) -> Variant {
        Variant {
            uri: format!("job/{height}p/index.m3u8"),
            width: height * 16 / 9,
            height,
            frame_rate: Rational::new(30_000, 1001).unwrap(),
            codecs: "avc1.640028".to_owned(),
            bandwidth: Bandwidth {
                peak,
                average: peak * 3 / 4,
            },
        }
    }

    fn audio(k: u32, name: &str, language: Option<&str>) -> AudioMedia {
        AudioMedia {
            uri: format!("job/audio-{k}/index.m3u8"),
            name: name.to_owned(),
            language: language.map(str::to_owned),
            default: k == 0,
            channels: 2,
            codecs: "mp4a.40.2".to_owned(),
            bandwidth: Bandwidth {
                peak: 130_000,
                average: 128_000,
            },
        }
    }

    fn check(playlist: &Multivariant, golden: &str) {
        let text = playlist.to_string();
        assert_eq!(text, golden, "the playlist is now\n{text}");
        MasterPlaylist::try_from(text.as_str()).unwrap();
    }

    #[test]
    fn a_ladder_with_two_languages_is_this_text() {
        let playlist = Multivariant {
            variants: vec![variant(1080, 5_100_000), variant(720, 2_600_000), variant(360, 700_000)],
            audios: vec![audio(0, "English", Some("en")), audio(1, "Director \"JR\"", None)],
        };
        check(&playlist, include_str!("../../tests/golden/ladder.m3u8"));
    }

    #[test]
    fn pictures_without_sound_have_no_group() {
        let playlist = Multivariant {
            variants: vec![variant(360, 700_000)],
            audios: vec![],
        };
        check(&playlist, include_str!("../../tests/golden/silent.m3u8"));
    }

    #[test]
    fn sound_without_pictures_is_one_variant() {
        let one = Multivariant {
            variants: vec![],
            audios: vec![audio(0, "English", Some("en"))],
        };
        check(&one, include_str!("../../tests/golden/sound.m3u8"));
        let two = Multivariant {
            variants: vec![],
            audios: vec![audio(0, "English", Some("en")), audio(1, "Deutsch", Some("de"))],
        };
        check(&two, include_str!("../../tests/golden/sound_languages.m3u8"));
    }

    proptest! {
        #[test]
        fn a_strict_parser_finds_every_variant_and_the_first_is_a_sensible_one(
            peaks in prop::collection::vec(100_000u64..9_000_000, 1..6),
            name in "\\PC{1,20}",
        ) {
            let variants: Vec<Variant> = peaks.iter().zip(100..).map(|(peak, i)| variant(i * 2, *peak)).collect();
            let playlist = Multivariant { variants, audios: vec![audio(0, &name, None)] };
            let text = playlist.to_string();
            let parsed = MasterPlaylist::try_from(text.as_str()).unwrap();
            let rates: Vec<u64> = parsed.variant_streams.iter().map(|variant| variant.bandwidth()).collect();
            prop_assert_eq!(rates.len(), peaks.len());
            let mut wanted: Vec<u64> = peaks.iter().map(|peak| peak + 130_000).collect();
            let best = wanted.iter().map(|rate| rate.abs_diff(FIRST)).min();
            prop_assert_eq!(rates.first().map(|rate| rate.abs_diff(FIRST)), best);
            let mut found = rates;
            found.sort_unstable();
            wanted.sort_unstable();
            prop_assert_eq!(found, wanted);
        }
    }
}
