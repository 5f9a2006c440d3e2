//! When the streams of a source begin and end, and whether it can be entered at a time: by the word
//! of its packets.

use media::ladder::Refusal;
use media::ladder::frame_rate;
use media::ladder::probe::{ClockRepair, Content, Probe};
use streams::{Code, Rational};

use super::super::child;
use super::super::clock::Clock;
use super::super::packet::{Packet, SHOW_ENTRIES};
use super::super::probe_json::Document;
use super::super::sandbox::ResourceLimits;
use super::super::timing::{
    FrameTimes, Spans, cadence, evenly_spaced, exact_interval, intervals, places,
};
use super::{ProbeError, Prober, check_exit};

/// Places at which pictures are counted, at most, and seconds between them in short sources.
const COUNTED_POSITIONS: (u32, f64) = (12, 4.0);

/// Seconds from the start of a source whose packets show when its streams begin.
pub(super) const START_WINDOW_SECONDS: f64 = 2.0;

/// Seconds before the supposed end of a source in which its last packets are searched, wider and
/// wider.
const END_WINDOWS_SECONDS: [f64; 3] = [10.0, 60.0, 600.0];

/// Packets of pictures that are read at each place of a source whose frame rate is not clear: a
/// second of most.
const PACKETS_OF_PLACE: usize = 60;

/// Writes what the packets say into the streams.
pub(super) fn apply_packet_times(
    probe: &mut Probe,
    document: &Document,
    beginning: &Spans,
    ending: &Spans,
) {
    for (stream, raw) in probe.streams.iter_mut().zip(&document.streams) {
        if let Content::Video(video) = &mut stream.content {
            video.cadence = cadence(stream.index, beginning, ending, &[]);
        }

        // Video begins with its first packet. Audio may not: decoders drop the start-up samples of
        // an encoder, and only the header counts them. A stream that begins later has no packet at
        // the beginning; if the header does not give its start, the whole scan does.
        let beginning = beginning.get(stream.index);
        let pictures = beginning.filter(|_| matches!(stream.content, Content::Video(_)));
        let first =
            pictures.or_else(|| ending.get(stream.index).filter(|_| stream.start.is_none()));
        if let (Some(span), Some(base)) = (first, raw.time_base()) {
            stream.start = exact_interval(span.first, base).or(stream.start);
        }

        let last = ending.get(stream.index).or(beginning);
        stream.packet = last.map_or(0.0, |span| span.packet);

        let (frame, padding) = match &stream.content {
            Content::Video(video) => match (&video.cadence, video.average_rate) {
                (Some(cadence), _) => (cadence.usual, 0.0),
                (None, Some(rate)) => (1.0 / rate.as_f64(), 0.0),
                (None, None) => (0.0, 0.0),
            },
            Content::Audio(audio) => (
                stream.packet / 2.0,
                1.0 / f64::from(audio.sample_rate.max(1)),
            ),
            _ => (0.0, 0.0),
        };

        // Without durations the last frame lasts as long as the usual one. The last audio packet
        // may be full or almost empty.
        stream.end = last.map(|span| {
            let end = if span.end > span.last {
                span.end
            } else {
                span.end + frame
            };
            end - f64::from(span.padding) * padding
        });
    }
}

/// Whether the packets of an ISO file seem to end too early: before the end that it declares, or if
/// it declares none.
pub(super) fn may_be_cut(probe: &Probe) -> bool {
    let is_iso = probe.container.split(',').any(|name| name == "mov");
    let missing = probe
        .declared_end
        .zip(probe.end())
        .map(|(declared, end)| declared - end);
    is_iso && missing.is_none_or(|missing| missing > 0.5)
}

/// Writes into the streams when they end once their clock is repaired.
pub(super) fn settle_repaired(probe: &mut Probe) {
    let Some(duration) = probe.clock_repair.as_ref().map(|repair| repair.duration) else {
        return;
    };

    let media = probe.streams.iter().filter(|stream| stream.is_media());
    let start = media
        .filter_map(|stream| stream.start)
        .min()
        .unwrap_or(probe.container_start);

    for stream in probe.streams.iter_mut().filter(|stream| stream.is_media()) {
        stream.end = stream.end.map(|_| start.as_f64() + duration);
    }
}

