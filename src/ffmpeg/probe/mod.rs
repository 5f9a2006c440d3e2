//! Probing a source: what ffprobe says of it, then when its streams really begin and end, then whether it can be entered at a time.

use std::io;
use std::time::Duration;

use streams::{Code, Rational};

use super::child::{self, Ending, Spawn};
use super::input::Input;
use super::packet::{ENTRIES, Packet};
use super::probe_json::{Document, RawStream};
use super::sandbox::{Allowance, Confinement};
use super::timing::{Spans, exact, intervals, leads, spread};
use super::tool::Tool;
use crate::ladder::probe::{Content, Probe};
use crate::ladder::{Limits, Refusal};

/// How long probing may take, and how much it may say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProbeLimits {
    /// For one look at a part of the source.
    pub look: Duration,
    /// For reading through a source that has no index.
    pub scan: Duration,
    /// Bytes of the description of all streams.
    pub description: usize,
    /// Packets that one reading through a source may come by.
    pub packets: u64,
    /// What is accepted at all.
    pub policy: Limits,
}

impl ProbeLimits {
    /// The usual limits, under a policy of the installation's.
    #[must_use]
    pub fn of(policy: Limits) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }
}

impl Default for ProbeLimits {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(60),
            scan: Duration::from_secs(30 * 60),
            description: 4 * 1024 * 1024,
            // Two days of 60 pictures a second beside twenty tracks of sound.
            packets: 200_000_000,
            policy: Limits::default(),
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
    /// It is over a limit of this installation.
    #[error(transparent)]
    Refused(#[from] Refusal),
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
            Self::Refused(refusal) => refusal.code,
            Self::Exceeded => Code::ExceedsPolicy,
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

/// The size in a decoder's word that it does not begin with a picture: `… Picture size 30000x30000 is invalid`, or `… exceeds …`.
fn refused_size(line: &str) -> Option<(u32, u32)> {
    let (_, rest) = line.split_once("Picture size ")?;
    let (width, height) = rest.split_whitespace().next()?.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}

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
        // Of the container's tags only the one that is used: others may be megabytes long.
        let entries = "format=format_name,start_time,duration,bit_rate:format_tags=major_brand";
        let args = ["-show_entries", entries, "-show_streams", "-of", "json"];
        let spawn = self.spawn(&args, Allowance::look());
        let output = self
            .within(self.limits.look, child::output(spawn, self.limits.description))
            .await;
        let output = match output {
            Err(ProbeError::Broken(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
                let limit = self.limits.description;
                let message = format!("The description of the file's tracks has more than {limit} bytes.");
                return Err(Refusal::new(Code::ExceedsPolicy, message).into());
            }
            output => output?,
        };
        judge(output.ending)?;
        if !output.ending.success() {
            return Err(self.refusal(&output.stderr_tail));
        }
        let document = serde_json::from_slice(&output.stdout)
            .map_err(|error| ProbeError::NotMedia(format!("its description is not valid: {error}")))?;
        self.look_at_sizes(&document, &output.stderr_tail)?;
        Ok(document)
    }

    /// Why ffprobe gave the source up. Only prose tells; what is not recognised is no media all the same.
    fn refusal(&self, stderr: &str) -> ProbeError {
        let said = |words: &str| stderr.contains(words);
        if said("moov atom not found") {
            ProbeError::NoMoov
        } else if said("not on whitelist") {
            ProbeError::Forbidden
        } else if said("exceeds max_streams") {
            let most = self.limits.policy.tracks;
            let message = format!("The file has hundreds of tracks; at most {most} are accepted.");
            Refusal::new(Code::ExceedsPolicy, message).into()
        } else if let Err(refusal) = self.judge_refused(stderr) {
            // Where a parser knows the size, ffprobe ends when the decoder does not begin.
            refusal.into()
        } else {
            let last = stderr.lines().last().unwrap_or("it gives no reason");
            let last: String = last.replace(self.input.url(), "source").chars().take(200).collect();
            ProbeError::NotMedia(last)
        }
    }

    /// Refuses pictures over the limit, by the word of the container or by that of a decoder that would not begin with them.
    fn look_at_sizes(&self, document: &Document, stderr: &str) -> Result<(), ProbeError> {
        let claimed = document.streams.iter().filter_map(RawStream::picture);
        let pictures: Vec<(u32, u32)> = claimed.collect();
        for (width, height) in &pictures {
            self.limits.policy.judge_picture(*width, *height)?;
        }
        if pictures.contains(&(0, 0)) {
            self.judge_refused(stderr)?;
        }
        Ok(())
    }

    /// Judges the pictures that decoders say they did not begin with.
    fn judge_refused(&self, stderr: &str) -> Result<(), Refusal> {
        let mut sizes = stderr.lines().filter_map(refused_size);
        sizes.try_for_each(|(width, height)| self.limits.policy.judge_picture(width, height))
    }

    /// The description as values.
    fn read(&self, document: &Document) -> Result<Probe, ProbeError> {
        self.limits.policy.judge_tracks(document.streams.len())?;
        let streams: Option<Vec<_>> = document.streams.iter().map(RawStream::stream).collect();
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

#[cfg(test)]
mod tests;
