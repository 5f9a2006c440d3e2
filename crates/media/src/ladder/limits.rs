//! What an installation accepts: limits on sources, and the sentence that explains each.

use streams::Code;

use super::probe::{Content, Probe, Stream};
use super::refusal::Refusal;

/// Channels of a track at most; no format for films has more (22.2 has 24, ambisonics of the
/// seventh order 64).
const MAX_CHANNELS: u32 = 64;

/// Samples per second at most; recorders for music end at this rate.
const MAX_SAMPLE_RATE: u32 = 768_000;

/// Limits on sources. Whatever is over one of them is `exceeds_policy`: it is refused before
/// anything of it is encoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Bytes of the object.
    pub bytes: u64,
    /// Seconds from the first sample to the last.
    pub duration: f64,
    /// Pixels of one picture.
    pub pixels: u64,
    /// Video and audio tracks, whether or not they can be decoded. Fonts and subtitles cost almost
    /// nothing.
    pub tracks: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 1 << 40,
            duration: 48.0 * 3600.0,
            // 8K as cinemas have it.
            pixels: 8192 * 4320,
            tracks: 32,
        }
    }
}

impl Limits {
    /// Judges an object by its size in bytes.
    ///
    /// # Errors
    /// [`Refusal`] when it is too large.
    pub fn judge_size(&self, bytes: u64) -> Result<(), Refusal> {
        refuse_if(bytes > self.bytes, || {
            format!(
                "The file has {bytes} bytes; at most {} are accepted.",
                self.bytes
            )
        })
    }

    /// Judges a picture by its width and height in pixels.
    ///
    /// # Errors
    /// [`Refusal`] when it is too large.
    pub fn judge_picture(&self, width: u32, height: u32) -> Result<(), Refusal> {
        refuse_if(u64::from(width) * u64::from(height) > self.pixels, || {
            format!(
                "The picture of {width}x{height} px is too large; at most {} pixels are accepted.",
                self.pixels
            )
        })
    }

    /// Checks the number of video and audio tracks.
    ///
    /// # Errors
    /// [`Refusal`] when there are too many.
    pub fn judge_media(&self, probe: &Probe) -> Result<(), Refusal> {
        let media = |stream: &&Stream| {
            stream.is_media() || matches!(stream.content, Content::Unreadable(_))
        };
        let found = probe.streams.iter().filter(media).count();
        refuse_if(found > self.tracks, || {
            format!(
                "The file has {found} video and audio tracks; at most {} are accepted.",
                self.tracks
            )
        })
    }

    /// Judges a probed source.
    ///
    /// # Errors
    /// [`Refusal`] with the first limit it is over.
    pub fn judge(&self, probe: &Probe) -> Result<(), Refusal> {
        self.judge_media(probe)?;
        for stream in &probe.streams {
            match &stream.content {
                Content::Video(video) => self.judge_picture(video.width, video.height)?,
                Content::Audio(audio) => judge_sound(audio.channels, audio.sample_rate)?,
                _ => {}
            }
        }
        self.judge_length(probe)
    }

    fn judge_length(&self, probe: &Probe) -> Result<(), Refusal> {
        let media = probe.streams.iter().filter(|stream| stream.is_media());
        let start = media
            .filter_map(|stream| stream.start)
            .min()
            .unwrap_or(probe.container_start);

        let length = probe.end().map_or(0.0, |end| end - start.as_f64());
        refuse_if(length > self.duration, || {
            format!(
                "The file lasts {length:.0} s; at most {:.0} s are accepted.",
                self.duration
            )
        })
    }
}

fn judge_sound(channels: u32, rate: u32) -> Result<(), Refusal> {
    refuse_if(channels > MAX_CHANNELS, || {
        format!("A track of the file has {channels} channels; at most {MAX_CHANNELS} are accepted.")
    })?;
    refuse_if(rate > MAX_SAMPLE_RATE, || {
        format!(
            "A track of the file has {rate} samples a second; at most {MAX_SAMPLE_RATE} are accepted."
        )
    })
}

fn refuse_if(over: bool, message: impl FnOnce() -> String) -> Result<(), Refusal> {
    if over {
        Err(Refusal::new(Code::ExceedsPolicy, message()))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::probe::{Audio, Stream};
    use crate::ladder::testing::{self, video};
    use streams::Rational;

    fn probe(contents: Vec<Content>, end: f64) -> Probe {
        let streams = (0..).zip(contents).map(|(index, content)| Stream {
            start: Some(Rational::whole(5)),
            end: Some(end),
            ..testing::stream(index, "x", content)
        });

        Probe {
            container: "mov".to_owned(),
            brand: None,
            container_start: Rational::ZERO,
            declared_end: None,
            streams: streams.collect(),
            seekable: true,
            leads: Vec::new(),
            ..Probe::default()
        }
    }

    fn picture(width: u32, height: u32) -> Content {
        let mut video = video();
        (video.width, video.height) = (width, height);
        Content::Video(video)
    }

    fn sound(channels: u32, sample_rate: u32) -> Content {
        Content::Audio(Audio {
            channels,
            sample_rate,
            layout: None,
            changes: false,
        })
    }

    #[test]
    fn what_is_just_within_the_limits_passes_and_what_is_just_over_is_named_with_both_figures() {
        let limits = Limits {
            bytes: 1000,
            duration: 60.0,
            pixels: 100 * 50,
            tracks: 2,
        };

        let judge = |contents, end| {
            limits
                .judge(&probe(contents, end))
                .map_err(|refusal| refusal.message)
        };
        assert_eq!(
            judge(vec![picture(100, 50), sound(64, 768_000)], 65.0),
            Ok(())
        );
        assert_eq!(limits.judge_size(1000), Ok(()));

        let over = [
            (
                limits.judge_size(1001).map_err(|refusal| refusal.message),
                ["1001", "1000"],
            ),
            (judge(vec![picture(101, 50)], 6.0), ["101x50", "5000"]),
            (judge(vec![sound(65, 48_000)], 6.0), ["65 channels", "64"]),
            (judge(vec![sound(2, 768_001)], 6.0), ["768001", "768000"]),
            (
                judge(
                    vec![
                        sound(2, 48_000),
                        Content::Data,
                        sound(2, 48_000),
                        sound(2, 48_000),
                    ],
                    6.0,
                ),
                ["3 video and audio tracks", "2"],
            ),
            (judge(vec![picture(100, 50)], 66.0), ["61 s", "60 s"]),
        ];

        for (judged, figures) in over {
            let message = judged.unwrap_err();
            assert!(
                figures.iter().all(|figure| message.contains(figure)),
                "{message}"
            );
            assert!(
                message.starts_with(char::is_uppercase) && message.ends_with('.'),
                "{message}"
            );
        }
    }
}
