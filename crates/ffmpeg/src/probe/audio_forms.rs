//! Whether audio changes its format within a track, by decoded samples from several places: only a
//! decoder knows, because headers describe the first packets.

use media::ladder::probe::{Audio, Content, Probe, Unreadable, UnreadableCause};

use super::super::child;
use super::super::sandbox::ResourceLimits;
use super::super::timing::{evenly_spaced, intervals};
use super::Prober;

/// Codecs whose packets say each for itself what they hold.
const SELF_DESCRIBING_CODECS: [&str; 11] = [
    "aac", "aac_latm", "ac3", "eac3", "dts", "truehd", "mlp", "mp1", "mp2", "mp3", "flac",
];

/// Places that are checked in addition to the beginning.
const MAX_POSITIONS: u32 = 12;

/// Seconds between places, in short sources.
const MIN_POSITION_SPACING_SECONDS: f64 = 1.0;

/// Packets of each track that are decoded at a place: the time between frames gives the rate, and
/// some decoders need one packet to start.
const PACKETS_PER_POSITION: usize = 5;

/// Packets that are decoded where none of the few at any place gave a frame: those may be what an
/// edit list leaves out.
const FALLBACK_PACKETS: usize = 2000;

/// Seconds between two frames from which they are of different places.
const MIN_POSITION_GAP_SECONDS: f64 = 0.5;

/// Seconds of a place below which its rate is not determined: containers round times to
/// milliseconds.
const MIN_RATED_SECONDS: f64 = 0.05;

/// A frame that seems to last this many times as long as the shortest one is followed by a gap.
const GAP_FACTOR: f64 = 1.4;

/// Share by which rates differ that are not the same: 44.1 and 48 kHz differ by 0.09.
const RATE_TOLERANCE: f64 = 0.05;

/// Of this many places, one must have a stable format.
const LASTING_FORM_DIVISOR: usize = 10;

/// What the decoded samples of one place are.
#[derive(Debug, Clone, PartialEq)]
struct AudioForm {
    channels: u32,
    layout: String,
    format: String,
    /// Samples per second, if the place is long enough to determine it.
    rate: Option<f64>,
}

impl AudioForm {
    fn differs(&self, other: &Self) -> bool {
        let rates = self.rate.zip(other.rate);
        let rates_differ =
            rates.is_some_and(|(one, other)| (one - other).abs() > RATE_TOLERANCE * one.max(other));
        rates_differ
            || (self.channels, &self.layout, &self.format)
                != (other.channels, &other.layout, &other.format)
    }
}

/// What the timestamps of decoded frames show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timestamps {
    /// When each frame begins.
    OfFrames,
    /// When an audio block of several frames begins: AVI and ASF store no other times.
    OfBlocks,
}

/// One decoded frame.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Frame {
    stream: u32,
    time: Option<f64>,
    samples: u32,
    form: AudioForm,
}

impl Frame {
    /// Reads one line of ffprobe; none if it is not an audio frame.
    fn parse(line: &str) -> Option<Self> {
        let value = |key: &str| {
            let mut pairs = line.split('|').filter_map(|pair| pair.split_once('='));
            pairs.find(|(name, _)| *name == key).map(|(_, value)| value)
        };

        Some(Self {
            stream: value("stream_index")?.parse().ok()?,
            time: value("best_effort_timestamp_time").and_then(|time| time.parse().ok()),
            samples: value("nb_samples")?.parse().ok()?,
            form: AudioForm {
                channels: value("channels")?
                    .parse()
                    .ok()
                    .filter(|channels| *channels > 0)?,
                layout: value("channel_layout").unwrap_or("unknown").to_owned(),
                format: value("sample_fmt").unwrap_or_default().to_owned(),
                rate: None,
            },
        })
    }

    fn follows(&self, before: &Self) -> bool {
        let apart = self
            .time
            .zip(before.time)
            .map(|(time, before)| time - before);
        !self.form.differs(&before.form)
            && apart.is_none_or(|apart| (0.0..MIN_POSITION_GAP_SECONDS).contains(&apart))
    }
}

/// The forms of the frames of one track, one for each place, or more where it changes at one.
fn audio_forms(frames: &[Frame], timestamps: Timestamps) -> Vec<AudioForm> {
    let places = frames.chunk_by(|before, frame| frame.follows(before));
    let places = places.map(|place| AudioForm {
        rate: match timestamps {
            Timestamps::OfFrames => rate(place),
            Timestamps::OfBlocks => None,
        },
        ..place[0].form.clone()
    });
    places.collect()
}

