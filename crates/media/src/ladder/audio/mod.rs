//! The audio renditions: every track of the source as stereo, with a name that people recognise,
//! and in addition as 5.1 if it has enough channels.

mod pair;

pub use pair::{Side, side};

use streams::plan::{AudioRendition, LeftOut, Planned, Rendition, SourceChannels};

use super::label::{Labels, left_out};
use super::language::{Known, known};
use super::probe::{Audio, Stream};
use super::profile::Profile;
use pair::Pair;

/// Samples per second of every track.
pub const SAMPLE_RATE: u32 = 48_000;

/// Seconds; shorter tracks hold less than an encoder's own start-up.
const MIN_TRACK_SECONDS: f64 = 0.1;

/// Tracks of a source at most; players list them all in one menu.
const MAX_TRACKS: usize = 8;

/// Channels of a 5.1 rendition, and the least its source must have.
const SURROUND_CHANNELS: u32 = 6;

/// The layouts that ffmpeg mixes to stereo and to 5.1 by the loudspeakers' places.
const MIXABLE_LAYOUTS: [&str; 29] = [
    "mono",
    "stereo",
    "2.1",
    "3.0",
    "3.0(back)",
    "4.0",
    "quad",
    "quad(side)",
    "3.1",
    "5.0",
    "5.0(side)",
    "4.1",
    "5.1",
    "5.1(side)",
    "6.0",
    "6.0(front)",
    "hexagonal",
    "6.1",
    "6.1(back)",
    "6.1(front)",
    "7.0",
    "7.0(front)",
    "7.1",
    "7.1(wide)",
    "7.1(wide-side)",
    "octagonal",
    "hexadecagonal",
    "downmix",
    "22.2",
];

/// What decoders take one to eight channels for, where the source does not say. Of three the last
/// is not taken for the bass, which no downmix keeps.
const DEFAULT_LAYOUTS: [&str; 8] = ["mono", "stereo", "3.0", "4.0", "5.0", "5.1", "6.1", "7.1"];

/// The audio renditions of a source, and what was left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sound {
    /// In stereo, the default track first, then in 5.1.
    pub renditions: Vec<AudioRendition>,
    /// The tracks that get no rendition.
    pub left_out: Vec<LeftOut>,
    /// Stable words.
    pub warnings: Vec<&'static str>,
}

/// Whether a track has enough in it to encode.
#[must_use]
pub fn is_usable(stream: &Stream) -> bool {
    matches!((stream.start, stream.end), (Some(start), Some(end)) if end - start.as_f64() >= MIN_TRACK_SECONDS)
}

/// Makes the audio renditions of `tracks`, each as long as its track; `zero` is the source time of
/// the output's zero, in seconds.
#[must_use]
pub fn renditions(profile: &Profile, tracks: &[(&Stream, &Audio)], zero: f64) -> Sound {
    let mut sound = Sound::default();
    let chosen = sound.choose(tracks);
    let mut labels = Labels::default();

    for (k, pair) in chosen.into_iter().enumerate() {
        let Pair { stream, audio, .. } = pair;
        let track = Track {
            stream,
            audio,
            pair,
            language: stream.language.as_deref().and_then(known),
            zero,
        };

        sound.note(&track.channels(), audio.channels);
        sound
            .renditions
            .extend(track.renditions(profile, k, &mut labels));
    }

    // Stereo first: that is what every player can begin with.
    sound.renditions.sort_by_key(AudioRendition::is_surround);
    sound
}

/// Marks the audio of a plan as changing, although probing found no change. Not if ffmpeg could be
/// wrong about the positions of its channels: it would have to guess them.
pub fn expect_changes(plan: &mut Planned) {
    for rendition in &mut plan.renditions {
        let Rendition::Audio(audio) = rendition else {
            continue;
        };

        let has_places = match &audio.source_channels {
            SourceChannels::Named => true,
            SourceChannels::Guessed(layout) => matches!(layout.as_str(), "mono" | "stereo"),
            SourceChannels::Dealt(_) => false,
        };

        audio.changes |= has_places && audio.right_track.is_none();
    }
}

impl Sound {
    /// The tracks that are encoded, the default one first; all others keep their order.
    fn choose<'a>(&mut self, tracks: &[(&'a Stream, &'a Audio)]) -> Vec<Pair<'a>> {
        let (usable, empty): (Vec<_>, Vec<_>) = tracks
            .iter()
            .copied()
            .partition(|(stream, _)| is_usable(stream));
        if !empty.is_empty() {
            self.warnings.push("empty_audio_track_left_out");
        }

        let mut usable = pair::join(&usable);
        if pair::are_separate(&usable) {
            self.warnings.push("mono_tracks_separate");
        }

        let leads = |pair: &Pair<'_>| (pair.stream.default, is_main(pair.stream));
        let first = usable
            .iter()
            .position(|pair| leads(pair) == (true, true))
            .or_else(|| usable.iter().position(|pair| is_main(pair.stream)));
        if let Some(first) = first {
            usable[..=first].rotate_right(1);
        }

        let surplus = usable.split_off(usable.len().min(MAX_TRACKS));
        if !surplus.is_empty() {
            self.warnings.push("audio_tracks_left_out");
        }

        let surplus = surplus.iter().flat_map(Pair::streams);
        let reason = format!("At most {MAX_TRACKS} audio tracks are kept.");
        self.left_out.extend(
            empty
                .iter()
                .map(|(stream, _)| left_out(stream, "It contains no audio.")),
        );
        self.left_out
            .extend(surplus.map(|stream| left_out(stream, &reason)));

        usable
    }

