//! From a file in the directory of a task to an object in the bucket.

use std::io;
use std::path::Path;

use bytes::Bytes;
use ffmpeg::{argv, surplus_segments};
use media::cmaf::rewrite::{self, KeyFrame};
use media::cmaf::{FragmentInfo, InitInfo};
use metrics::counter;
use storage::{JobKeys, ObjectKind};
use streams::work::{ObjectRef, SegmentOutput};
use streams::{Code, Rational};

use super::failures::{RunError, work_dir_failure};
use super::segments::{RenditionDir, UploadedSegment};
use crate::crash;
use crate::job::classify::classify_output_error;
use crate::job::failure::Failure;
use crate::job::{Jobs, WorkCounter};

/// Uploads what one attempt at a task makes.
pub(super) struct SegmentUploader<'a> {
    /// The output bucket.
    pub(super) jobs: &'a Jobs,
    /// The keys of the job.
    pub(super) keys: &'a JobKeys,
    /// The number of the attempt, which is in every key.
    pub(super) attempt: u64,
    /// The directory of the task.
    pub(super) task_dir: &'a Path,
    /// Counts what was uploaded, since that is work.
    pub(super) work_counter: &'a WorkCounter,
}

impl SegmentUploader<'_> {
    /// Uploads segment `n` of a rendition, whose file is closed, and removes the file.
    ///
    /// # Errors
    /// [`RunError::EnteredLate`] where the first segment begins behind the beginning of the chunk.
    pub(super) async fn upload_segment(
        &self,
        dir: &RenditionDir,
        n: u32,
    ) -> Result<UploadedSegment, RunError> {
        let file = dir.segment_file(self.task_dir, n);
        if dir.last_segment == Some(n) {
            let joined = surplus_segments::join(&dir.path(self.task_dir), n).await;
            joined.map_err(|error| work_dir_failure(&file, &error))?;
        }
        let bytes = tokio::fs::read(&file)
            .await
            .map_err(|error| work_dir_failure(&file, &error))?;

        // The init segment is complete as soon as a segment is.
        let (init, _) = self.read_init(dir).await?;
        let unsound = |error| {
            let text = format!("Segment {n} of {} is not valid: {error}.", dir.name);
            Failure::new(Code::VerificationFailed, text)
        };
        let key_frame = if dir.has_iframe_playlist {
            KeyFrame::Apart
        } else {
            KeyFrame::InPlace
        };
        let bytes: Bytes = rewrite::segment(&bytes, key_frame).map_err(unsound)?.into();
        let fragment = FragmentInfo::parse(&bytes, init.defaults).map_err(unsound)?;
        let is_late = |start| begins_after(&fragment, init.timescale, start);
        if n == dir.first_segment && dir.expected_start.is_some_and(is_late) {
            return Err(RunError::EnteredLate);
        }

        crash::point("encode.closed");
        let key = self
            .keys
            .segment(dir.name.as_str(), u64::from(n), self.attempt);
        let object = self.put(&key, bytes, dir.kind.clone()).await?;
        tokio::fs::remove_file(&file)
            .await
            .map_err(|error| work_dir_failure(&file, &error))?;
        counter!("fluxhls_output_bytes_total").increment(object.size);

        let output = SegmentOutput {
            n,
            start: fragment.start,
            duration: fragment.duration,
            key_frame: fragment.key_frame.filter(|_| dir.kind == ObjectKind::Video),
            size: object.size,
            sha256: object.sha256,
            etag: object.etag,
        };
        Ok(UploadedSegment { output, fragment })
    }

    /// Uploads the init segment of a rendition.
    pub(super) async fn upload_init(
        &self,
        dir: &RenditionDir,
    ) -> Result<(InitInfo, ObjectRef), Failure> {
        let (init, bytes) = self.read_init(dir).await?;
        let key = self.keys.init(dir.name.as_str(), self.attempt);
        Ok((init, self.put(&key, bytes, dir.kind.clone()).await?))
    }

    /// Reads the init segment of a rendition: what it says, and its bytes as they are published.
    pub(super) async fn read_init(&self, dir: &RenditionDir) -> Result<(InitInfo, Bytes), Failure> {
        let file = dir.path(self.task_dir).join(argv::INIT_FILE);
        let unsound = |text: String| Failure::new(Code::VerificationFailed, text);
        let bytes: Bytes = match tokio::fs::read(&file).await {
            Ok(bytes) => bytes.into(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(unsound(format!(
                    "ffmpeg ended successfully but made no output for {}.",
                    dir.name
                )));
            }
            Err(error) => return Err(work_dir_failure(&file, &error)),
        };

        let read =
            InitInfo::parse(&bytes).and_then(|init| Ok((init, rewrite::init(&bytes)?.into())));
        read.map_err(|error| {
            unsound(format!(
                "The init segment of {} is not valid: {error}.",
                dir.name
            ))
        })
    }

    async fn put(&self, key: &str, bytes: Bytes, kind: ObjectKind) -> Result<ObjectRef, Failure> {
        put_object(self.jobs, self.work_counter, key, bytes, kind).await
    }
}

/// Writes one small object under a key with the attempt, and returns the stored object. A number
/// that was already assigned, because a stream was restored from an older copy, overwrites nothing:
/// the attempt fails, and the next one has another number.
pub(super) async fn put_object(
    jobs: &Jobs,
    work_counter: &WorkCounter,
    key: &str,
    bytes: Bytes,
    kind: ObjectKind,
) -> Result<ObjectRef, Failure> {
    match jobs.output.put_new(key, bytes, kind).await {
        Ok(stored) => {
            work_counter.add(stored.size);
            Ok(ObjectRef {
                key: key.to_owned(),
                size: stored.size,
                sha256: stored.sha256,
                etag: Some(stored.etag).filter(|etag| !etag.is_empty()),
            })
        }
        Err(error) => Err(classify_output_error(jobs, &error).await),
    }
}

/// Whether a segment begins later than `time`, in seconds from zero.
fn begins_after(segment: &FragmentInfo, timescale: u32, time: Rational) -> bool {
    let (start, scale) = (i128::from(segment.start), i128::from(timescale));
    start * i128::from(time.den()) > i128::from(time.num()) * scale
}
