//! All sound of a job in one run, and what else is no video: whole tracks, since joints of
//! separately encoded sound would click.

use std::collections::BTreeMap;

use streams::RenditionName;
use streams::plan::{AudioRendition, Planned};

use super::channel_mix;
use super::filter::{Chain, Filter, Graph};
use super::hls::Hls;
use super::{Options, common_args, cover, reference, split_words, subtitles, uniform_audio};
use crate::input::Input;

/// Samples an AAC encoder puts before the first one.
const AAC_PRIMING_SAMPLES: u32 = 1024;

/// Samples of the shortest sound: of less an encoder makes nothing.
const MIN_AUDIO_SAMPLES: u64 = 2048;

/// What a run makes, beyond what the plan says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrackSelection {
    /// By how many decibels a rendition is made louder; the others stay as they are.
    pub gains: BTreeMap<RenditionName, f64>,
    /// Whether only sound is made: after a run that broke, which subtitles or the cover may be to
    /// blame for.
    pub sound_alone: bool,
}

/// The arguments that make every audio rendition of the plan from `input`, its subtitles and its
/// cover; nothing when it has none.
#[must_use]
pub fn tracks(
    planned: &Planned,
    input: &Input,
    options: Options,
    choice: &TrackSelection,
) -> Option<Vec<String>> {
    let extras = !choice.sound_alone;

    let graph = graph(planned, planned.audios(), |graph, chain, rendition| {
        let gain = choice.gains.get(&rendition.name).copied();
        let finished = chain
            .then_all(channel_mix::finish(planned, rendition, gain))
            .then_all(programme_length(rendition));
        reference::tap_audio(graph, finished, rendition);
    });

    let has_extras = extras && !(planned.subtitles.is_empty() && planned.cover.is_none());
    if graph.is_none() && !has_extras {
        return None;
    }

    let mut args = base_args(
        planned,
        input,
        options,
        extras && !planned.subtitles.is_empty(),
    );
    args.extend(graph.into_iter().flat_map(|graph| graph.args()));
    for rendition in planned.audios() {
        args.extend(encoder_args(planned, rendition, options));
        args.extend(reference::levels_args(rendition));
    }

    if extras {
        args.extend(planned.subtitles.iter().flat_map(subtitles::args));
        args.extend(planned.cover.into_iter().flat_map(cover::args));
    }
    Some(args)
}

/// The file [`loudness`] writes the measurements of a rendition to, in the folder ffmpeg runs in.
#[must_use]
pub fn loudness_file(rendition: &RenditionName) -> String {
    format!("loudness-{rendition}.txt")
}

/// The arguments that measure how loud each audio rendition would be that is to have a certain
/// loudness; nothing when none is.
#[must_use]
pub fn loudness(planned: &Planned, input: &Input, options: Options) -> Option<Vec<String>> {
    let measured = || {
        planned
            .audios()
            .filter(|rendition| rendition.loudness.is_some())
    };
    let graph = graph(planned, measured(), |graph, chain, rendition| {
        let print = Filter::new("ametadata")
            .arg("mode", "print")
            .arg("key", "lavfi.r128.I")
            .arg("file", loudness_file(&rendition.name));
        let measure = chain
            .then_all(channel_mix::channels(planned, rendition))
            .then(Filter::new("ebur128").arg("metadata", 1))
            .then(print);
        graph.push(measure.output(&rendition.name));
    })?;

    let mut args = base_args(planned, input, options, false);
    args.extend(graph.args());
    for rendition in measured() {
        args.extend(["-map".to_owned(), output_label(rendition)]);
        args.extend(split_words("-f null -"));
    }
    Some(args)
}

/// Streams that no one maps are not read by ffmpeg.
fn base_args(
    planned: &Planned,
    input: &Input,
    options: Options,
    has_subtitles: bool,
) -> Vec<String> {
    let mut args = common_args();
    args.push("-copyts".to_owned());
    args.extend(options.args());

    if has_subtitles {
        args.extend(subtitles::decoding());
    }

    // A change of the sound that no one foresaw ends the run: filters made again would fill from
    // zero and cut once more.
    args.extend(split_words("-reinit_filter:a 0"));
    args.extend(input.args());
    args.extend(uniform_audio::input(planned));
    args
}

/// The filters of some audio renditions of a plan, each track decoded once; nothing when there are
/// none. `finish` ends the chain of a rendition in the label of its name.
fn graph<'a>(
    planned: &Planned,
    audios: impl Iterator<Item = &'a AudioRendition>,
    finish: impl Fn(&mut Graph, Chain, &AudioRendition),
) -> Option<Graph> {
    let mut tracks: BTreeMap<u32, Vec<&AudioRendition>> = BTreeMap::new();
    for rendition in audios {
        tracks.entry(rendition.track).or_default().push(rendition);
    }

    let mut graph = Graph::default();
    for (track, renditions) in &tracks {
        let head = channel_mix::on_the_timeline(&mut graph, planned, renditions[0]);
        if let [rendition] = renditions[..] {
            finish(&mut graph, head, rendition);
            continue;
        }

        let labels: Vec<String> = (0..renditions.len())
            .map(|i| format!("t{track}_{i}"))
            .collect();
        graph.push(head.split("asplit", &labels));
        for (label, rendition) in labels.iter().zip(renditions) {
            finish(&mut graph, Chain::of_label(label), rendition);
        }
    }

    (!tracks.is_empty()).then_some(graph)
}

/// From the first sample behind the encoder's own to the end of the programme: with silence behind
/// the track's end, or cut. The silence is only as long as is planned, and by what a track may end
/// earlier than its packets tell: sound that was lost before must be missed in the end.
fn programme_length(rendition: &AudioRendition) -> [Filter; 2] {
    let samples = |seconds: f64| (seconds * f64::from(rendition.sample_rate)).round() as u64;
    let silence = samples(rendition.padding() + rendition.tolerance());
    let end = samples(rendition.duration).max(MIN_AUDIO_SAMPLES);

    [
        Filter::new("apad").arg("pad_len", silence),
        Filter::new("atrim")
            .arg("start_sample", AAC_PRIMING_SAMPLES)
            .arg("end_sample", end),
    ]
}

fn output_label(rendition: &AudioRendition) -> String {
    format!("[{}]", rendition.name)
}

fn encoder_args(planned: &Planned, rendition: &AudioRendition, options: Options) -> Vec<String> {
    let mut args = vec!["-map".to_owned(), output_label(rendition)];
    args.extend(split_words(&format!(
        "-c:a aac -b:a {} -flags:a +bitexact",
        rendition.bitrate
    )));
    args.extend(options.args());

    let hls = Hls {
        name: &rendition.name,
        segment: planned.segment.duration,
        first_segment: 0,
        offset: None,
        first_fragment: 1,
    };
    args.extend(hls.args());
    args
}