/// What brings the packets onto one clock, if anything has to.
pub(super) fn clock_repair(clock: Option<Clock>) -> Result<Option<ClockRepair>, Refusal> {
    match clock {
        Some(clock) if clock.is_beyond_repair() => {
            let message = "The timestamps of the file restart too often to be repaired.";
            Err(Refusal::new(Code::DecodeErrors, message))
        }
        clock => Ok(clock.and_then(|clock| clock.repair())),
    }
}

/// When video and audio end according to an index: the ends of the tracks if it has them, else that
/// of the container if it has no other tracks.
pub(super) fn declared_end(probe: &Probe, document: &Document) -> Option<f64> {
    let own = probe
        .streams
        .iter()
        .zip(&document.streams)
        .filter(|(stream, _)| stream.is_media());
    own.filter_map(|(stream, raw)| Some(stream.start?.as_f64() + raw.duration()?))
        .max_by(f64::total_cmp)
        .or_else(|| {
            // Matroska counts its one duration from time zero or from its start, by writer: the
            // earlier end is the one that is sure. ISO files have one for each track; where that is
            // unknown, so is that of the whole.
            let is_iso = probe.container.split(',').any(|name| name == "mov");
            let alone = !is_iso
                && probe
                    .streams
                    .iter()
                    .all(media::ladder::probe::Stream::is_media);
            document.format.duration().filter(|_| alone)
        })
}

/// Which packets of a source are read.
#[derive(Debug, Clone, Copy, Default)]
struct PacketSelection<'a> {
    /// The absolute index of the one stream they are of; all streams where there is none.
    stream: Option<u32>,
    /// Intervals of ffprobe's syntax; the whole source where there are none.
    intervals: Option<&'a str>,
}

