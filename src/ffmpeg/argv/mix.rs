//! Filters that make a track's sound what the output is: on the timeline, in so many channels, and as loud as is wished.

use streams::plan::{AudioRendition, Planned, SourceChannels};

/// The loudest sample after channels were added or made louder, -1 dBFS: what an encoder makes of it may be a little louder still.
const CEILING: f64 = 0.891;

/// Sound is moved onto the output's timeline, its gaps are filled and its drift is drawn out, and it begins exactly at zero.
pub(super) fn on_the_timeline(planned: &Planned, rendition: &AudioRendition) -> String {
    format!(
        "asetpts=round(PTS-({})/TB),{}aresample={}:async=1000:first_pts=0,aformat=sample_fmts=fltp",
        planned.timeline.zero,
        read(&rendition.source_channels),
        rendition.sample_rate
    )
}

/// Gives channels their places where the source does not.
fn read(channels: &SourceChannels) -> String {
    match channels {
        SourceChannels::Named => String::new(),
        SourceChannels::Guessed(layout) => format!("channelmap=channel_layout={layout},"),
        SourceChannels::Dealt(count) => format!("pan=stereo|c0={}|c1={},", dealt(*count, 0), dealt(*count, 1)),
    }
}

/// Every other channel, with the power of one.
fn dealt(count: u32, first: u32) -> String {
    let channels: Vec<u32> = (first..count).step_by(2).collect();
    let gain = 1.0 / f64::from(u32::try_from(channels.len()).unwrap_or(1).max(1)).sqrt();
    let terms: Vec<String> = channels.iter().map(|channel| format!("{gain:.4}*c{channel}")).collect();
    terms.join("+")
}

/// From the source's channels to the rendition's. Mono is heard from both loudspeakers as loud as it is; of more channels the centre
/// and those behind are added at -3 dB (ITU-R BS.775). ffmpeg does so as long as samples are floats; whole numbers it makes quieter.
pub(super) fn channels(planned: &Planned, rendition: &AudioRendition) -> String {
    if is_mono(planned, rendition) {
        return "pan=stereo|c0=c0|c1=c0".to_owned();
    }
    format!("aformat=channel_layouts={}", layout(rendition))
}

/// [`channels`], then `gain` in dB, then a limiter where either may have left the range. It looks ahead and gives back the delay, so
/// that not one sample moves.
pub(super) fn finish(planned: &Planned, rendition: &AudioRendition, gain: Option<f64>) -> String {
    let mixed = source_channels(planned, rendition) > rendition.channels;
    let limited = mixed || gain.is_some_and(|gain| gain > 0.0);
    let mut filters = Vec::new();
    if limited || gain.is_some() || is_mono(planned, rendition) {
        filters.push(channels(planned, rendition));
    }
    filters.extend(gain.map(|gain| format!("volume={gain:.2}dB")));
    if limited {
        filters.push(format!(
            "alimiter=limit={CEILING}:level=disabled:attack=5:release=50:latency=1"
        ));
    }
    filters.push(format!(
        "aformat=sample_fmts=fltp:channel_layouts={}",
        layout(rendition)
    ));
    filters.join(",")
}

fn is_mono(planned: &Planned, rendition: &AudioRendition) -> bool {
    rendition.channels == 2 && source_channels(planned, rendition) == 1
}

const fn layout(rendition: &AudioRendition) -> &'static str {
    match rendition.channels {
        1 => "mono",
        2 => "stereo",
        _ => "5.1",
    }
}

/// Channels of the track the rendition is made of.
fn source_channels(planned: &Planned, rendition: &AudioRendition) -> u32 {
    let mut tracks = planned.source.tracks.iter();
    let track = tracks.find(|track| track.index == rendition.track);
    track.and_then(|track| track.channels).unwrap_or(rendition.channels)
}
