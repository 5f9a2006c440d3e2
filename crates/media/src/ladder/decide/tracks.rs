//! The decisions about everything but video: audio, subtitles, the cover.

use streams::plan::{AudioRendition, LeftOut, SubtitleRendition};

use crate::ladder::probe::{Audio, Content, Probe, Stream};
use crate::ladder::profile::Profile;
use crate::ladder::{audio, subtitles};

/// The tracks task of a plan.
pub(super) struct Tracks {
    pub(super) sound: Vec<AudioRendition>,
    pub(super) subtitles: Vec<SubtitleRendition>,
    /// Absolute index of the attached picture that becomes the poster of a source without video.
    pub(super) cover: Option<u32>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) warnings: Vec<String>,
}

impl Tracks {
    /// The tracks of a source whose time `zero`, in seconds, is zero of the output.
    pub(super) fn of(probe: &Probe, profile: &Profile, zero: f64, has_video: bool) -> Self {
        let audios: Vec<(&Stream, &Audio)> = probe.audios().collect();
        let sound = audio::renditions(profile, &audios, zero);
        let subtitles = subtitles::renditions(probe);

        let no_audio = sound.renditions.is_empty().then_some("no_audio");
        let is_other = |stream: &Stream| {
            matches!(stream.content, Content::Audio(_) | Content::Subtitle { .. })
                && probe.is_of_other_programme(stream)
        };
        let others = probe
            .streams
            .iter()
            .any(is_other)
            .then_some("other_programmes_left_out");

        let words = sound
            .warnings
            .into_iter()
            .chain(subtitles.warnings)
            .chain(no_audio)
            .chain(others);

        let mut covers = probe
            .streams
            .iter()
            .filter(|stream| matches!(stream.content, Content::Cover));

        Self {
            sound: sound.renditions,
            subtitles: subtitles.renditions,
            cover: covers
                .next()
                .map(|stream| stream.index)
                .filter(|_| !has_video),
            left_out: sound
                .left_out
                .into_iter()
                .chain(subtitles.left_out)
                .collect(),
            warnings: words.map(str::to_owned).collect(),
        }
    }

    /// Makes every audio track last this many seconds, whatever the length of its source.
    pub(super) fn last_for(&mut self, seconds: f64) {
        for rendition in &mut self.sound {
            rendition.duration = seconds;
        }
    }

    /// Whether there is anything to do.
    pub(super) fn has_task(&self) -> bool {
        !(self.sound.is_empty() && self.subtitles.is_empty())
    }
}
