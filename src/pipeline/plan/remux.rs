//! The private copy of a source that cannot be entered at a time: TS, PS, FLV, and WebM without
//! cues.
//!
//! Without it the whole video would be one sequential task. The copy costs one read of the source
//! and no decoding. AVI is not copied: it has no presentation times, and the generated times of a
//! copy are late by the reordering of its frames.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use ffmpeg::argv::CopiedSubtitles;
use ffmpeg::{End, Input, Limits, ProgressUpdate, ResourceLimits, Run, SandboxPolicy, argv};
use media::ladder::Probe;
use media::ladder::audio::SAMPLE_RATE;
use media::ladder::probe::{Content, Stream};
use storage::{Source, SourceServer};
use streams::plan::SourceCopy;
use streams::{Code, Rational};
use tokio::sync::watch;
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

use super::planner::Planner;
use crate::job::TaskContext;
use crate::job::classify::classify_output_error;
use crate::job::failure::Failure;
use crate::worker::admission::ResourceRequirements;

/// Seconds of video below which one sequential task is soon done.
const WORTH_IT: f64 = 24.0;

/// The least speed of a copy, in bytes a second, below which it counts as permanently hung.
const SLOWEST: u64 = 256 << 10;

/// A copy, and what is in it.
pub(super) struct Copied {
    pub(super) copy: SourceCopy,
    pub(super) probe: Probe,
}

impl Planner {
    /// Copies a source that cannot be read from an arbitrary time into a container with an index,
    /// if that is worthwhile and possible. If not, the job continues without a copy: it is slower,
    /// but its output is as good. But a source whose timestamps have to be repaired cannot be used
    /// without its copy.
    pub(super) async fn copy_if_needed(
        &self,
        task_context: &TaskContext,
        server: &SourceServer,
        size: u64,
        probe: &Probe,
    ) -> Result<Option<Copied>, Failure> {
        let is_needed = probe.clock_repair.is_some();
        if !is_worth_it(probe) && !is_needed {
            return Ok(None);
        }

        if size > self.remux_max {
            let limit = self.remux_max;
            let text = format!(
                "The timestamps of the file restart in the middle, and a file of {size} bytes is too large to be repaired (REMUX_MAX: {limit})."
            );
            return if is_needed {
                Err(Failure::new(Code::ExceedsPolicy, text))
            } else {
                Ok(None)
            };
        }

        // Audio that is decoded for the copy takes more bytes there than in the source.
        let size = size.saturating_add(decoded_bytes(probe));
        let who = format!("{}/copy", task_context.state.job_id);
        let room = self
            .context
            .budget
            .wait(&who, ResourceRequirements::of_copy(size), || {
                task_context.work_counter.add(1)
            });
        let Some(_room) = room.await else {
            if is_needed {
                return Err(Failure::from_code(Code::DiskFull));
            }
            tracing::warn!(job.id = %task_context.state.job_id, size, "no room in the work folder for a copy of the source; its video is one task");
            return Ok(None);
        };

        let folder = self
            .context
            .work_dir
            .create_task_dir(std::iter::empty())
            .map_err(|error| no_folder(&error))?;
        let input = self.input(server, probe.deep);

        // Matroska does not take every kind of subtitles, and one that it does not take fails the
        // whole copy. The second try leaves all of them out.
        for subtitles in [CopiedSubtitles::All, CopiedSubtitles::None] {
            let args = argv::remux(&input, probe, subtitles);
            let run = self.copy(&args, folder.path(), server, size);
            let end = self.read_source(task_context, server, run).await??;
            if end == End::Finished {
                return self
                    .publish(task_context, &folder.path().join(argv::COPY_FILE), probe)
                    .await;
            }
        }

        if is_needed {
            let text = "The timestamps of the file restart in the middle, and its tracks cannot be copied to repair them.";
            return Err(Failure::new(Code::DecodeErrors, text));
        }

        tracing::warn!(job.id = %task_context.state.job_id, "the source cannot be copied into Matroska; its video is one task");
        Ok(None)
    }

    async fn copy(
        &self,
        args: &[String],
        folder: &Path,
        server: &SourceServer,
        size: u64,
    ) -> Result<End, Failure> {
        // No one reads the ticks. That the copy moves is seen by the bytes that are read from the
        // source.
        let (ticks, _) = watch::channel(ProgressUpdate::default());
        let exit = ffmpeg::run(Run {
            tool: &self.context.tool,
            args,
            policy: SandboxPolicy::new(ResourceLimits::copy(size))
                .workdir(folder)
                .allow_input(&Input::http(server.url())),
            limits: Limits::new(Duration::from_secs(300 + size / SLOWEST)),
            stop: &CancellationToken::new(),
            external_work: &|| server.bytes_read() + server.bytes_served(),
            ticks: &ticks,
        })
        .await
        .map_err(|error| Failure::of_host("ffmpeg could not be run", &error))?;

        // A full disk is the fault of this host and ends the attempt. Any other end only says that
        // this source cannot be copied.
        if exit.code() == Some(Code::DiskFull) {
            return Err(Failure::from_code(Code::DiskFull));
        }
        if exit.end != End::Finished {
            tracing::debug!(stderr = exit.stderr_tail, "a copy of the source failed");
        }

        Ok(exit.end)
    }

