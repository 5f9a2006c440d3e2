//! Filters that make a track's sound what the output is: on the timeline, in so many channels, and as loud as is wished.

use streams::plan::{AudioRendition, Planned, SourceChannels};

use super::{LIFT, uniform};

/// The loudest sample after channels were added or made louder, -1 dBFS: what an encoder makes of it may be a little louder still.
const CEILING: f64 = 0.891;

/// A track's sound on the output's timeline, with its channels in their places. Nothing here may leave ffmpeg a choice of channels: it
/// would take those of one rendition and make the others of them.
pub(super) fn on_the_timeline(planned: &Planned, rendition: &AudioRendition) -> String {
    let (track, zero) = (rendition.track, planned.timeline.zero);
    if let Some(k) = uniform::tracks(planned).keys().position(|changing| *changing == track) {
        return format!("[1:{k}]asetpts=round(PTS-(({zero})+{LIFT})/TB)");
    }
    let head = |track: u32| format!("[0:{track}]asetpts=round(PTS-({zero})/TB)");
    if let Some(right) = rendition.right_track {
        // Joined once both begin at zero: a filter of two inputs knows no times.
        let one = |track: u32| {
            format!(
                "{},pan=mono|c0=c0,{}[m{track}];",
                head(track),
                form(planned, rendition, "mono")
            )
        };
        let join = "join=inputs=2:channel_layout=stereo:map=0.0-FL|1.0-FR";
        return format!("{}{}[m{track}][m{right}]{join}", one(track), one(right));
    }
    let places = match &rendition.source_channels {
        SourceChannels::Dealt(count) => format!(",pan=stereo|c0={}|c1={}", dealt(*count, 0), dealt(*count, 1)),
        // Heard from both loudspeakers as loud as it is; ffmpeg would make it quieter.
        _ if is_mono(planned, rendition) => ",pan=stereo|c0=c0|c1=c0".to_owned(),
        SourceChannels::Guessed(layout) => format!(",channelmap=channel_layout={layout}"),
        SourceChannels::Named => String::new(),
    };
    format!("{}{places}", head(track))
}

/// Every other channel, with the power of one.
fn dealt(count: u32, first: u32) -> String {
    let channels: Vec<u32> = (first..count).step_by(2).collect();
    let gain = 1.0 / f64::from(u32::try_from(channels.len()).unwrap_or(1).max(1)).sqrt();
    let terms: Vec<String> = channels.iter().map(|channel| format!("{gain:.4}*c{channel}")).collect();
    terms.join("+")
}

/// From the source's channels and rate to the rendition's: gaps are filled, drift is drawn out, and it begins exactly at zero. The
/// centre and the channels behind are added at -3 dB (ITU-R BS.775); ffmpeg does so as long as samples are floats, whole numbers it
/// would make quieter. The resampler is there from the start, also between equal rates: ffmpeg would make one when it first draws drift
/// out, and then fill from zero again, so that a gap of one frame became silence as long as everything before it.
pub(super) fn channels(planned: &Planned, rendition: &AudioRendition) -> String {
    form(planned, rendition, layout(rendition))
}

fn form(planned: &Planned, rendition: &AudioRendition, layout: &str) -> String {
    let copy = planned.source.copy.as_ref();
    let is_spliced = rendition.changes || copy.is_some_and(|copy| copy.spliced);
    // Drift was drawn out when it was decoded to one form. What is left is pieces that overlap or are apart by some milliseconds: they
    // are cut or filled at once, where drawing them out would be heard as a change of pitch.
    let hard = if is_spliced { ":min_hard_comp=0.01" } else { "" };
    format!(
        "aresample={}:async=1000:first_pts=0{hard}:flags=+res,aformat=sample_fmts=fltp:channel_layouts={layout}",
        rendition.sample_rate
    )
}

/// [`channels`], then `gain` in dB, then a limiter where either may have left the range. It looks ahead and gives back the delay, so
/// that not one sample moves.
pub(super) fn finish(planned: &Planned, rendition: &AudioRendition, gain: Option<f64>) -> String {
    let mut filters = channels(planned, rendition);
    if let Some(gain) = gain {
        filters.push_str(&format!(",volume={gain:.2}dB"));
    }
    let mixed = source_channels(planned, rendition) > rendition.channels;
    if mixed || gain.is_some_and(|gain| gain > 0.0) {
        filters.push_str(&format!(
            ",alimiter=limit={CEILING}:level=disabled:attack=5:release=50:latency=1,aformat=sample_fmts=fltp"
        ));
    }
    filters
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
