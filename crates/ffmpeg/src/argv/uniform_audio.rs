//! Sound that changes its channels, rate or sample format on the way, decoded to one form before it
//! is encoded.
//!
//! ffmpeg makes the filters of a run again at each such change. Those of the encode cannot bear it:
//! they fill from zero and cut off the encoder's priming, once. The filters of this run have no
//! such state, and the sound keeps the times of the source.

use std::collections::BTreeMap;
use std::path::Path;

use media::ladder::audio::SAMPLE_RATE;
use streams::plan::Planned;

use super::filter::{Chain, Filter, Graph};
use super::{Options, TIME_OFFSET_SECONDS, common_args, split_words};
use crate::input::Input;

/// The file the sound is written to, in the folder ffmpeg runs in. NUT keeps times to the sample,
/// where Matroska rounds them to milliseconds. All times in it are later by [`TIME_OFFSET_SECONDS`], since it has
/// no negative ones.
const UNIFORM_FILE: &str = "uniform.nut";

/// The tracks of a plan that change, by their absolute index, with the channels they get: those of
/// their widest rendition. Their order is that of the streams in the file.
pub(super) fn tracks(planned: &Planned) -> BTreeMap<u32, u32> {
    let mut tracks = BTreeMap::new();
    for rendition in planned.audios().filter(|rendition| rendition.changes) {
        let channels = tracks.entry(rendition.track).or_insert(rendition.channels);
        *channels = rendition.channels.max(*channels);
    }
    tracks
}

/// Bytes of the file, roughly; zero where no track changes.
#[must_use]
pub fn uniform_bytes(planned: &Planned) -> u64 {
    let seconds = planned
        .audios()
        .map(|rendition| rendition.source_end)
        .fold(0.0, f64::max);
    let frames = (seconds.max(0.0) * f64::from(SAMPLE_RATE)).ceil() as u64;
    tracks(planned)
        .values()
        .map(|channels| frames * u64::from(*channels) * size_of::<f32>() as u64)
        .sum()
}

/// The arguments that write the file of all tracks that change; nothing where none does.
#[must_use]
pub fn uniform(planned: &Planned, input: &Input, options: Options) -> Option<Vec<String>> {
    let tracks = tracks(planned);
    if tracks.is_empty() {
        return None;
    }

    let mut args = common_args();
    args.push("-copyts".to_owned());
    args.extend(options.args());
    args.extend(input.args());

    let chain = |(track, channels): (&u32, &u32)| {
        Chain::of_stream(0, *track)
            .then_all(one_form(*channels, "flt"))
            .output(format!("u{track}"))
    };
    args.extend(tracks.iter().map(chain).collect::<Graph>().args());

    for track in tracks.keys() {
        args.extend(split_words(&format!("-map [u{track}]")));
    }
    args.extend(split_words(&format!(
        "-c:a pcm_f32le -map_metadata -1 -map_chapters -1 -fflags +bitexact -output_ts_offset {TIME_OFFSET_SECONDS} -avoid_negative_ts disabled -f nut {UNIFORM_FILE}"
    )));

    Some(args)
}

/// The options that open [`UNIFORM_FILE`] as another input; none where no track changes.
pub(super) fn input(planned: &Planned) -> Vec<String> {
    if tracks(planned).is_empty() {
        return Vec::new();
    }
    Input::own_file(Path::new(UNIFORM_FILE)).args().to_vec()
}

/// From any form to one, in samples of a `format` of ffmpeg's. It makes one channel quieter where
/// it spreads it over two loudspeakers; here that is heard as loud as it is.
pub(super) fn one_form(channels: u32, format: &str) -> Vec<Filter> {
    let is_wide = channels >= 6;
    let loudness =
        (!is_wide).then(|| Filter::new("volume").value("if(eq(nb_channels,1),sqrt(2),1)"));

    let resample = Filter::new("aresample")
        .value(SAMPLE_RATE)
        .arg("async", 1000)
        .arg("flags", "+res");
    let form = Filter::new("aformat")
        .arg("sample_fmts", format)
        .arg("channel_layouts", if is_wide { "5.1" } else { "stereo" });

    loudness.into_iter().chain([resample, form]).collect()
}
