//! Multivariant playlists (RFC 8216bis section 4.4.6): every variant of a job, and the audio and
//! subtitles they share.

use std::fmt::{self, Display};

use super::VERSION;
use super::bandwidth::Bandwidth;
use super::rendition::{
    AudioMedia, AudioStream, CAPTIONS_GROUP, STEREO_GROUP, SUBTITLES_GROUP, SURROUND_GROUP,
    SubtitleMedia, closed_captions,
};
use super::variant::{IframeVariant, PlayedWith, Variant};

/// The rate a player should begin with, bits per second: the default variant of Apple's authoring
/// rules for Wi-Fi.
const INITIAL_BITRATE: u64 = 2_000_000;

/// A job's multivariant playlist.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Multivariant {
    /// The rungs, in any order.
    pub variants: Vec<Variant>,
    /// The audio tracks, the default one first. Their names differ.
    pub audios: Vec<AudioMedia>,
    /// The subtitles. Their names differ.
    pub subtitles: Vec<SubtitleMedia>,
    /// Whether the pictures of every rung carry closed captions.
    pub captions: bool,
    /// What fast forward and backward show.
    pub iframes: Vec<IframeVariant>,
}

/// Encodings of all audio tracks between which a player may switch during playback.
struct Group<'a> {
    id: &'static str,
    /// Every track, in the order of the playlist: the RFC wants equal sets of tracks in all groups.
    members: Vec<(&'a AudioMedia, &'a AudioStream)>,
}

impl Display for Multivariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-INDEPENDENT-SEGMENTS"
        )?;

        let groups = self.groups();
        if self.names_groups(&groups) {
            self.write_sound(f, &groups)?;
        }

        for (k, subtitles) in self.subtitles.iter().enumerate() {
            let autoselect = subtitles.autoselect(&self.subtitles[..k]);
            writeln!(f, "#EXT-X-MEDIA:{}", subtitles.attributes(autoselect))?;
        }

        if self.variants.is_empty() {
            return self.write_sound_alone(f, &groups);
        }

        if self.captions {
            writeln!(f, "#EXT-X-MEDIA:{}", closed_captions())?;
        }

        // Each variant is listed once for each group: a player chooses its audio by the variant.
        if groups.is_empty() {
            self.write_variants(f, None)?;
        }
        for group in &groups {
            self.write_variants(f, Some(group))?;
        }

        for iframes in &self.iframes {
            writeln!(f, "#EXT-X-I-FRAME-STREAM-INF:{}", iframes.attributes())?;
        }

        Ok(())
    }
}

impl Multivariant {
    /// The stereo group, which everything can play, then the 5.1 group, where there is any.
    fn groups(&self) -> Vec<Group<'_>> {
        // The RFC wants equal sets of tracks in all groups, so a track without 5.1 is in that group
        // in stereo (RFC 8216 section 4.3.4.1.1).
        let stereo = self.audios.iter().map(|audio| (audio, &audio.stereo));
        let surround = self
            .audios
            .iter()
            .map(|audio| (audio, audio.surround.as_ref().unwrap_or(&audio.stereo)));
        let has_surround = self.audios.iter().any(|audio| audio.surround.is_some());

        let groups = [
            (STEREO_GROUP, stereo.collect(), !self.audios.is_empty()),
            (SURROUND_GROUP, surround.collect(), has_surround),
        ];