/// The rate of the frames of a place, by their times.
fn rate(place: &[Frame]) -> Option<f64> {
    let between =
        |pair: &[Frame]| Some((f64::from(pair[0].samples), pair[1].time? - pair[0].time?));
    let steps = place
        .windows(2)
        .filter_map(between)
        .filter(|(_, seconds)| *seconds > 0.0);
    let steps: Vec<(f64, f64)> = steps.collect();

    let fastest = steps
        .iter()
        .map(|(samples, seconds)| samples / seconds)
        .fold(0.0, f64::max);

    // Where frames are missing, as behind a seek, time passes without samples.
    let sound = steps
        .iter()
        .filter(|(samples, seconds)| samples / seconds * GAP_FACTOR > fastest);

    let (samples, seconds) = sound.fold((0.0, 0.0), |sum, step| (sum.0 + step.0, sum.1 + step.1));
    (seconds >= MIN_RATED_SECONDS).then(|| samples / seconds)
}

/// The widest of the forms that lasts, where not all of them are the same.
fn widest_lasting(forms: &[AudioForm]) -> Option<&AudioForm> {
    let first = forms.first()?;
    if !forms.iter().any(|form| form.differs(first)) {
        return None;
    }

    let count = |form: &AudioForm| {
        let alike = forms
            .iter()
            .filter(|other| other.channels == form.channels && other.layout == form.layout);
        alike.count()
    };

    let lasting = forms
        .iter()
        .filter(|form| count(form) * LASTING_FORM_DIVISOR >= forms.len());
    lasting.max_by_key(|form| (form.channels, count(form)))
}

/// Seconds of audio in which a decoder that supports the format decodes something at some place.
const MIN_DECODABLE_SECONDS: f64 = 1.0;

/// Writes the audio formats that decoded frames show into the streams of a probe.
pub(super) fn apply_decoded_audio(probe: &mut Probe, frames: &[Frame]) {
    let timestamps = match probe.container.as_str() {
        "avi" | "asf" => Timestamps::OfBlocks,
        _ => Timestamps::OfFrames,
    };

    let is_alone = probe
        .streams
        .iter()
        .filter(|stream| matches!(stream.content, Content::Audio(_)))
        .count()
        == 1;

    for stream in &mut probe.streams {
        let Content::Audio(audio) = &mut stream.content else {
            continue;
        };

        let own = frames.iter().filter(|frame| frame.stream == stream.index);
        let own: Vec<Frame> = own.cloned().collect();

        // An older decoder may know the codec, but not this variant of it. If there are other
        // tracks, this one may just not have been read.
        let length = stream
            .end
            .zip(stream.start)
            .map(|(end, start)| end - start.as_f64());
        let is_looked_at = SELF_DESCRIBING_CODECS.contains(&stream.codec.as_str())
            && length.is_some_and(|length| length >= MIN_DECODABLE_SECONDS);
        if own.is_empty() && is_alone && is_looked_at {
            stream.content = Content::Unreadable(Unreadable {
                is_video: false,
                cause: UnreadableCause::UnknownForm,
            });
            continue;
        }

        if let Some(form) = widest_lasting(&audio_forms(&own, timestamps)) {
            *audio = Audio {
                channels: form.channels,
                layout: Some(form.layout.clone()).filter(|layout| layout != "unknown"),
                changes: true,
                ..audio.clone()
            };
        }
    }
}

