//! Reads uploaded objects back: everything is hashed, and files with samples are kept in the
//! directory of the task for the checks.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use ffmpeg::argv::reference::{self, Excerpt};
use ffmpeg::{End, Limits, ProgressUpdate, ResourceLimits, Run, SandboxPolicy, Tool};
use futures::{FutureExt as _, StreamExt as _};
use storage::Digest;
use streams::{Code, RenditionName};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::job::classify::classify_output_error;
use crate::job::failure::{Evidence as RunEvidence, Failure};
use crate::job::{Jobs, WorkCounter};
use crate::pipeline::encode::failures::work_dir_failure;

/// Reads at a time.
const MAX_PARALLEL_READS: usize = 4;

/// Bytes of the largest segment that is looked into.
const MAX_KEPT_BYTES: u64 = 256 << 20;

/// The longest that decoding excerpts may take.
const MAX_DECODE_TIME: Duration = Duration::from_secs(900);

/// An object as it was uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pipeline::encode) struct UploadedObject {
    /// Its key.
    pub(in crate::pipeline::encode) key: String,
    /// Its size and hash when it was uploaded.
    pub(in crate::pipeline::encode) digest: Digest,
    /// What it holds.
    pub(in crate::pipeline::encode) content: ObjectContent,
}

/// What an uploaded object holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pipeline::encode) enum ObjectContent {
    /// The init segment of a rendition.
    Init(RenditionName),
    /// A segment of a rendition, by its number.
    Segment(RenditionName, u32),
    /// Anything that holds no samples.
    Other,
}

/// Reads objects of one task back, and looks into what it read.
pub(in crate::pipeline::encode) struct Readback<'a> {
    /// The output bucket.
    pub(in crate::pipeline::encode) jobs: &'a Jobs,
    /// ffmpeg.
    pub(in crate::pipeline::encode) tool: &'a Tool,
    /// The directory of the task.
    pub(in crate::pipeline::encode) task_dir: &'a Path,
    /// Counts what was read, since that is work.
    pub(in crate::pipeline::encode) work_counter: &'a WorkCounter,
}

