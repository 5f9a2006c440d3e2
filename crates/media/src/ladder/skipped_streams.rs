//! What the source or the ladder has and the output lacks, each with its reason.

use std::collections::BTreeSet;

use streams::plan::LeftOut;

use super::audio;
use super::probe::{Content, Probe, Stream, UnreadableCause};

/// The streams that are not in `used`, by their absolute index, and not named in `listed`.
#[must_use]
pub fn streams(probe: &Probe, used: &BTreeSet<u32>, listed: &[LeftOut]) -> Vec<LeftOut> {
    let unused = probe
        .streams
        .iter()
        .filter(|stream| !used.contains(&stream.index));
    let entries = unused.map(|stream| LeftOut {
        name: name(stream),
        reason: reason(probe, stream),
    });
    entries
        .filter(|entry| listed.iter().all(|known| known.name != entry.name))
        .collect()
}

/// What a stream that is left out is called.
#[must_use]
pub fn name(stream: &Stream) -> String {
    format!("track {}", stream.index)
}

fn reason(probe: &Probe, stream: &Stream) -> String {
    let moving = probe.main_video().is_some();
    let reason = match &stream.content {
        Content::Unreadable(_) if stream.end.is_none() => "an empty track",
        Content::Unreadable(why) => {
            let codec = &stream.codec;
            return match why.cause {
                UnreadableCause::NoDecoder => format!("a codec that cannot be decoded: {codec}"),
                UnreadableCause::NoParameters => {
                    format!("{codec} without the information that a decoder needs")
                }
                UnreadableCause::UnknownForm => {
                    format!("{codec} in a variant that cannot be decoded")
                }
            };
        }
        Content::Video(_) if stream.end.is_none() => "a video track without pictures",
        Content::Video(_) => "another video track: one is encoded, the default or the largest",
        Content::Audio(_) | Content::Subtitle { .. } if probe.is_of_other_programme(stream) => {
            "another programme of the transport stream"
        }
        Content::Audio(_) if !audio::is_usable(stream) => "an audio track that is almost empty",
        Content::Audio(_) => "one audio track more than a player's menu can show",
        Content::Subtitle { bitmap: true } => "subtitles that are pictures, not text",
        Content::Subtitle { bitmap: false } => "subtitles whose text cannot be converted",
        Content::Cover if moving => "an attached picture: the file has video",
        Content::Cover => "an attached picture, not a video",
        Content::Data => "data that players do not use",
    };

    reason.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::probe::Unreadable;
    use crate::ladder::testing;
    use streams::Rational;

    fn stream(index: u32, content: Content) -> Stream {
        Stream {
            end: Some(9.0),
            ..testing::stream(index, "apac", content)
        }
    }

    #[test]
    fn every_stream_is_used_or_has_its_reason() {
        let contents = [
            Content::Video(testing::video()),
            Content::Cover,
            Content::Subtitle { bitmap: true },
            Content::Data,
            Content::Unreadable(Unreadable {
                is_video: false,
                cause: UnreadableCause::NoDecoder,
            }),
            Content::Unreadable(Unreadable {
                is_video: false,
                cause: UnreadableCause::UnknownForm,
            }),
        ];
        let probe = Probe {
            container: "matroska,webm".to_owned(),
            brand: None,
            container_start: Rational::ZERO,
            declared_end: None,
            streams: (0..)
                .zip(contents)
                .map(|(index, content)| stream(index, content))
                .collect(),
            seekable: true,
            leads: Vec::new(),
            ..Probe::default()
        };

        let listed = [LeftOut {
            name: "track 2".to_owned(),
            reason: "listed already".to_owned(),
        }];

        let names: Vec<String> = streams(&probe, &BTreeSet::from([0]), &listed)
            .into_iter()
            .map(|entry| format!("{}: {}", entry.name, entry.reason))
            .collect();
        assert_eq!(
            names,
            [
                "track 1: an attached picture: the file has video",
                "track 3: data that players do not use",
                "track 4: a codec that cannot be decoded: apac",
                "track 5: apac in a variant that cannot be decoded"
            ]
        );
    }
}
