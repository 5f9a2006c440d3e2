//! When the streams of a source begin and end, and whether it can be entered at a time: by the word of its packets.

use std::time::Duration;

use streams::{Code, Rational};

use super::super::child;
use super::super::packet::{ENTRIES, Packet};
use super::super::probe_json::Document;
use super::super::sandbox::Allowance;
use super::super::timing::{Spans, exact, intervals, leads, spread};
use super::{ProbeError, Prober, judge};
use crate::ladder::Refusal;
use crate::ladder::probe::{Content, Probe};

/// At most so many seeks are tried: each waits for the storage, one after the other.
const SEEKS: u32 = 12;

/// Seconds between tried seeks, in short sources.
const SEEKS_APART: f64 = 4.0;

/// Seconds from the start of a source whose packets tell when its streams begin.
pub(super) const BEGINNING: f64 = 2.0;

/// Seconds before the supposed end of a source in which its last packets are looked for, wider and wider.
const ENDINGS: [f64; 3] = [10.0, 60.0, 600.0];

/// Writes what the packets say into the streams.
pub(super) fn settle(probe: &mut Probe, document: &Document, beginning: &Spans, ending: &Spans) {
    for (stream, raw) in probe.streams.iter_mut().zip(&document.streams) {
        // Pictures begin with their first packet. Sound may not: decoders drop a coder's start-up samples, and only the header counts
        // them. A stream that begins later has no packet in the beginning; without a word of the header the whole scan tells.
        let beginning = beginning
            .get(stream.index)
            .filter(|_| matches!(stream.content, Content::Video(_)));
        let first = beginning.or_else(|| ending.get(stream.index).filter(|_| stream.start.is_none()));
        if let (Some(span), Some(base)) = (first, raw.time_base()) {
            stream.start = exact(span.first, base).or(stream.start);
        }
        stream.packet = ending.get(stream.index).map_or(0.0, |span| span.packet);
        let (frame, padding) = match &stream.content {
            Content::Video(video) => (video.average_rate.map_or(0.0, |rate| 1.0 / rate.as_f64()), 0.0),
            Content::Audio(audio) => (stream.packet / 2.0, 1.0 / f64::from(audio.sample_rate.max(1))),
            _ => (0.0, 0.0),
        };
        // Without durations the last frame lasts as long as the mean one. The last packet of sound may be full or all but empty.
        stream.end = ending.get(stream.index).map(|span| {
            let end = if span.end > span.last {
                span.end
            } else {
                span.end + frame
            };
            end - f64::from(span.padding) * padding
        });
    }
}

/// When video and sound end by the word of an index: of their own where it names them, else of the whole container if that holds
/// nothing else.
pub(super) fn declared_end(probe: &Probe, document: &Document) -> Option<f64> {
    let own = probe
        .streams
        .iter()
        .zip(&document.streams)
        .filter(|(stream, _)| stream.is_media());
    own.filter_map(|(stream, raw)| Some(stream.start?.as_f64() + raw.duration()?))
        .max_by(f64::total_cmp)
        .or_else(|| {
            // Matroska counts its one duration from time zero or from its start, by writer: the earlier end is the one that is sure.
            let alone = probe.streams.iter().all(crate::ladder::probe::Stream::is_media);
            document.format.duration().filter(|_| alone)
        })
}

impl Prober<'_> {
    /// First and last times of all streams within an interval of ffprobe's syntax.
    pub(super) async fn spans(&self, interval: &str) -> Result<Spans, ProbeError> {
        let mut spans = Spans::default();
        let args = [
            "-show_entries",
            ENTRIES,
            "-of",
            "compact=print_section=0",
            "-read_intervals",
            interval,
        ];
        let look = (self.limits.look, Allowance::look());
        self.packets(&args, look, |packet| spans.add(&packet)).await?;
        Ok(spans)
    }

    /// First and last times of all streams of the whole source.
    pub(super) async fn scan(&self) -> Result<Spans, ProbeError> {
        let mut spans = Spans::default();
        let args = ["-show_entries", ENTRIES, "-of", "compact=print_section=0"];
        let scan = (self.limits.scan, Allowance::scan());
        self.packets(&args, scan, |packet| spans.add(&packet)).await?;
        Ok(spans)
    }

    async fn packets(
        &self,
        args: &[&str],
        (limit, allowance): (Duration, Allowance),
        mut each: impl FnMut(Packet),
    ) -> Result<(), ProbeError> {
        let most = self.limits.packets;
        let (mut count, too_many) = (0, tokio::sync::Notify::new());
        let read = child::lines(self.spawn(args, allowance), |line| {
            if let Some(packet) = Packet::parse(line) {
                count += 1;
                if count > most {
                    too_many.notify_one();
                } else {
                    each(packet);
                }
            }
        });
        tokio::select! {
            biased;
            () = too_many.notified() => {
                let message = format!("The file has more than {most} packets.");
                Err(Refusal::new(Code::ExceedsPolicy, message).into())
            }
            // A damaged end is an error to ffprobe; the packets before it count all the same. Not so where it was stopped in the middle.
            read = self.within(limit, read) => judge(read?.0),
        }
    }

    /// The last times of video and audio, looked for from the supposed end backwards.
    pub(super) async fn ending(&self, probe: &Probe, duration: f64) -> Result<Spans, ProbeError> {
        let start = probe.container_start.as_f64();
        let wanted = |spans: &Spans| {
            let mut media = probe
                .main_video()
                .map(|(stream, _)| stream)
                .into_iter()
                .chain(probe.audios().map(|(stream, _)| stream));
            media.all(|stream| spans.get(stream.index).is_some())
        };
        for width in ENDINGS {
            if duration <= width {
                break;
            }
            let spans = self.spans(&format!("{:.6}%", start + duration - width)).await?;
            if wanted(&spans) {
                return Ok(spans);
            }
        }
        self.scan().await
    }

    /// Seconds from key frames to times spread over the main video; nothing where seeks do not land as they must.
    pub(super) async fn seek(&self, probe: &Probe) -> Result<Option<Vec<f64>>, ProbeError> {
        let Some((stream, _)) = probe.main_video() else {
            return Ok(None);
        };
        let (Some(start), Some(end)) = (stream.start.map(Rational::as_f64), stream.end) else {
            return Ok(None);
        };
        let times = spread(start, end, SEEKS_APART, SEEKS);
        let (index, intervals) = (stream.index.to_string(), intervals(&times));
        let mut landed = Vec::new();
        let args = [
            "-select_streams",
            &index,
            "-show_entries",
            ENTRIES,
            "-of",
            "compact=print_section=0",
            "-read_intervals",
            &intervals,
        ];
        let look = (self.limits.look, Allowance::look());
        // One packet is asked for at each time; a container that gives more has no place for a seek to land.
        let keep = |packet| {
            if landed.len() <= times.len() {
                landed.push(packet);
            }
        };
        self.packets(&args, look, keep).await?;
        Ok(leads(&times, &landed))
    }
}
