//! Probing a source: what ffprobe says of it, then when its streams really begin and end, then whether it can be entered at a time.

use std::io;
use std::time::Duration;

use streams::{Code, Rational};

use super::child::{self, Ending, Spawn};
use super::input::Input;
use super::packet::{ENTRIES, Packet};
use super::probe_json::Document;
use super::sandbox::{Allowance, Confinement};
use super::timing::{Spans, exact, intervals, leads, spread};
use super::tool::Tool;
use crate::ladder::probe::{Content, Probe};

/// How long probing may take, and how much it may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeLimits {
    /// For one look at a part of the source.
    pub look: Duration,
    /// For reading through a source that has no index.
    pub scan: Duration,
    /// Bytes of the description of all streams.
    pub description: usize,
    /// Streams.
    pub streams: usize,
}

impl Default for ProbeLimits {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(60),
            scan: Duration::from_secs(30 * 60),
            description: 4 * 1024 * 1024,
            streams: 32,
        }
    }
}

/// Why a source cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// ffprobe did not start, or broke.
    #[error("ffprobe failed on the source: {0}; check the ffprobe installation")]
    Broken(#[from] io::Error),
    /// It took too long.
    #[error("ffprobe did not finish reading the source within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// ISO media without its index.
    #[error("the source has no index (moov): the upload stopped before its end")]
    NoMoov,
    /// A container that is not on the allow-list.
    #[error("the source's container is not one that is accepted")]
    Forbidden,
    /// Nothing ffprobe can read.
    #[error("ffprobe cannot read the source: {0}")]
    NotMedia(String),
    /// More streams than anybody needs.
    #[error("the source has {found} streams; at most {limit} are accepted")]
    TooManyStreams {
        /// Streams of the source.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// More work than any source needs.
    #[error("reading the source takes more processor time than is allowed for any")]
    Exceeded,
    /// Nothing to encode.
    #[error("the source has neither video nor audio that can be decoded")]
    NoTracks,
}

impl ProbeError {
    /// The failure code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Broken(_) => Code::FfmpegCrashed,
            Self::TimedOut(_) => Code::FfmpegStalled,
            Self::NoMoov => Code::TruncatedUpload,
            Self::Forbidden => Code::ForbiddenContainer,
            Self::NotMedia(_) => Code::NotMedia,
            Self::TooManyStreams { .. } | Self::Exceeded => Code::ExceedsPolicy,
            Self::NoTracks => Code::NoTracks,
        }
    }
}

/// At most so many seeks are tried.
const SEEKS: u32 = 64;

/// Seconds between tried seeks, in short sources.
const SEEKS_APART: f64 = 4.0;

/// Seconds from the start of a source whose packets tell when its streams begin.
const BEGINNING: f64 = 2.0;

/// Seconds before the supposed end of a source in which its last packets are looked for, wider and wider.
const ENDINGS: [f64; 3] = [10.0, 60.0, 600.0];

/// Probes `input`. A read that failed on the way looks like a short source here: the caller must ask its source server for faults.
///
/// # Errors
/// [`ProbeError`] when there is nothing that can be planned.
pub async fn probe(tool: &Tool, input: &Input, limits: &ProbeLimits) -> Result<Probe, ProbeError> {
    let prober = Prober { tool, input, limits };
    let document = prober.describe().await?;
    let mut probe = prober.read(&document)?;
    let indexed = has_index(&probe.container) && document.format.duration().is_some();
    let beginning = prober.spans(&format!("%+{BEGINNING}")).await?;
    let ending = match document.format.duration().filter(|_| indexed) {
        Some(duration) => prober.ending(&probe, duration).await?,
        None => prober.scan().await?,
    };
    if indexed {
        probe.declared_end = declared_end(&probe, &document);
    }
    settle(&mut probe, &document, &beginning, &ending);
    if indexed && let Some(leads) = prober.seek(&probe).await? {
        (probe.seekable, probe.leads) = (true, leads);
    }
    prober.look_for_fields(&mut probe).await;
    Ok(probe)
}

/// Containers whose index leads to key frames. AVI has one too, but no presentation times; in the others a seek guesses.
fn has_index(container: &str) -> bool {
    container.split(',').any(|name| matches!(name, "mov" | "matroska"))
}

/// Writes what the packets say into the streams.
fn settle(probe: &mut Probe, document: &Document, beginning: &Spans, ending: &Spans) {
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
        let frame = match &stream.content {
            Content::Video(video) => video.average_rate.map_or(0.0, |rate| 1.0 / rate.as_f64()),
            _ => 0.0,
        };
        // Without durations the last frame lasts as long as the mean one.
        stream.end = ending.get(stream.index).map(|span| {
            if span.end > span.last {
                span.end
            } else {
                span.end + frame
            }
        });
    }
}

