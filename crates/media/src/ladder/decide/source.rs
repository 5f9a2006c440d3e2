//! The record of the source a plan is for.

use streams::plan::{Source, Timeline, Track, TrackKind};

use super::Pin;
use crate::ladder::mime;
use crate::ladder::probe::{Content, Probe, Stream, Video};

/// The record of a pinned source.
pub(super) fn source(probe: &Probe, pin: Pin, timeline: &Timeline) -> Source {
    let zero = timeline.zero.as_f64();
    let duration = probe.end().unwrap_or(zero) - zero;

    Source {
        bucket: pin.bucket,
        key: pin.key,
        etag: pin.etag,
        size: pin.size,
        mime_type: mime::of(probe).to_owned(),
        container: probe.container.clone(),
        copy: None,
        deep: probe.deep,
        duration: duration.max(0.0),
        tracks: probe
            .streams
            .iter()
            .map(|stream| track(stream, zero))
            .collect(),
    }
}

fn track(stream: &Stream, zero: f64) -> Track {
    let (video, audio) = match &stream.content {
        Content::Video(video) => (Some(video), None),
        Content::Audio(audio) => (None, Some(audio)),
        _ => (None, None),
    };
    let size = video.map(Video::upright_size);

    Track {
        index: stream.index,
        kind: match &stream.content {
            Content::Video(_) => TrackKind::Video,
            Content::Audio(_) => TrackKind::Audio,
            Content::Subtitle { .. } => TrackKind::Subtitle,
            Content::Cover => TrackKind::Cover,
            Content::Unreadable(why) if why.is_video => TrackKind::Video,
            Content::Unreadable(_) => TrackKind::Audio,
            Content::Data => TrackKind::Data,
        },
        codec: stream.codec.clone(),
        language: stream.language.clone(),
        title: stream.title.clone(),
        default: stream.default,
        width: size.map(|size| size.width),
        height: size.map(|size| size.height),
        frame_rate: video.and_then(|video| video.average_rate),
        channels: audio.map(|audio| audio.channels),
        sample_rate: audio.map(|audio| audio.sample_rate),
        start: stream.start.map(|start| start.as_f64() - zero),
        end: stream.end.map(|end| end - zero),
    }
}
