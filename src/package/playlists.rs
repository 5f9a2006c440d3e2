//! The playlists of a whole output, and its measured bandwidths. Pure: equal inputs give equal bytes.

use streams::fact::EndedRendition;
use streams::plan::{Planned, Rendition};

use super::assembly::Assembled;
use crate::playlist::{AudioMedia, Bandwidth, MediaPlaylist, MediaSegment, Multivariant, Variant};
use crate::storage::segment_name;

/// The media playlist of one rendition.
pub(super) fn media(plan: &Planned, rendition: &Assembled) -> String {
    MediaPlaylist {
        target_duration: plan.segment.target_duration,
        timescale: rendition.timescale,
        init_uri: rendition.init_file().to_owned(),
        segments: segments(rendition),
    }
    .to_string()
}

fn segments(rendition: &Assembled) -> Vec<MediaSegment> {
    let segments = rendition.segments.iter().map(|(attempt, segment)| MediaSegment {
        uri: segment_name(u64::from(segment.n), *attempt),
        duration: segment.duration,
        bytes: segment.size,
    });
    segments.collect()
}

/// The multivariant playlist of the job. Its URIs are relative to the output prefix, where `master.m3u8` is.
pub(super) fn multivariant(plan: &Planned, job: &str, renditions: &[Assembled]) -> String {
    let (mut variants, mut audios) = (Vec::new(), Vec::new());
    for made in renditions {
        let uri = format!("{job}/{}/{}", made.name(), made.playlist);
        let (codecs, bandwidth) = (made.codecs.clone(), bandwidth(plan, made));
        match &made.rendition {
            Rendition::Video(video) => variants.push(Variant {
                uri,
                width: video.width,
                height: video.height,
                frame_rate: video.frame_rate,
                codecs,
                bandwidth,
            }),
            Rendition::Audio(audio) => audios.push(AudioMedia {
                uri,
                name: audio.label.clone(),
                language: audio.language.clone(),
                default: audio.default,
                channels: audio.channels,
                codecs,
                bandwidth,
            }),
        }
    }
    Multivariant { variants, audios }.to_string()
}

/// The measured rates of a rendition.
pub(super) fn bandwidth(plan: &Planned, rendition: &Assembled) -> Bandwidth {
    Bandwidth::measure(&segments(rendition), rendition.timescale, plan.segment.target_duration)
}

/// What `ended` says of a rendition.
pub(super) fn ended(plan: &Planned, rendition: &Assembled) -> EndedRendition {
    let bandwidth = bandwidth(plan, rendition);
    let video = match &rendition.rendition {
        Rendition::Video(video) => Some(video),
        Rendition::Audio(_) => None,
    };
    EndedRendition {
        name: rendition.name().to_string(),
        kind: if video.is_some() { "video" } else { "audio" }.to_owned(),
        width: video.map(|video| video.width),
        height: video.map(|video| video.height),
        frame_rate: video.map(|video| video.frame_rate.as_f64()),
        codecs: rendition.codecs.clone(),
        bandwidth: bandwidth.peak,
        average_bandwidth: bandwidth.average,
        bytes: rendition.bytes(),
    }
}
