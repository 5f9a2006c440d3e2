//! The audio renditions: every track of the source as stereo, with a name people recognise.

use streams::plan::AudioRendition;

use super::language::known;
use super::probe::{Audio, Stream};
use super::profile::Profile;

/// Samples per second of every track.
pub const SAMPLE_RATE: u32 = 48_000;

/// Seconds; shorter tracks hold less than an encoder's own start-up.
const SHORTEST: f64 = 0.1;

/// No source gets more; players list them all in one menu.
const MOST: usize = 8;

/// The audio renditions of a source, and what was left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sound {
    /// The default track first.
    pub renditions: Vec<AudioRendition>,
    /// Stable words.
    pub warnings: Vec<&'static str>,
}

/// Whether a track has enough in it to encode.
#[must_use]
pub fn is_usable(stream: &Stream) -> bool {
    matches!((stream.start, stream.end), (Some(start), Some(end)) if end - start.as_f64() >= SHORTEST)
}

/// Makes the audio renditions of `tracks`; `zero` is the source time of the output's zero, in seconds.
#[must_use]
pub fn renditions(profile: &Profile, tracks: &[(&Stream, &Audio)], zero: f64) -> Sound {
    let mut usable: Vec<(&Stream, &Audio)> = tracks.iter().copied().filter(|(stream, _)| is_usable(stream)).collect();
    let mut sound = Sound::default();
    if usable.len() < tracks.len() {
        sound.warnings.push("empty_audio_track_left_out");
    }
    // The first default one leads, all others keep their order.
    if let Some(first) = usable.iter().position(|(stream, _)| stream.default) {
        usable[..=first].rotate_right(1);
    }
    if usable.len() > MOST {
        sound.warnings.push("audio_tracks_left_out");
        usable.truncate(MOST);
    }
    for (k, (stream, audio)) in usable.into_iter().enumerate() {
        if let Some(rendition) = rendition(profile, k, stream, audio, zero, &sound.renditions) {
            sound.renditions.push(rendition);
        }
    }
    sound
}

fn rendition(
    profile: &Profile,
    k: usize,
    stream: &Stream,
    audio: &Audio,
    zero: f64,
    before: &[AudioRendition],
) -> Option<AudioRendition> {
    let language = stream.language.as_deref().and_then(known);
    let wanted = stream
        .title
        .clone()
        .or_else(|| language.as_ref().map(|language| language.name.clone()));
    let wanted = wanted
        .filter(|label| !label.trim().is_empty())
        .unwrap_or_else(|| format!("Audio {}", k + 1));
    Some(AudioRendition {
        name: format!("audio-{k}").parse().ok()?,
        track: stream.index,
        language: language.map(|language| language.tag),
        label: unique(&wanted, before),
        default: k == 0,
        describes_video: false,
        commentary: false,
        channels: 2,
        sample_rate: SAMPLE_RATE,
        bitrate: profile.audio_bitrate,
        loudness: profile.loudness,
        duration: (stream.end? - zero).max(0.0),
        reason: match audio.channels {
            2 => "a stereo track of the source".to_owned(),
            1 => "a mono track of the source, on both channels".to_owned(),
            channels => format!("a track of the source with {channels} channels, mixed down"),
        },
    })
}

/// Playlists need different names within a group.
fn unique(wanted: &str, before: &[AudioRendition]) -> String {
    let taken = |label: &str| before.iter().any(|rendition| rendition.label == label);
    let numbered = (2..).map(|n| format!("{wanted} {n}"));
    std::iter::once(wanted.to_owned())
        .chain(numbered)
        .find(|label| !taken(label))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::probe::Content;
    use streams::Rational;

    fn track(index: u32, language: Option<&str>, title: Option<&str>, default: bool, end: f64) -> Stream {
        Stream {
            index,
            codec: "aac".to_owned(),
            language: language.map(str::to_owned),
            title: title.map(str::to_owned),
            default,
            start: Some(Rational::ZERO),
            end: Some(end),
            content: Content::Data,
        }
    }

    const STEREO: Audio = Audio {
        channels: 2,
        sample_rate: 44_100,
    };

    fn labels(streams: &[Stream]) -> (Vec<String>, Vec<&'static str>) {
        let tracks: Vec<(&Stream, &Audio)> = streams.iter().map(|stream| (stream, &STEREO)).collect();
        let sound = renditions(&Profile::standard(), &tracks, 0.0);
        (
            sound
                .renditions
                .iter()
                .map(|rendition| rendition.label.clone())
                .collect(),
            sound.warnings,
        )
    }

    #[test]
    fn the_default_track_leads_and_no_two_share_a_name() {
        let streams = [
            track(1, Some("eng"), None, false, 9.0),
            track(2, Some("ger"), None, true, 9.0),
            track(3, Some("eng"), None, true, 9.0),
            track(4, None, Some("Director"), false, 9.0),
            track(5, None, None, false, 9.0),
        ];
        let (labels, warnings) = labels(&streams);
        assert_eq!(labels, ["German", "English", "English 2", "Director", "Audio 5"]);
        assert!(warnings.is_empty());
    }

    #[test]
    fn empty_and_surplus_tracks_are_left_out_with_a_word() {
        let mut streams: Vec<Stream> = (0..10).map(|i| track(i, None, None, false, 9.0)).collect();
        streams.push(track(10, None, None, false, 0.05));
        let (labels, warnings) = labels(&streams);
        assert_eq!(
            (labels.len(), warnings),
            (8, vec!["empty_audio_track_left_out", "audio_tracks_left_out"])
        );
    }

    #[test]
    fn no_tracks_are_no_renditions() {
        assert_eq!(renditions(&Profile::standard(), &[], 0.0), Sound::default());
    }
}
