//! The private copy of a source that cannot be entered at a time: TS, PS, FLV, and WebM without cues.
//!
//! Without it the whole video would be one sequential task. The copy costs one read of the source and no decoding. AVI is not
//! copied: it tells no presentation times, and those a copy makes up are late by the reordering of its frames.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use streams::plan::SourceCopy;
use streams::{Code, Rational};
use tokio::sync::watch;
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

use super::stage::Planner;
use crate::admission::Need;
use crate::failure::Failure;
use crate::ffmpeg::{self, Allowance, Confinement, End, Input, Limits, Run, Tick, argv};
use crate::job::Assignment;
use crate::ladder::Probe;
use crate::ladder::probe::{Content, Stream};
use crate::ladder::sound::SAMPLE_RATE;
use crate::storage::{self, Source, SourceServer};

/// Seconds of video below which one sequential task is soon done.
const WORTH_IT: f64 = 24.0;

/// The least speed of a copy, in bytes a second, below which it counts as hung for good.
const SLOWEST: u64 = 256 << 10;

/// A copy, and what is in it.
pub(super) struct Copied {
    pub(super) copy: SourceCopy,
    pub(super) probe: Probe,
}

impl Copied {
    /// Matroska has no programmes: those of the source, which has its streams in the same order, kind by kind.
    fn with_programmes_of(mut self, source: &Probe) -> Self {
        let kind = |stream: &Stream| std::mem::discriminant(&stream.content);
        let mut taken = Vec::new();
        let place = |stream: &Stream| {
            let same = |copy: &&Stream| kind(copy) == kind(stream) && !taken.contains(&copy.index);
            let copy = self.probe.streams.iter().find(same)?.index;
            taken.push(copy);
            Some((stream.index, copy))
        };
        let places: BTreeMap<u32, u32> = source.streams.iter().filter_map(place).collect();
        let programmes = source.programmes.iter();
        self.probe.programmes = programmes
            .map(|programme| {
                programme
                    .iter()
                    .filter_map(|index| places.get(index).copied())
                    .collect()
            })
            .collect();
        self
    }
}

impl Planner {
    /// Copies a source that cannot be entered at a time into a container with an index, where that is worth it and possible. Where it
    /// is not the job goes on without: slower, not worse.
    pub(super) async fn copied(
        &self,
        assignment: &Assignment,
        server: &SourceServer,
        size: u64,
        probe: &Probe,
    ) -> Result<Option<Copied>, Failure> {
        if !is_worth_it(probe) || size > self.remux_max {
            return Ok(None);
        }
        let (decoded, decoded_bytes) = decoded(probe);
        let size = size.saturating_add(decoded_bytes);
        let who = format!("{}/copy", assignment.state.job_id);
        let room = self.ledger.wait(&who, Need::of_copy(size), || assignment.pulse.add(1));
        let Some(_room) = room.await else {
            tracing::warn!(job.id = %assignment.state.job_id, size, "no room in the work folder for a copy of the source; its video is one task");
            return Ok(None);
        };
        let folder = self
            .workshop
            .bench(std::iter::empty())
            .map_err(|error| no_folder(&error))?;
        let input = self.input(server);
        for subtitles in [true, false] {
            let args = argv::remux(&input, subtitles, &decoded);
            let run = self.copy(&args, folder.path(), server, size);
            let end = self.read(assignment, server, run).await??;
            if end == End::Finished {
                let copied = self.publish(assignment, &folder.path().join(argv::COPY)).await?;
                let copied = copied.map(|copied| copied.with_programmes_of(probe));
                return Ok(copied.map(|mut copied| {
                    copied.copy.decoded = decoded;
                    copied
                }));
            }
        }
        tracing::warn!(job.id = %assignment.state.job_id, "the source cannot be copied into Matroska; its video is one task");
        Ok(None)
    }

