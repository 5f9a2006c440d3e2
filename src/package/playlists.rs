//! The playlists of a whole output, and its measured bandwidths. Pure: equal inputs give equal bytes.

use streams::fact::EndedRendition;
use streams::plan::{Planned, Rendition};

use super::assembly::Assembled;
use crate::playlist::{AudioMedia, MediaPlaylist, MediaSegment, Multivariant, Rate, Variant, measure};
use crate::storage::{init_name, segment_name};

/// Name of the audio group of the stereo renditions.
const STEREO: &str = "stereo";

/// The media playlist of one rendition.
pub(super) fn media(plan: &Planned, rendition: &Assembled) -> String {
    let segments = rendition.segments.iter().map(|(attempt, segment)| MediaSegment {
        uri: segment_name(u64::from(segment.n), *attempt),
        duration_ticks: segment.duration,
        timescale: rendition.timescale,
    });
    MediaPlaylist {
        target_duration: plan.segment.target_duration,
        map_uri: init_name(rendition.init_attempt),
        segments: segments.collect(),
    }
    .to_string()
}

/// The multivariant playlist of the job. Its URIs are relative to the output prefix, where `master.m3u8` is.
pub(super) fn multivariant(plan: &Planned, job: &str, renditions: &[Assembled]) -> String {
    let uri = |rendition: &Assembled| format!("{job}/{}/index.m3u8", rendition.name());
    let audio: Vec<(&Assembled, Rate)> =
        renditions.iter().filter(|rendition| matches!(rendition.rendition, Rendition::Audio(_))).map(|rendition| (rendition, rate(plan, rendition))).collect();
    let has_video = plan.video.is_some();
    let loudest = audio.iter().map(|(_, rate)| rate.peak).max().unwrap_or(0);
    let mean = audio.iter().map(|(_, rate)| rate.average).max().unwrap_or(0);
    let audio_codecs = audio.first().map(|(rendition, _)| rendition.codecs.clone());
    let variants = renditions.iter().filter_map(|rendition| {
        let own = rate(plan, rendition);
        match &rendition.rendition {
            Rendition::Video(video) => Some(Variant {
                uri: uri(rendition),
                bandwidth: own.peak + loudest,
                average_bandwidth: own.average + mean,
                codecs: std::iter::once(rendition.codecs.clone()).chain(audio_codecs.clone()).collect(),
                resolution: Some((video.width, video.height)),
                frame_rate: Some(video.frame_rate.as_f64()),
                audio_group: audio_codecs.as_ref().map(|_| STEREO.to_owned()),
            }),
            // Without video the default audio is the one variant; the others stay in its group.
            Rendition::Audio(_) if !has_video && rendition.name() == audio[0].0.name() => Some(Variant {
                uri: uri(rendition),
                bandwidth: own.peak.max(loudest),
                average_bandwidth: own.average.max(mean),
                codecs: vec![rendition.codecs.clone()],
                resolution: None,
                frame_rate: None,
                audio_group: Some(STEREO.to_owned()),
            }),
            Rendition::Audio(_) => None,
        }
    });
    let media = audio.iter().filter_map(|(rendition, _)| match &rendition.rendition {
        Rendition::Audio(audio) => Some(AudioMedia {
            group: STEREO.to_owned(),
            name: audio.label.clone(),
            language: audio.language.clone(),
            default: audio.default,
            channels: audio.channels,
            uri: uri(rendition),
        }),
        Rendition::Video(_) => None,
    });
    Multivariant { variants: variants.collect(), audio: media.collect() }.to_string()
}

/// The measured rates of a rendition.
fn rate(plan: &Planned, rendition: &Assembled) -> Rate {
    measure(rendition.rates(), plan.segment.target_duration)
}

/// What `ended` says of a rendition.
pub(super) fn ended(plan: &Planned, rendition: &Assembled) -> EndedRendition {
    let rate = rate(plan, rendition);
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
        bandwidth: rate.peak,
        average_bandwidth: rate.average,
        bytes: rendition.bytes(),
    }
}