impl Prober<'_> {
    /// First and last times of all streams within an interval of ffprobe's syntax.
    pub(super) async fn spans(&self, interval: &str) -> Result<Spans, ProbeError> {
        let mut spans = Spans::default();
        let selection = PacketSelection {
            stream: None,
            intervals: Some(interval),
        };
        self.read_packets(selection, |packet| spans.add(&packet))
            .await?;
        Ok(spans)
    }

    /// First and last times of all streams of the whole source.
    pub(super) async fn scan(&self) -> Result<Spans, ProbeError> {
        let mut spans = Spans::default();
        self.read_packets(PacketSelection::default(), |packet| spans.add(&packet))
            .await?;
        Ok(spans)
    }

    /// First and last times of all streams of the whole source, and its clock.
    pub(super) async fn scan_with_clock(&self) -> Result<(Spans, Clock), ProbeError> {
        let (mut spans, mut clock) = (Spans::default(), Clock::default());
        self.read_packets(PacketSelection::default(), |packet| {
            spans.add(&packet);
            clock.add(&packet);
        })
        .await?;
        Ok((spans, clock))
    }

    /// Measures the end of each video or audio track separately. ffprobe reads the tracks of a file
    /// in turns and ends at the first truncated packet; a decoder of one track continues to the end
    /// of that track.
    pub(super) async fn measure_ends_apart(
        &self,
        probe: &Probe,
        ending: &mut Spans,
    ) -> Result<(), ProbeError> {
        let start = probe.container_start.as_f64();
        let from = probe
            .streams
            .iter()
            .filter_map(|stream| stream.end)
            .min_by(f64::total_cmp);
        let from = from.map_or(start, |end| (end - END_WINDOWS_SECONDS[0]).max(start));

        for stream in probe.streams.iter().filter(|stream| stream.is_media()) {
            let interval = format!("{from:.6}%");
            let selection = PacketSelection {
                stream: Some(stream.index),
                intervals: Some(&interval),
            };
            let mut apart = Spans::default();
            self.read_packets(selection, |packet| apart.add(&packet))
                .await?;
            ending.extend_ends(&apart);
        }

        Ok(())
    }

    /// Passes on the packets of a source one by one, at most as many as the limits allow.
    async fn read_packets(
        &self,
        selection: PacketSelection<'_>,
        mut each: impl FnMut(Packet),
    ) -> Result<(), ProbeError> {
        let stream = selection.stream.map(|stream| stream.to_string());
        let mut args = vec![
            "-show_entries",
            SHOW_ENTRIES,
            "-of",
            "compact=print_section=0",
        ];
        if let Some(stream) = &stream {
            args.extend(["-select_streams", stream]);
        }
        if let Some(intervals) = selection.intervals {
            args.extend(["-read_intervals", intervals]);
        }

        let (limit, resource_limits) = match selection.intervals {
            Some(_) => (self.limits.look, ResourceLimits::extract_samples()),
            None => (self.limits.scan, ResourceLimits::scan()),
        };
        let most = self.limits.packets;
        let (mut count, too_many) = (0, tokio::sync::Notify::new());

        let read = child::lines(self.spawn(&args, resource_limits), |line| {
            if let Some(packet) = Packet::parse(line) {
                count += 1;
                if count > most {
                    too_many.notify_one();
                } else {
                    each(packet);
                }
            }
        });

        // The order counts: too many packets are an error, even where the reading ends at the same
        // moment.
        tokio::select! {
            biased;
            () = too_many.notified() => {
                let message = format!("The file has more than {most} packets.");
                Err(Refusal::new(Code::ExceedsPolicy, message).into())
            }
            // A damaged end is an error to ffprobe, but the packets before it still count. They do
            // not if ffprobe was stopped in the middle.
            read = self.within(limit, read) => check_exit(read?.0),
        }
    }

    /// The last times of video and audio, searched backwards from the supposed end.
    pub(super) async fn ending(&self, probe: &Probe, duration: f64) -> Result<Spans, ProbeError> {
        let start = probe.container_start.as_f64();

        // Of several videos only the main one, as far as the header shows: a still image has no
        // packet near the end.
        let wanted = |spans: &Spans| {
            let mut media = probe
                .main_video()
                .map(|(stream, _)| stream)
                .into_iter()
                .chain(probe.audios().map(|(stream, _)| stream));
            media.all(|stream| spans.get(stream.index).is_some())
        };

        for width in END_WINDOWS_SECONDS {
            if duration <= width {
                break;
            }

            let spans = self
                .spans(&format!("{:.6}%", start + duration - width))
                .await?;
            if wanted(&spans) {
                return Ok(spans);
            }

            if width == END_WINDOWS_SECONDS[2] && spans.is_empty() {
                let end = self.find_cut(start, start + duration).await?;
                return self
                    .spans(&format!("{:.6}%", end - END_WINDOWS_SECONDS[0]))
                    .await;
            }
        }

        self.scan().await
    }

    /// The approximate end of a source that was cut far before the end in its index, found by
    /// bisection.
    async fn find_cut(&self, start: f64, end: f64) -> Result<f64, ProbeError> {
        let (mut there, mut gone) = (start, end);
        while gone - there > END_WINDOWS_SECONDS[0] / 2.0 {
            let middle = f64::midpoint(there, gone);
            if self.spans(&format!("{middle:.6}%+#1")).await?.is_empty() {
                gone = middle;
            } else {
                there = middle;
            }
        }

        Ok(there)
    }

    /// Pictures at places spread over the main video, where what was seen of it does not settle its
    /// rate.
    pub(super) async fn pictures_between(
        &self,
        probe: &Probe,
        beginning: &Spans,
        ending: &Spans,
    ) -> Result<Vec<FrameTimes>, ProbeError> {
        let Some((stream, _)) = probe
            .main_video()
            .filter(|(_, video)| !frame_rate::is_settled(video))
        else {
            return Ok(Vec::new());
        };
        let (Some(start), Some(end)) = (stream.start.map(Rational::as_f64), stream.end) else {
            return Ok(Vec::new());
        };

        let first = |spans: &Spans| spans.get(stream.index).map(|span| span.first);
        if first(ending) <= first(beginning) {
            // All of it was read.
            return Ok(Vec::new());
        }

        let times = evenly_spaced(start, end, COUNTED_POSITIONS.1, COUNTED_POSITIONS.0);
        let packets = self
            .packets_at(stream.index, &times, PACKETS_OF_PLACE)
            .await?;
        Ok(places(&packets, PACKETS_OF_PLACE))
    }

    /// This many packets of a stream from the key frame at or before each of `times` on, and at
    /// most one more than that in total.
    async fn packets_at(
        &self,
        stream: u32,
        times: &[f64],
        each: usize,
    ) -> Result<Vec<Packet>, ProbeError> {
        let intervals = intervals(times, each);
        let selection = PacketSelection {
            stream: Some(stream),
            intervals: Some(&intervals),
        };

        let most = times.len() * each;
        let mut packets = Vec::new();
        self.read_packets(selection, |packet| {
            if packets.len() <= most {
                packets.push(packet);
            }
        })
        .await?;
        Ok(packets)
    }
}