        let there = groups.into_iter().filter(|(.., there)| *there);
        there
            .map(|(id, members, _)| Group { id, members })
            .collect()
    }

    /// A single audio track without video needs no group: it is the variant.
    fn names_groups(&self, groups: &[Group<'_>]) -> bool {
        !self.variants.is_empty() || self.audios.len() > 1 || groups.len() > 1
    }

    fn write_sound(&self, f: &mut fmt::Formatter<'_>, groups: &[Group<'_>]) -> fmt::Result {
        for group in groups {
            for (k, (audio, stream)) in group.members.iter().enumerate() {
                let autoselect = audio.autoselect(&self.audios[..k]);
                writeln!(
                    f,
                    "#EXT-X-MEDIA:{}",
                    audio.attributes(group.id, stream, autoselect)
                )?;
            }
        }
        Ok(())
    }

    fn write_variants(&self, f: &mut fmt::Formatter<'_>, group: Option<&Group<'_>>) -> fmt::Result {
        for variant in self.ordered(group) {
            let beside = self.beside(Some(&variant.codecs), group, true);
            writeln!(
                f,
                "#EXT-X-STREAM-INF:{}\n{}",
                variant.attributes(&beside),
                variant.uri
            )?;
        }
        Ok(())
    }

    /// Every player begins with the first variant it can play: that is the one nearest to
    /// [`INITIAL_BITRATE`]. The others follow from the top.
    fn ordered(&self, group: Option<&Group<'_>>) -> Vec<&Variant> {
        let sound = group.map(Group::largest).unwrap_or_default();
        let rate = |variant: &Variant| variant.bandwidth.plus(sound).peak;
        let mut ordered: Vec<&Variant> = self.variants.iter().collect();
        ordered.sort_by_key(|variant| std::cmp::Reverse((rate(variant), variant.width)));

        if let Some(first) =
            (0..ordered.len()).min_by_key(|i| rate(ordered[*i]).abs_diff(INITIAL_BITRATE))
        {
            ordered[..=first].rotate_right(1);
        }

        ordered
    }

    fn beside<'a>(
        &self,
        pictures: Option<&str>,
        group: Option<&'a Group<'_>>,
        named: bool,
    ) -> PlayedWith<'a> {
        PlayedWith {
            audio: group
                .filter(|_| named)
                .map(|group| (group.id, group.largest())),
            codecs: codecs(pictures, group),
            subtitles: (!self.subtitles.is_empty()).then_some(SUBTITLES_GROUP),
            captions: self.captions.then_some(CAPTIONS_GROUP),
        }
    }

    /// Without pictures the default track of each group is a variant; the others are its
    /// alternatives.
    fn write_sound_alone(&self, f: &mut fmt::Formatter<'_>, groups: &[Group<'_>]) -> fmt::Result {
        let named = self.names_groups(groups);

        for group in groups {
            let default = group.members.iter().find(|(audio, _)| audio.default);
            let Some((_, first)) = default.or(group.members.first()) else {
                continue;
            };

            let attributes = self
                .beside(None, Some(group), named)
                .sound_alone(group.largest());
            writeln!(f, "#EXT-X-STREAM-INF:{attributes}\n{}", first.uri)?;
        }

        Ok(())
    }
}

impl Group<'_> {
    /// The largest rates of the group, which any variant may be played with.
    fn largest(&self) -> Bandwidth {
        let rates = self.members.iter().map(|(_, stream)| stream.bandwidth);
        rates.fold(Bandwidth::default(), Bandwidth::max)
    }
}

