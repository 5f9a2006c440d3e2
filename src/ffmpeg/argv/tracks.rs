//! All sound of a job in one run: whole tracks, since joints of separately encoded sound would click.

use streams::plan::{AudioRendition, Planned};

use super::hls::Hls;
use super::{Options, preamble, samples, words};
use crate::ffmpeg::input::Input;

/// Samples an AAC encoder puts before the first one.
const PRIMING: u32 = 1024;

/// The arguments that encode every audio rendition of the plan from `input`; nothing when it has none.
#[must_use]
pub fn tracks(planned: &Planned, input: &Input, options: Options) -> Option<Vec<String>> {
    planned.audios().next()?;
    let mut args = preamble();
    args.push("-copyts".to_owned());
    args.extend(options.args());
    args.extend(words("-vn -sn -dn"));
    args.extend(input.args());
    for rendition in planned.audios() {
        args.extend(words(&format!(
            "-map 0:{} -filter:a {}",
            rendition.track,
            filters(planned, rendition)
        )));
        args.extend(words(&format!(
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
    }
    Some(args)
}

/// Sound is moved onto the output's timeline, its gaps filled and its drift drawn out, and it begins exactly at zero. The first
/// samples are then cut without moving the others: the encoder's priming takes their place, so that no player hears a delay.
fn filters(planned: &Planned, rendition: &AudioRendition) -> String {
    let layout = if rendition.channels == 1 { "mono" } else { "stereo" };
    format!(
        "asetpts=round(PTS-({})/TB),aresample={}:async=1000:first_pts=0,aformat=sample_fmts=fltp:channel_layouts={layout},atrim=start_sample={PRIMING}{}",
        planned.timeline.zero,
        rendition.sample_rate,
        samples::listen(rendition.name.as_str(), rendition.sample_rate)
    )
}