impl Prober<'_> {
    /// Frames of all audio from its beginning and from places spread over it; none if it cannot
    /// change, or cannot be checked.
    pub(super) async fn sound_frames(&self, probe: &Probe) -> Option<Vec<Frame>> {
        let start = probe.audios().filter_map(|(stream, _)| stream.start).min();
        let end = probe
            .audios()
            .filter_map(|(stream, _)| stream.end)
            .max_by(f64::total_cmp);
        let may_change = probe
            .audios()
            .any(|(stream, _)| SELF_DESCRIBING_CODECS.contains(&stream.codec.as_str()));

        let (Some(start), Some(end), true) = (start, end, may_change) else {
            return None;
        };

        let packets = PACKETS_PER_POSITION * probe.audios().count();
        let times = evenly_spaced(
            start.as_f64(),
            end,
            MIN_POSITION_SPACING_SECONDS,
            MAX_POSITIONS,
        );
        let intervals = format!("%+#{packets},{}", intervals(&times, packets));

        let most = packets * (MAX_POSITIONS as usize + 1) * 2;
        let frames = self.decoded_sound(&intervals, most).await?;
        if !frames.is_empty() {
            return Some(frames);
        }

        self.decoded_sound(&format!("%+#{FALLBACK_PACKETS}"), most)
            .await
    }

    /// The first frames, at most this many, of all audio in intervals in the syntax of ffprobe;
    /// none if they cannot be read.
    async fn decoded_sound(&self, intervals: &str, most: usize) -> Option<Vec<Frame>> {
        let mut frames = Vec::new();
        let args = [
            "-select_streams",
            "a",
            "-show_entries",
            "frame=stream_index,best_effort_timestamp_time,nb_samples,channels,channel_layout,sample_fmt",
            "-of",
            "compact=print_section=0",
            "-read_intervals",
            intervals,
        ];

        let read = child::lines(
            self.spawn(&args, ResourceLimits::extract_samples()),
            |line| {
                frames.extend(Frame::parse(line).filter(|_| frames.len() < most));
            },
        );
        if let Err(error) = self.within(self.limits.look, read).await {
            tracing::debug!(%error, "the audio could not be checked for changes");
            return None;
        }

        Some(frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::ladder::probe::Stream;
    use media::ladder::testing;
    use proptest::prelude::*;
    use streams::Rational;

    /// Frames of 1024 samples at a rate, from a time on.
    fn place(time: f64, channels: u32, layout: &str, rate: f64) -> Vec<Frame> {
        let line = |k: u32| {
            format!(
                "stream_index=1|best_effort_timestamp_time={:.3}|sample_fmt=fltp|nb_samples=1024|channels={channels}|channel_layout={layout}|",
                time + f64::from(k) * 1024.0 / rate
            )
        };
        (0..5).map(|k| Frame::parse(&line(k)).unwrap()).collect()
    }

    fn seen(places: &[Vec<Frame>]) -> Option<(u32, String)> {
        let forms = audio_forms(&places.concat(), Timestamps::OfFrames);
        widest_lasting(&forms).map(|form| (form.channels, form.layout.clone()))
    }

    #[test]
    fn sound_of_one_form_does_not_change_also_where_times_are_rounded() {
        let places: Vec<_> = (0..12)
            .map(|k| place(f64::from(k) * 7.3, 2, "stereo", 44_100.0))
            .collect();
        assert_eq!(seen(&places), None);
        assert_eq!(seen(&[]), None);

        // A frame is missing, as a decoder may drop one behind a seek.
        let mut gap = place(90.0, 2, "stereo", 44_100.0);
        gap.remove(1);
        assert_eq!(seen(&[places[3].clone(), gap]), None);

        // Two seeks that land at the same place.
        assert_eq!(seen(&[places[3].clone(), places[3].clone()]), None);
    }

    #[test]
    fn sound_of_which_nothing_is_decoded_is_of_a_known_codec_in_an_unknown_form() {
        let sound = Audio {
            channels: 2,
            sample_rate: 48_000,
            layout: None,
            changes: false,
        };
        let stream = Stream {
            start: Some(Rational::ZERO),
            end: Some(9.0),
            ..testing::stream(1, "aac", Content::Audio(sound.clone()))
        };
        let mut probe = Probe {
            streams: vec![stream],
            ..Probe::default()
        };

        apply_decoded_audio(&mut probe, &place(0.0, 2, "stereo", 48_000.0));
        assert_eq!(probe.streams[0].content, Content::Audio(sound));

        apply_decoded_audio(&mut probe, &[]);
        let unreadable = Unreadable {
            is_video: false,
            cause: UnreadableCause::UnknownForm,
        };
        assert_eq!(probe.streams[0].content, Content::Unreadable(unreadable));
    }

    #[test]
    fn a_change_of_rate_shows_in_the_times() {
        let places = [
            place(0.0, 2, "stereo", 44_100.0),
            place(9.0, 2, "stereo", 48_000.0),
        ];
        assert_eq!(seen(&places), Some((2, "stereo".to_owned())));
        assert!(widest_lasting(&audio_forms(&places.concat(), Timestamps::OfBlocks)).is_none());
    }

    #[test]
    fn the_widest_form_that_lasts_is_planned() {
        let film = |k: u32| place(f64::from(k), 6, "5.1(side)", 48_000.0);
        let stereo = |k: u32| place(f64::from(k), 2, "stereo", 48_000.0);

        let half: Vec<_> = (0..6).map(stereo).chain((6..12).map(film)).collect();
        assert_eq!(seen(&half), Some((6, "5.1(side)".to_owned())));

        let trailer: Vec<_> = (0..12).map(stereo).chain([film(12)]).collect();
        assert_eq!(seen(&trailer), Some((2, "stereo".to_owned())));
    }

    proptest! {
        #[test]
        fn no_line_makes_the_parser_panic(line in "(stream_index=|nb_samples=|channels=|best_effort_timestamp_time=|\\PC{0,5}|[0-9|.e+-]{0,8}){0,9}") {
            let frames: Vec<Frame> = Frame::parse(&line).into_iter().collect();
            prop_assert!(audio_forms(&frames, Timestamps::OfFrames).len() <= 1);
        }
    }
}