    /// Uploads the copy to the output bucket and probes it there, as the tasks will read it.
    async fn publish(
        &self,
        task_context: &TaskContext,
        file: &Path,
        original: &Probe,
    ) -> Result<Option<Copied>, Failure> {
        let key = storage::source_copy(task_context.state.job_id.as_str());
        let opened = tokio::fs::File::open(file)
            .await
            .map_err(|error| no_folder(&error))?;

        // Bytes that are read for the upload count as work, so that a long upload is not taken for
        // a task that hangs.
        let work_counter = task_context.work_counter.clone();
        let pieces = futures::StreamExt::inspect(
            ReaderStream::with_capacity(opened, 1 << 18),
            move |piece| {
                work_counter.add(piece.as_ref().map_or(0, |bytes| bytes.len() as u64));
            },
        );

        let stored = match self
            .context
            .jobs
            .output
            .put_stream(&key, "video/x-matroska", pieces)
            .await
        {
            Ok(stored) => stored,
            Err(error) => return Err(classify_output_error(&self.context.jobs, &error).await),
        };

        let copy = SourceCopy {
            bucket: self.context.jobs.output.name().to_owned(),
            key,
            etag: stored.etag,
            size: stored.size,
            spliced: original.clock_repair.is_some()
                || original
                    .streams
                    .iter()
                    .any(|stream| argv::decoded_channels(stream).is_some()),
        };

        let source = Source::copy(&self.context.storage, &copy);
        let server = self.open_source(source).await?;
        let probe = self.probe(task_context, &server).await?;

        if let Some(repair) = &original.clock_repair {
            refuse_unrepaired(&probe, repair.duration)?;
        } else if !probe.seekable {
            // A copy that cannot be entered at a time gains nothing over its source.
            return Ok(None);
        }

        let probe = remember(probe, original);
        Ok(Some(Copied { copy, probe }))
    }
}

/// The probe of a copy, with what only the source shows: how its timestamps were repaired, which of
/// its tracks were not copied, and which belong together, because Matroska has no programmes.
fn remember(copy: Probe, original: &Probe) -> Probe {
    let kinds = argv::copied_streams(original);
    let copied = kinds.iter().flat_map(|(_, streams)| streams);
    let places: BTreeMap<u32, u32> = copied
        .zip(0..)
        .map(|(stream, place)| (stream.index, place))
        .collect();
    let place = |index: &u32| places.get(index).copied();

    let programmes = original
        .programmes
        .iter()
        .map(|programme| programme.iter().filter_map(place).collect());

    // The numbers of tracks that were not copied follow those of the copy, so that none names two
    // tracks.
    let mut streams = copy.streams;
    let first = streams
        .iter()
        .map(|stream| stream.index + 1)
        .max()
        .unwrap_or(0);
    let lost = original
        .streams
        .iter()
        .filter(|stream| matches!(stream.content, Content::Unreadable(_)));
    streams.extend((first..).zip(lost).map(|(index, stream)| Stream {
        index,
        ..stream.clone()
    }));

    Probe {
        streams,
        clock_repair: original.clock_repair.clone(),
        programmes: programmes.collect(),
        ..copy
    }
}

/// A copy whose clock was repaired must be as long as its parts are together.
fn refuse_unrepaired(copy: &Probe, wanted: f64) -> Result<(), Failure> {
    let start = copy
        .streams
        .iter()
        .filter(|stream| stream.is_media())
        .filter_map(|stream| stream.start)
        .min();
    let found = copy
        .end()
        .zip(start)
        .map_or(0.0, |(end, start)| end - start.as_f64());

    if (found - wanted).abs() <= 1.0_f64.max(wanted * 0.01) {
        return Ok(());
    }

    let text = format!(
        "The timestamps of the file restart in the middle; after the repair it should last {wanted:.1} s, but it lasts {found:.1} s."
    );
    Err(Failure::new(Code::DecodeErrors, text))
}

/// Whether the copy saves time, and says the same as the source.
fn is_worth_it(probe: &Probe) -> bool {
    let long = |(stream, _): (&media::ladder::probe::Stream, _)| match (stream.start, stream.end) {
        (Some(start), Some(end)) => end - start.as_f64() >= WORTH_IT,
        _ => false,
    };

    // A decoder of one track would forget by how much it begins later than the others.
    let starts = || {
        probe
            .streams
            .iter()
            .filter(|stream| stream.is_media())
            .filter_map(|stream| stream.start)
    };
    let is_late = starts().max()
        > starts()
            .min()
            .and_then(|first| first.checked_add(Rational::whole(1)));

    let known = |name| matches!(name, "mpegts" | "mpeg" | "flv" | "matroska" | "webm");
    let is_enough = |main| is_late || long(main);
    !probe.seekable
        && probe.container.split(',').any(known)
        && probe.main_video().is_some_and(is_enough)
}

/// Largest number of bytes of audio that is decoded for the copy.
fn decoded_bytes(probe: &Probe) -> u64 {
    let bytes = probe.streams.iter().filter_map(|stream| {
        let channels = argv::decoded_channels(stream)?;
        let seconds = stream.end? - stream.start.map_or(0.0, Rational::as_f64);
        Some(
            (seconds.max(0.0) * f64::from(SAMPLE_RATE)) as u64
                * u64::from(channels.clamp(2, 6))
                * 2,
        )
    });
    bytes.sum()
}

fn no_folder(error: &std::io::Error) -> Failure {
    Failure::of_host("The work folder cannot be used", error)
}