    async fn copy(&self, args: &[String], folder: &Path, server: &SourceServer, size: u64) -> Result<End, Failure> {
        let (ticks, _) = watch::channel(Tick::default());
        let exit = ffmpeg::run(Run {
            tool: &self.tool,
            args,
            confinement: Confinement::new(Allowance::copy(size))
                .in_folder(folder)
                .reading(&Input::http(server.url())),
            limits: Limits::new(Duration::from_secs(300 + size / SLOWEST)),
            stop: &CancellationToken::new(),
            external_work: &|| server.bytes_read() + server.bytes_served(),
            ticks: &ticks,
        })
        .await
        .map_err(|error| Failure::new(Code::FfmpegCrashed, format!("ffmpeg could not be run: {error}.")))?;
        if exit.code() == Some(Code::DiskFull) {
            return Err(Failure::plain(Code::DiskFull));
        }
        if exit.end != End::Finished {
            tracing::debug!(stderr = exit.stderr_tail, "a copy of the source failed");
        }
        Ok(exit.end)
    }

    /// Puts the copy beside the output and probes it there, as the tasks will read it.
    async fn publish(&self, assignment: &Assignment, file: &Path) -> Result<Option<Copied>, Failure> {
        let key = storage::source_copy(assignment.state.job_id.as_str());
        let opened = tokio::fs::File::open(file).await.map_err(|error| no_folder(&error))?;
        let pulse = assignment.pulse.clone();
        let pieces = futures::StreamExt::inspect(ReaderStream::with_capacity(opened, 1 << 18), move |piece| {
            pulse.add(piece.as_ref().map_or(0, |bytes| bytes.len() as u64));
        });
        let stored = match self.jobs.output.put_stream(&key, "video/x-matroska", pieces).await {
            Ok(stored) => stored,
            Err(error) => return Err(self.jobs.blame_output(&error).await),
        };
        let copy = SourceCopy {
            bucket: self.jobs.output.name().to_owned(),
            key,
            etag: stored.etag,
            size: stored.size,
            decoded: BTreeMap::new(),
        };
        let source = Source::copy(&self.storage, &copy);
        let server = self.open(source).await?;
        let probe = self.probe(assignment, &server).await?;
        Ok(probe.seekable.then_some(Copied { copy, probe }))
    }
}

/// Whether the copy saves time, and says the same as the source.
fn is_worth_it(probe: &Probe) -> bool {
    let long = |(stream, _): (&crate::ladder::probe::Stream, _)| match (stream.start, stream.end) {
        (Some(start), Some(end)) => end - start.as_f64() >= WORTH_IT,
        _ => false,
    };
    let known = |name| matches!(name, "mpegts" | "mpeg" | "flv" | "matroska" | "webm");
    !probe.seekable && probe.container.split(',').any(known) && probe.main_video().is_some_and(long)
}

/// The tracks of sound that must be decoded, by their number among those of sound, with their channels, and how many bytes they take at
/// most. Matroska has one place for what AAC says of all packets of a track; other codecs say it in each.
fn decoded(probe: &Probe) -> (BTreeMap<u32, u32>, u64) {
    let sounds = probe.streams.iter().filter_map(|stream| match &stream.content {
        Content::Audio(audio) => Some((stream, audio)),
        _ => None,
    });
    let (mut tracks, mut bytes) = (BTreeMap::new(), 0);
    for (k, (stream, audio)) in (0..).zip(sounds) {
        if audio.changes && stream.codec.starts_with("aac") {
            let seconds = stream.end.unwrap_or_default() - stream.start.map_or(0.0, Rational::as_f64);
            tracks.insert(k, audio.channels);
            bytes += (seconds.max(0.0) * f64::from(SAMPLE_RATE)) as u64 * u64::from(audio.channels.clamp(2, 6)) * 2;
        }
    }
    (tracks, bytes)
}

fn no_folder(error: &std::io::Error) -> Failure {
    let code = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Code::DiskFull,
        _ => Code::FfmpegCrashed,
    };
    Failure::new(code, format!("The work folder cannot be used: {error}."))
}
