//! The playlists of a whole output, and its measured bandwidths. Pure: equal inputs give equal
//! bytes.

use media::playlist::{
    AudioMedia, AudioStream, Bandwidth, IframeVariant, MediaPlaylist, MediaSegment, Multivariant,
    SubtitleMedia, Variant,
};
use storage::segment_name;
use streams::fact::EndedRendition;
use streams::plan::{AudioRendition, Planned, Rendition};

use super::assembly::AssembledRendition;

/// The media playlist of one rendition.
pub(super) fn media(plan: &Planned, rendition: &AssembledRendition) -> String {
    MediaPlaylist {
        target_duration: plan.segment.target_duration,
        timescale: rendition.timescale,
        init_uri: rendition.init_file().to_owned(),
        segments: segments(rendition),
    }
    .to_string()
}

fn segments(rendition: &AssembledRendition) -> Vec<MediaSegment> {
    let segments = rendition
        .segments
        .iter()
        .map(|(attempt, segment)| MediaSegment {
            uri: segment_name(u64::from(segment.n), *attempt),
            duration: segment.duration,
            bytes: segment.size,
        });
    segments.collect()
}

/// The multivariant playlist of a job. `folder` leads from where it is to the job's folder: empty,
/// or ending in `/`.
pub(super) fn multivariant(
    plan: &Planned,
    folder: &str,
    renditions: &[AssembledRendition],
    rate: &dyn Fn(&AssembledRendition) -> Bandwidth,
    subtitles: Vec<SubtitleMedia>,
    iframes: Option<IframeVariant>,
) -> String {
    Multivariant {
        variants: renditions
            .iter()
            .filter_map(|made| variant(folder, made, rate))
            .collect(),
        audios: audios(folder, renditions, rate),
        subtitles,
        captions: plan
            .video
            .as_ref()
            .is_some_and(|video| video.picture.captions),
        iframes: iframes.into_iter().collect(),
    }
    .to_string()
}

fn variant(
    folder: &str,
    made: &AssembledRendition,
    rate: &dyn Fn(&AssembledRendition) -> Bandwidth,
) -> Option<Variant> {
    let Rendition::Video(video) = &made.rendition else {
        return None;
    };

    Some(Variant {
        uri: uri(folder, made),
        width: video.width,
        height: video.height,
        frame_rate: video.frame_rate,
        codecs: made.codecs.clone(),
        bandwidth: rate(made),
    })
}

/// Every audio track once, with its stereo rendition and its 5.1 rendition.
fn audios(
    folder: &str,
    renditions: &[AssembledRendition],
    rate: &dyn Fn(&AssembledRendition) -> Bandwidth,
) -> Vec<AudioMedia> {
    let sounds = || {
        renditions.iter().filter_map(|made| match &made.rendition {
            Rendition::Audio(audio) => Some((made, audio)),
            Rendition::Video(_) => None,
        })
    };

    let stream = |(made, audio): (&AssembledRendition, &AudioRendition)| AudioStream {
        uri: uri(folder, made),
        channels: audio.channels,
        codecs: made.codecs.clone(),
        bandwidth: rate(made),
    };

    let media = sounds()
        .filter(|(_, audio)| !audio.is_surround())
        .map(|(made, audio)| AudioMedia {
            name: audio.label.clone(),
            language: audio.language.clone(),
            default: audio.default,
            describes_video: audio.describes_video,
            commentary: audio.commentary,
            stereo: stream((made, audio)),
            surround: sounds()
                .find(|(_, other)| other.is_surround() && other.track == audio.track)
                .map(stream),
        });
    media.collect()
}

fn uri(folder: &str, made: &AssembledRendition) -> String {
    format!("{folder}{}/{}", made.name(), made.playlist)
}

/// The measured rates of a rendition, in bits a second (RFC 8216bis section 4.4.6.2).
pub(super) fn bandwidth(plan: &Planned, rendition: &AssembledRendition) -> Bandwidth {
    Bandwidth::measure(
        &segments(rendition),
        rendition.timescale,
        plan.segment.target_duration,
    )
}

/// What `ended` says of a rendition.
pub(super) fn ended(plan: &Planned, rendition: &AssembledRendition) -> EndedRendition {
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