impl Readback<'_> {
    /// Reads every object back and compares it with what was uploaded: only bytes that were seen in
    /// the bucket are `done`. The segments that `kept` names are kept as files, with the init
    /// segments of their renditions.
    pub(in crate::pipeline::encode) async fn verify_objects(
        &self,
        objects: Vec<UploadedObject>,
        kept: &BTreeMap<RenditionName, Vec<u32>>,
    ) -> Result<(), Failure> {
        // Boxed and made one by one: a read takes kilobytes, and long audio has thousands of
        // objects.
        let reads =
            futures::stream::iter(objects).map(|object| self.verify_object(object, kept).boxed());
        let mut reads = reads.buffer_unordered(MAX_PARALLEL_READS);
        while let Some(read) = reads.next().await {
            read?;
        }
        Ok(())
    }

    async fn verify_object(
        &self,
        object: UploadedObject,
        kept: &BTreeMap<RenditionName, Vec<u32>>,
    ) -> Result<(), Failure> {
        let file = match &object.content {
            ObjectContent::Init(name) if kept.contains_key(name) => Some(kept_file(name, None)),
            ObjectContent::Segment(name, n)
                if kept.get(name).is_some_and(|numbers| numbers.contains(n)) =>
            {
                Some(kept_file(name, Some(*n)))
            }
            _ => None,
        };

        let output = &self.jobs.output;
        let found = match file.filter(|_| object.digest.size <= MAX_KEPT_BYTES) {
            None => output.digest(&object.key).await,
            Some(file) => match output.get(&object.key, MAX_KEPT_BYTES).await {
                Ok(None) => Ok(None),
                Ok(Some(bytes)) => Ok(Some(self.keep_file(&file, &bytes).await?)),
                Err(error) => Err(error),
            },
        };

        match found {
            Ok(Some(found)) if found == object.digest => {
                self.work_counter.add(found.size);
                Ok(())
            }
            Ok(found) => {
                let what = found.map_or("missing".to_owned(), |found| {
                    format!("{} bytes with other content", found.size)
                });
                let text = format!("{} was written but is {what}.", object.key);
                Err(Failure::new(Code::StorageUnavailable, text))
            }
            Err(error) => Err(classify_output_error(self.jobs, &error).await),
        }
    }

    async fn keep_file(&self, file: &str, bytes: &Bytes) -> Result<Digest, Failure> {
        let path = self.task_dir.join(file);
        tokio::fs::write(&path, bytes)
            .await
            .map_err(|error| work_dir_failure(&path, &error))?;
        Ok(Digest::of(bytes))
    }

    /// Joins the init segment and some segments of a rendition, which were kept, into one file, and
    /// returns its name. The files of the segments are removed.
    pub(super) async fn join_segments(
        &self,
        name: &RenditionName,
        segments: &[u32],
    ) -> Result<String, Failure> {
        let first = segments.first().copied().unwrap_or_default();
        let joined = format!("{name}/read-{first}.mp4");
        let path = self.task_dir.join(&joined);
        let failed = |error| work_dir_failure(&path, &error);
        let mut file = tokio::fs::File::create(&path).await.map_err(failed)?;

        // One after the other: together they may be large.
        for part in std::iter::once(None).chain(segments.iter().copied().map(Some)) {
            let bytes = self.read_file(&kept_file(name, part)).await?;
            file.write_all(&bytes).await.map_err(failed)?;
            if part.is_some() {
                self.remove_file(&kept_file(name, part)).await?;
            }
        }
        file.flush().await.map_err(failed)?;
        Ok(joined)
    }

    /// Removes a file of the task: what is done with need not wait for the end of the task.
    pub(super) async fn remove_file(&self, name: &str) -> Result<(), Failure> {
        let path = self.task_dir.join(name);
        tokio::fs::remove_file(&path)
            .await
            .map_err(|error| work_dir_failure(&path, &error))
    }

    /// Reads a file of the task.
    pub(super) async fn read_file(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let path = self.task_dir.join(name);
        tokio::fs::read(&path)
            .await
            .map_err(|error| work_dir_failure(&path, &error))
    }

    /// Decodes excerpts of joined files, each into its own output.
    pub(super) async fn decode_excerpts(&self, excerpts: &[Excerpt]) -> Result<(), Failure> {
        if excerpts.is_empty() {
            return Ok(());
        }

        let argv = reference::extract_samples(excerpts);
        let ticks = watch::Sender::new(ProgressUpdate::default());
        let seen_ticks = ticks.subscribe();
        let work =
            move || seen_ticks.borrow().frames + seen_ticks.borrow().out_time.as_micros() as u64;
        let stop = CancellationToken::new();
        let run = ffmpeg::run(Run {
            tool: self.tool,
            args: &argv,
            policy: SandboxPolicy::new(ResourceLimits::readback()).workdir(self.task_dir),
            limits: Limits::new(MAX_DECODE_TIME),
            stop: &stop,
            // The input is files of the task, so there is no server whose bytes could be counted.
            external_work: &|| 0,
            ticks: &ticks,
        });
        let exit = tokio::select! {
            exit = run => exit,
            never = self.work_counter.follow(work) => match never {},
        };
        let exit = exit.map_err(|error| Failure::of_host("ffmpeg could not be run", &error))?;

        if exit.end == End::Finished {
            return Ok(());
        }
        if exit.code() == Some(Code::DiskFull) {
            return Err(Failure::from_code(Code::DiskFull));
        }
        let text = "The output cannot be decoded when it is read back.";
        Err(
            Failure::new(Code::VerificationFailed, text).with_evidence(RunEvidence {
                argv,
                stderr: exit.stderr_tail,
                probe: None,
            }),
        )
    }
}

/// The file in which a segment, or else the init segment of a rendition, is kept.
fn kept_file(name: &RenditionName, segment: Option<u32>) -> String {
    match segment {
        None => format!("{name}/read-init"),
        Some(n) => format!("{name}/read-{n}"),
    }
}