    /// Sources that do not say which loudspeaker a channel is for are a matter of belief from the
    /// third channel on.
    fn note(&mut self, channels: &SourceChannels, count: u32) {
        let word = match channels {
            SourceChannels::Named => return,
            SourceChannels::Guessed(_) if count <= 2 => return,
            SourceChannels::Guessed(_) => "channel_layout_guessed",
            SourceChannels::Dealt(_) => "channel_layout_unknown",
        };
        if !self.warnings.contains(&word) {
            self.warnings.push(word);
        }
    }
}

/// Whether a track is the programme itself, not something for some.
const fn is_main(stream: &Stream) -> bool {
    !stream.audience.commentary && !stream.audience.visual_impaired
}

/// One track of the source, or two that are one.
struct Track<'a> {
    stream: &'a Stream,
    audio: &'a Audio,
    pair: Pair<'a>,
    language: Option<Known>,
    zero: f64,
}

impl Track<'_> {
    fn channels(&self) -> SourceChannels {
        let named = self.audio.layout.as_deref();
        if named.is_some_and(|layout| MIXABLE_LAYOUTS.contains(&layout)) {
            return SourceChannels::Named;
        }

        let count = self.audio.channels;
        let guess = usize::try_from(count)
            .ok()
            .and_then(|count| DEFAULT_LAYOUTS.get(count.checked_sub(1)?));
        guess.map_or(SourceChannels::Dealt(count), |guess| {
            SourceChannels::Guessed((*guess).to_owned())
        })
    }

    /// Its renditions, in stereo and where it has as many channels in 5.1.
    fn renditions(&self, profile: &Profile, k: usize, labels: &mut Labels) -> Vec<AudioRendition> {
        let channels = self.channels();
        let label = labels.take(&self.label(k));
        let has_surround = self.audio.channels >= SURROUND_CHANNELS
            && !matches!(channels, SourceChannels::Dealt(_));

        let stereo = (
            format!("audio-{k}"),
            2,
            Some(profile.audio_bitrate),
            self.reason(&channels),
        );
        let surround = (
            format!("surround-{k}"),
            SURROUND_CHANNELS,
            profile.surround_bitrate.filter(|_| has_surround),
            format!(
                "its {} channels as 5.1, in addition to stereo",
                self.audio.channels
            ),
        );

        let wanted = [stereo, surround].into_iter();
        let source_end = self.pair.end().map(|end| (end - self.zero).max(0.0));
        let made = wanted.filter_map(|(name, channels_out, bitrate, reason)| {
            Some(AudioRendition {
                name: name.parse().ok()?,
                track: self.stream.index,
                right_track: self.pair.right.map(|right| right.index),
                changes: self.audio.changes,
                language: self.language.as_ref().map(|language| language.tag.clone()),
                label: label.clone(),
                default: k == 0,
                describes_video: self.stream.audience.visual_impaired,
                commentary: self.stream.audience.commentary,
                source_channels: channels.clone(),
                channels: channels_out,
                sample_rate: SAMPLE_RATE,
                bitrate: bitrate?,
                loudness: profile.loudness,
                // The plan makes it as long as the programme, once that is known.
                duration: source_end?,
                source_end: source_end?,
                source_packet: self.stream.packet,
                reason,
            })
        });
        made.collect()
    }

    /// The track's own title, else its language, with what sets it apart.
    fn label(&self, k: usize) -> String {
        if let Some(title) = self.pair.title() {
            return title.to_owned();
        }

        let audience = self.stream.audience;
        let kind = [
            (audience.commentary, "commentary"),
            (audience.visual_impaired, "audio description"),
            (audience.hearing_impaired, "clear speech"),
        ];
        let kind = kind.iter().find(|(holds, _)| *holds).map(|(_, kind)| *kind);

        let name = self.language.as_ref().map(|language| language.name.clone());
        let name = name.unwrap_or_else(|| format!("Audio {}", k + 1));
        kind.map_or_else(|| name.clone(), |kind| format!("{name} ({kind})"))
    }

    fn reason(&self, channels: &SourceChannels) -> String {
        match (channels, self.audio.channels) {
            _ if self.pair.right.is_some() => {
                "two mono tracks of the source, named left and right".to_owned()
            }
            (_, 2) => "a stereo track of the source".to_owned(),
            (_, 1) => "a mono track of the source, on both channels".to_owned(),
            (SourceChannels::Named, count) => {
                format!("a track of the source with {count} channels, mixed down")
            }
            (SourceChannels::Guessed(layout), count) => {
                format!(
                    "a track of the source with {count} channels without a layout, interpreted as {layout} and mixed down"
                )
            }
            (SourceChannels::Dealt(_), count) => {
                format!(
                    "a track of the source with {count} channels of unknown position, distributed to left and right"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