/// When video and sound end by the word of an index: of their own where it names them, else of the whole container if that holds
/// nothing else.
fn declared_end(probe: &Probe, document: &Document) -> Option<f64> {
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

/// Tells an end by its own will, for better or worse, from one that says nothing of the source.
fn judge(ending: Ending) -> Result<(), ProbeError> {
    if ending.exceeded {
        return Err(ProbeError::Exceeded);
    }
    if ending.crashed() {
        return Err(ProbeError::Broken(io::Error::other(ending.status.to_string())));
    }
    Ok(())
}

mod fields;

struct Prober<'a> {
    tool: &'a Tool,
    input: &'a Input,
    limits: &'a ProbeLimits,
}

impl Prober<'_> {
    fn spawn(&self, args: &[&str], allowance: Allowance) -> Spawn {
        let quiet = ["-hide_banner", "-v", "error"].map(str::to_owned);
        let args = args.iter().map(|arg| (*arg).to_owned());
        Spawn::new(
            &self.tool.ffprobe,
            quiet.into_iter().chain(args).chain(self.input.args()),
            Confinement::new(allowance).reading(self.input),
        )
    }

    async fn within<T>(&self, limit: Duration, work: impl Future<Output = io::Result<T>>) -> Result<T, ProbeError> {
        Ok(tokio::time::timeout(limit, work)
            .await
            .map_err(|_| ProbeError::TimedOut(limit))??)
    }

    /// What the header says.
    async fn describe(&self) -> Result<Document, ProbeError> {
        let args = ["-show_format", "-show_streams", "-of", "json"];
        let spawn = self.spawn(&args, Allowance::look());
        let output = self
            .within(self.limits.look, child::output(spawn, self.limits.description))
            .await?;
        judge(output.ending)?;
        if !output.ending.success() {
            // Only prose tells these apart; what is not recognised is no media all the same.
            let said = |words: &str| output.stderr_tail.contains(words);
            return Err(if said("moov atom not found") {
                ProbeError::NoMoov
            } else if said("not on whitelist") {
                ProbeError::Forbidden
            } else {
                let last = output.stderr_tail.lines().last().unwrap_or("it gives no reason");
                ProbeError::NotMedia(last.replace(self.input.url(), "source"))
            });
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| ProbeError::NotMedia(format!("its description is not valid: {error}")))
    }

    /// The description as values.
    fn read(&self, document: &Document) -> Result<Probe, ProbeError> {
        if document.streams.len() > self.limits.streams {
            return Err(ProbeError::TooManyStreams {
                found: document.streams.len(),
                limit: self.limits.streams,
            });
        }
        let streams: Option<Vec<_>> = document
            .streams
            .iter()
            .map(super::probe_json::RawStream::stream)
            .collect();
        let mut probe = Probe {
            container: document.format.name().unwrap_or("").to_owned(),
            brand: document.format.brand(),
            container_start: document.format.start(),
            declared_end: None,
            streams: streams.ok_or_else(|| ProbeError::NotMedia("a stream has no index".to_owned()))?,
            seekable: false,
            leads: Vec::new(),
        };
        for stream in &mut probe.streams {
            if let Content::Video(video) = &mut stream.content {
                video.bitrate = video.bitrate.or_else(|| document.rest_of_bitrate(stream.index));
            }
        }
        let some = probe.main_video().is_some() || probe.audios().next().is_some();
        some.then_some(probe).ok_or(ProbeError::NoTracks)
    }

    /// First and last times of all streams within an interval of ffprobe's syntax.
    async fn spans(&self, interval: &str) -> Result<Spans, ProbeError> {
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
    async fn scan(&self) -> Result<Spans, ProbeError> {
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
        let read = child::lines(self.spawn(args, allowance), |line| {
            if let Some(packet) = Packet::parse(line) {
                each(packet);
            }
        });
        // A damaged end is an error to ffprobe; the packets before it count all the same. Not so where it was stopped in the middle.
        let (ending, _) = self.within(limit, read).await?;
        judge(ending)
    }

    /// The last times of video and audio, looked for from the supposed end backwards.
    async fn ending(&self, probe: &Probe, duration: f64) -> Result<Spans, ProbeError> {
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
    async fn seek(&self, probe: &Probe) -> Result<Option<Vec<f64>>, ProbeError> {
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
        self.packets(&args, look, |packet| landed.push(packet)).await?;
        Ok(leads(&times, &landed))
    }
}

#[cfg(test)]
mod tests;
