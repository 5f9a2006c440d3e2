//! Filters that make a track's sound what the output is: on the timeline, in so many channels, and
//! as loud as is wished.

use streams::plan::{AudioRendition, Planned, SourceChannels};

use super::filter::{Chain, Filter, Graph};
use super::{TIME_OFFSET_SECONDS, uniform_audio};

/// The loudest sample after channels were added or made louder, -1 dBFS: what an encoder makes of
/// it may be a little louder still.
const PEAK_LIMIT: f64 = 0.891;

/// A chain with a track's sound on the output's timeline, its channels in their places. Nothing
/// here may leave ffmpeg a choice of channels: it would take those of one rendition and make the
/// others of them.
pub(super) fn on_the_timeline(
    graph: &mut Graph,
    planned: &Planned,
    rendition: &AudioRendition,
) -> Chain {
    let (track, zero) = (rendition.track, planned.timeline.zero);
    let at_zero = |zero: String| Filter::new("asetpts").value(format!("round(PTS-({zero})/TB)"));

    // A track that changes is read from the second input, which holds it in one form.
    if let Some(k) = uniform_audio::tracks(planned)
        .keys()
        .position(|changing| *changing == track)
    {
        return Chain::of_stream(1, u32::try_from(k).unwrap_or(u32::MAX))
            .then(at_zero(format!("({zero})+{TIME_OFFSET_SECONDS}")));
    }

    let head = |track: u32| Chain::of_stream(0, track).then(at_zero(zero.to_string()));
    if let Some(right) = rendition.right_track {
        // Joined once both begin at zero: a filter of two inputs knows no times.
        for track in [track, right] {
            graph.push(
                head(track)
                    .then(pan("mono", &["c0"]))
                    .then_all(sample_format(planned, rendition, "mono"))
                    .output(format!("m{track}")),
            );
        }

        let join = Filter::new("join")
            .arg("inputs", 2)
            .arg("channel_layout", "stereo")
            .arg("map", "0.0-FL|1.0-FR");
        return Chain::of_labels([track, right].map(|track| format!("m{track}"))).then(join);
    }

    head(track).then_all(match &rendition.source_channels {
        SourceChannels::Dealt(count) => Some(pan(
            "stereo",
            &[&spread_evenly(*count, 0), &spread_evenly(*count, 1)],
        )),
        // Heard from both loudspeakers as loud as it is; ffmpeg would make it quieter.
        _ if is_mono(planned, rendition) => Some(pan("stereo", &["c0", "c0"])),
        SourceChannels::Guessed(layout) => {
            Some(Filter::new("channelmap").arg("channel_layout", layout))
        }
        SourceChannels::Named => None,
    })
}

/// A layout each of whose channels is made of those of the input by an expression, in order.
fn pan(layout: &str, channels: &[&str]) -> Filter {
    let channels = channels
        .iter()
        .enumerate()
        .map(|(n, made_of)| format!("|c{n}={made_of}"));
    Filter::new("pan").value(format!("{layout}{}", channels.collect::<String>()))
}

/// Every other channel, with the power of one.
fn spread_evenly(count: u32, first: u32) -> String {
    let channels: Vec<u32> = (first..count).step_by(2).collect();
    let gain = 1.0 / f64::from(u32::try_from(channels.len()).unwrap_or(1).max(1)).sqrt();
    let terms: Vec<String> = channels
        .iter()
        .map(|channel| format!("{gain:.4}*c{channel}"))
        .collect();
    terms.join("+")
}

/// From the source's channels and rate to the rendition's: gaps are filled, drift is drawn out, and
/// it begins exactly at zero. The centre and the channels behind are added at -3 dB (ITU-R BS.775);
/// ffmpeg does so as long as samples are floats, whole numbers it would make quieter. The resampler
/// is there from the start, also between equal rates: ffmpeg would make one when it first draws
/// drift out, and then fill from zero again, so that a gap of one frame became silence as long as
/// everything before it.
pub(super) fn channels(planned: &Planned, rendition: &AudioRendition) -> [Filter; 2] {
    sample_format(planned, rendition, layout(rendition))
}

fn sample_format(planned: &Planned, rendition: &AudioRendition, layout: &str) -> [Filter; 2] {
    let copy = planned.source.copy.as_ref();
    let is_spliced = rendition.changes || copy.is_some_and(|copy| copy.spliced);

    // Drift was drawn out when it was decoded to one form. What is left is pieces that overlap or
    // are apart by some milliseconds: they are cut or filled at once, where drawing them out would
    // be heard as a change of pitch.
    let hard = is_spliced.then_some(0.01);

    [
        Filter::new("aresample")
            .value(rendition.sample_rate)
            .arg("async", 1000)
            .arg("first_pts", 0)
            .maybe("min_hard_comp", hard)
            .arg("flags", "+res"),
        Filter::new("aformat")
            .arg("sample_fmts", "fltp")
            .arg("channel_layouts", layout),
    ]
}

/// [`channels`], then `gain` in dB, then a limiter where either may have left the range. It looks
/// ahead and gives back the delay, so that not one sample moves.
pub(super) fn finish(
    planned: &Planned,
    rendition: &AudioRendition,
    gain: Option<f64>,
) -> Vec<Filter> {
    let mut filters = channels(planned, rendition).to_vec();
    if let Some(gain) = gain {
        filters.push(Filter::new("volume").value(format!("{gain:.2}dB")));
    }

    let mixed = source_channels(planned, rendition) > rendition.channels;
    if mixed || gain.is_some_and(|gain| gain > 0.0) {
        filters.extend([
            Filter::new("alimiter")
                .arg("limit", PEAK_LIMIT)
                .arg("level", "disabled")
                .arg("attack", 5)
                .arg("release", 50)
                .arg("latency", 1),
            Filter::new("aformat").arg("sample_fmts", "fltp"),
        ]);
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
    track
        .and_then(|track| track.channels)
        .unwrap_or(rendition.channels)
}
