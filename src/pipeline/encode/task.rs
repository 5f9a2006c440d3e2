//! One task in work: its output, its source, and where the output goes.

use std::path::Path;

use bytes::Bytes;
use ffmpeg::Input;
use storage::{Digest, JobKeys, ObjectKind, Source, SourceServer};
use streams::plan::Planned;
use streams::task::{Duty, TaskName};
use streams::wire;
use streams::work::{DoneOutput, ObjectRef, TaskOutput};
use tempfile::TempDir;

use super::evidence::{ObjectContent, Readback, UploadedObject};
use super::failures::work_dir_failure;
use super::segments::RenditionDir;
use super::uploader::{SegmentUploader, put_object};
use crate::job::failure::Failure;
use crate::job::{TaskContext, WorkerContext};
use crate::worker::admission::{Resource, ResourceBudget, ResourceRequirements};

/// Bytes of the longest result that travels in `done` itself. A longer one becomes an object.
const MAX_INLINE_BYTES: usize = 48 * 1024;

/// One task in work.
pub(super) struct EncodeTask<'a> {
    /// What the worker works with.
    pub(super) context: &'a WorkerContext,
    /// The job, the name of the task and the number of the attempt.
    pub(super) task_context: &'a TaskContext,
    /// The plan as this attempt carries it out.
    pub(super) plan: &'a Planned,
    /// The keys of the job.
    pub(super) keys: &'a JobKeys,
}

impl EncodeTask<'_> {
    /// Creates the directory of the task, with one in it for each rendition.
    pub(super) fn create_dir(&self, renditions: &[RenditionDir]) -> Result<TempDir, Failure> {
        let names = renditions.iter().map(|rendition| rendition.name.as_str());
        let dir = self.context.work_dir.create_task_dir(names);
        dir.map_err(|error| work_dir_failure(Path::new("task"), &error))
    }

    /// Opens the source for one run of ffmpeg.
    pub(super) async fn open_source(&self) -> Result<TaskSource, Failure> {
        let source = Source::planned(&self.context.storage, &self.plan.source);
        let server = SourceServer::open(source, self.context.cache.clone()).await;
        let server =
            server.map_err(|error| Failure::of_host("No loopback port can be opened", &error))?;
        let input = Input::http(server.url())
            .decoding(self.context.limits.pixels)
            .looking(self.plan.source.deep);
        Ok(TaskSource { server, input })
    }

    /// Seconds of media that the task reads.
    #[expect(
        clippy::cast_precision_loss,
        reason = "frame counts stay far below 2^52"
    )]
    pub(super) fn media_seconds(&self) -> f64 {
        match (self.task_context.task.duty, &self.plan.video) {
            (Duty::Video(chunk), Some(video)) => {
                let (first, end) = video.chunk_frames(chunk).unwrap_or((0, 1));
                (end - first) as f64 / video.frame_rate.as_f64()
            }
            _ => self.plan.source.duration,
        }
    }

    /// An output with nothing in it yet.
    pub(super) fn empty_output(&self) -> TaskOutput {
        TaskOutput {
            ffmpeg: self.context.ffmpeg_version.clone(),
            ..TaskOutput::default()
        }
    }

    /// What uploads the segments that ffmpeg writes in `task_dir`.
    pub(super) fn segment_uploader<'b>(&'b self, task_dir: &'b Path) -> SegmentUploader<'b> {
        SegmentUploader {
            jobs: &self.context.jobs,
            keys: self.keys,
            attempt: self.task_context.attempt,
            task_dir,
            work_counter: &self.task_context.work_counter,
        }
    }

    /// Uploads an object that is no segment. Its key carries the attempt.
    pub(super) async fn upload_object(
        &self,
        key: &str,
        bytes: Bytes,
        kind: ObjectKind,
    ) -> Result<ObjectRef, Failure> {
        put_object(
            &self.context.jobs,
            &self.task_context.work_counter,
            key,
            bytes,
            kind,
        )
        .await
    }

    /// What reads uploaded objects back into `task_dir`.
    pub(super) fn readback<'b>(&'b self, task_dir: &'b Path) -> Readback<'b> {
        Readback {
            jobs: &self.context.jobs,
            tool: &self.context.tool,
            task_dir,
            work_counter: &self.task_context.work_counter,
        }
    }

    /// All objects of an output, as they were uploaded.
    pub(super) fn uploaded_objects(&self, output: &TaskOutput) -> Vec<UploadedObject> {
        let attempt = self.task_context.attempt;
        let uploaded = |object: &ObjectRef, content| UploadedObject {
            key: object.key.clone(),
            digest: Digest {
                size: object.size,
                sha256: object.sha256.clone(),
            },
            content,
        };

        let mut objects: Vec<UploadedObject> = Vec::new();
        for rendition in &output.renditions {
            let name = &rendition.name;
            objects.push(uploaded(&rendition.init, ObjectContent::Init(name.clone())));
            objects.extend(rendition.segments.iter().map(|segment| {
                UploadedObject {
                    key: self
                        .keys
                        .segment(name.as_str(), u64::from(segment.n), attempt),
                    digest: Digest {
                        size: segment.size,
                        sha256: segment.sha256.clone(),
                    },
                    content: ObjectContent::Segment(name.clone(), segment.n),
                }
            }));
        }

        let images = output.poster.iter().chain(&output.tiles);
        let others = images.chain(output.subtitles.iter().map(|subtitles| &subtitles.object));
        objects.extend(others.map(|object| uploaded(object, ObjectContent::Other)));
        objects
    }

    /// The output as `done` contains it: in the message, or as an object in the bucket if it is
    /// long.
    pub(super) async fn store_output(&self, output: TaskOutput) -> Result<DoneOutput, Failure> {
        let bytes = wire::encode(&output);
        if bytes.len() <= MAX_INLINE_BYTES {
            return Ok(DoneOutput::Inline(Box::new(output)));
        }

        let TaskContext { task, attempt, .. } = self.task_context;
        let key = self.keys.parts(&task.to_string(), *attempt);
        let kind = ObjectKind::private("application/json");
        Ok(DoneOutput::Object(
            self.upload_object(&key, bytes.into(), kind).await?,
        ))
    }
}

/// The source of a task, served to one run of ffmpeg on a loopback port.
///
/// Each run has its own server. A failed read, the count of bytes and whether the source is
/// throttled belong to the server, and an ffmpeg that was just stopped may still read from it: none
/// of that must affect the next run.
pub(super) struct TaskSource {
    /// Serves the source, and knows what was read of it.
    pub(super) server: SourceServer,
    /// The source as command lines name it.
    pub(super) input: Input,
}

/// How many rungs of a chunk a worker encodes at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RungsAtOnce {
    /// All, from one decode.
    All,
    /// One after the other, since all together take more memory than the worker has.
    One,
}

impl RungsAtOnce {
    /// How the worker with this budget does a task.
    pub(super) fn for_task(budget: &ResourceBudget, plan: &Planned, task: TaskName) -> Self {
        let need = ResourceRequirements::of_task(plan, task, ffmpeg::cores());
        let lacks_memory = || {
            let room = budget.available_capacity();
            room.is_ok_and(|room| room.too_small_for(need) == Some(Resource::Memory))
        };
        if matches!(task.duty, Duty::Video(_)) && lacks_memory() {
            Self::One
        } else {
            Self::All
        }
    }
}