/// The pictures' codec, where there are any, and each codec of the group once.
fn codecs(pictures: Option<&str>, group: Option<&Group<'_>>) -> String {
    let mut codecs: Vec<&str> = pictures.into_iter().collect();
    for (_, stream) in group.map(|group| &group.members).into_iter().flatten() {
        if !codecs.contains(&stream.codecs.as_str()) {
            codecs.push(&stream.codecs);
        }
    }

    codecs.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use hls_m3u8::MasterPlaylist;
    use proptest::prelude::*;
    use streams::Rational;

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

    fn stream(folder: &str, channels: u32) -> AudioStream {
        let average = u64::from(channels) * 64_000;
        AudioStream {
            uri: format!("job/{folder}/index.m3u8"),
            channels,
            codecs: "mp4a.40.2".to_owned(),
            bandwidth: Bandwidth {
                peak: average + 2000,
                average,
            },
        }
    }

    fn audio(k: u32, name: &str, language: Option<&str>) -> AudioMedia {
        AudioMedia {
            name: name.to_owned(),
            language: language.map(str::to_owned),
            default: k == 0,
            describes_video: false,
            commentary: false,
            stereo: stream(&format!("audio-{k}"), 2),
            surround: None,
        }
    }

    fn subtitles(k: u32, name: &str, language: Option<&str>) -> SubtitleMedia {
        SubtitleMedia {
            uri: format!("job/subs-{k}.m3u8"),
            name: name.to_owned(),
            language: language.map(str::to_owned),
            default: false,
            forced: false,
            hearing_impaired: false,
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
            variants: vec![
                variant(1080, 5_100_000),
                variant(720, 2_600_000),
                variant(360, 700_000),
            ],
            audios: vec![
                audio(0, "English", Some("en")),
                audio(1, "Director \"JR\"", None),
            ],
            ..Multivariant::default()
        };
        check(&playlist, include_str!("../../tests/golden/ladder.m3u8"));
    }

    #[test]
    fn pictures_without_sound_have_no_group() {
        let playlist = Multivariant {
            variants: vec![variant(360, 700_000)],
            ..Multivariant::default()
        };
        check(&playlist, include_str!("../../tests/golden/silent.m3u8"));
    }

    #[test]
    fn sound_without_pictures_is_one_variant() {
        let one = Multivariant {
            audios: vec![audio(0, "English", Some("en"))],
            ..Multivariant::default()
        };
        check(&one, include_str!("../../tests/golden/sound.m3u8"));

        let two = Multivariant {
            audios: vec![
                audio(0, "English", Some("en")),
                audio(1, "Deutsch", Some("de")),
            ],
            ..Multivariant::default()
        };
        check(
            &two,
            include_str!("../../tests/golden/sound_languages.m3u8"),
        );
    }

    #[test]
    fn five_channels_and_subtitles_stand_beside_every_variant() {
        let mut english = audio(0, "English", Some("en"));
        english.surround = Some(stream("surround-0", 6));
        let described = AudioMedia {
            describes_video: true,
            ..audio(1, "English (described)", Some("en"))
        };
        let commentary = AudioMedia {
            commentary: true,
            ..audio(2, "Commentary", Some("en"))
        };
        let spoken = SubtitleMedia {
            default: true,
            ..subtitles(0, "English", Some("en"))
        };
        let heard = SubtitleMedia {
            hearing_impaired: true,
            ..subtitles(1, "English (SDH)", Some("en"))
        };

        let forced = SubtitleMedia {
            forced: true,
            ..subtitles(2, "English (forced)", Some("en"))
        };

        let playlist = Multivariant {
            variants: vec![variant(1080, 5_100_000), variant(360, 700_000)],
            audios: vec![english, described, commentary],
            subtitles: vec![spoken, heard, forced, subtitles(3, "English 2", Some("en"))],
            captions: true,
            iframes: vec![IframeVariant {
                uri: "job/iframe-360p.m3u8".to_owned(),
                width: 640,
                height: 360,
                codecs: "avc1.64001e".to_owned(),
                bandwidth: Bandwidth {
                    peak: 90_000,
                    average: 60_000,
                },
            }],
        };

        check(&playlist, include_str!("../../tests/golden/surround.m3u8"));
    }

    #[test]
    fn sound_in_five_channels_without_pictures_is_two_variants() {
        let mut audio = audio(0, "English", Some("en"));
        audio.surround = Some(stream("surround-0", 6));
        let playlist = Multivariant {
            audios: vec![audio],
            subtitles: vec![subtitles(0, "English", Some("en"))],
            ..Multivariant::default()
        };
        check(
            &playlist,
            include_str!("../../tests/golden/sound_surround.m3u8"),
        );
    }

    proptest! {
        #[test]
        fn a_strict_parser_finds_every_variant_and_the_first_is_a_sensible_one(
            peaks in prop::collection::vec(100_000u64..9_000_000, 1..6),
            name in "\\PC{1,20}",
        ) {
            let variants: Vec<Variant> = peaks.iter().zip(100..).map(|(peak, i)| variant(i * 2, *peak)).collect();
            let playlist = Multivariant { variants, audios: vec![audio(0, &name, None)], ..Multivariant::default() };

            let text = playlist.to_string();
            let parsed = MasterPlaylist::try_from(text.as_str()).unwrap();
            let rates: Vec<u64> = parsed.variant_streams.iter().map(|variant| variant.bandwidth()).collect();
            prop_assert_eq!(rates.len(), peaks.len());

            let mut wanted: Vec<u64> = peaks.iter().map(|peak| peak + 130_000).collect();
            let best = wanted.iter().map(|rate| rate.abs_diff(INITIAL_BITRATE)).min();
            prop_assert_eq!(rates.first().map(|rate| rate.abs_diff(INITIAL_BITRATE)), best);

            let mut found = rates;
            found.sort_unstable();
            wanted.sort_unstable();
            prop_assert_eq!(found, wanted);
        }
    }
}
