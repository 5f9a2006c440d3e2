//! Ranges of a task that are published before the task is done, so that live playlists can list
//! them.

use jetstream::OutboundMessage;
use streams::VERSION;
use streams::work::{ObjectRef, Part, RenditionOutput};
use streams::{subject, topology, wire};

use super::segments::{RenditionDir, UploadedSegment, rendition_output};
use super::task::EncodeTask;
use super::uploader::SegmentUploader;
use crate::crash;
use crate::job::failure::Failure;
use crate::job::queue::enqueue_playlist_update;

/// Bytes of the longest message. A range that needs more is published by `done` alone.
const MAX_PART_BYTES: usize = 60 * 1024;

/// Publishes the ranges of one run of ffmpeg, each once all of its segments are in the bucket.
pub(super) struct RangePublisher<'a> {
    task: &'a EncodeTask<'a>,
    /// The number of its first range: each run before it over the same segments has published as
    /// many as it will.
    first_number: u32,
    /// The range that comes next, counted from the first one of the run.
    next: u32,
    /// How many segments each rendition will have.
    segment_counts: Vec<u32>,
    /// The init segments of all renditions. They are in the bucket from the first range on, and
    /// none is before.
    inits: Vec<ObjectRef>,
}

impl<'a> RangePublisher<'a> {
    /// A publisher for what is encoded into `dirs` after this many earlier `passes` over the same
    /// segments; none if there are no renditions.
    pub(super) fn new(
        task: &'a EncodeTask<'a>,
        dirs: &[RenditionDir],
        passes: u32,
    ) -> Option<Self> {
        let segment_counts: Vec<u32> = dirs
            .iter()
            .map(|dir| dir.segment_count(task.plan, task.task_context.task))
            .collect();
        let longest = segment_counts.iter().copied().max()?;
        Some(Self {
            task,
            first_number: passes.saturating_mul(longest),
            next: 0,
            segment_counts,
            inits: Vec::new(),
        })
    }

    /// The init segments that are in the bucket: those of all renditions, or none.
    pub(super) fn into_inits(self) -> Vec<ObjectRef> {
        self.inits
    }

    /// Publishes every range that is complete by now. `uploaded` has one list of segments for each
    /// of `dirs`.
    pub(super) async fn publish_complete(
        &mut self,
        uploader: &SegmentUploader<'_>,
        dirs: &[RenditionDir],
        uploaded: &[Vec<UploadedSegment>],
    ) -> Result<(), Failure> {
        while let Some(range) = self.next_complete(dirs, uploaded) {
            if self.inits.is_empty() {
                for dir in dirs {
                    let (_, object) = uploader.upload_init(dir).await?;
                    self.inits.push(object);
                }
            }

            let mut renditions = Vec::new();
            for ((dir, segments), init_object) in dirs.iter().zip(range).zip(&self.inits) {
                let (init, _) = uploader.read_init(dir).await?;
                if !segments.is_empty() {
                    renditions.push(rendition_output(
                        &dir.name,
                        init,
                        init_object.clone(),
                        0,
                        &segments,
                    ));
                }
            }
            publish_range(self.task, self.first_number + self.next, renditions).await;
            self.next += 1;
        }
        Ok(())
    }

    /// The segments of the next range, by rendition, once all of them exist.
    fn next_complete(
        &self,
        dirs: &[RenditionDir],
        uploaded: &[Vec<UploadedSegment>],
    ) -> Option<Vec<Vec<UploadedSegment>>> {
        let (first, end) = Part::range(self.task.task_context.task.duty, self.next);
        if self.segment_counts.iter().all(|count| *count <= first) {
            return None;
        }

        let mut range = Vec::new();
        for ((dir, segments), count) in dirs.iter().zip(uploaded).zip(&self.segment_counts) {
            let wanted = (first.min(*count)..end.min(*count)).map(|n| dir.first_segment + n);
            let found = wanted.map(|n| {
                segments
                    .iter()
                    .find(|segment| segment.output.n == n)
                    .cloned()
            });
            range.push(found.collect::<Option<Vec<UploadedSegment>>>()?);
        }
        Some(range)
    }
}

/// Publishes one range, unless someone did before, and asks for the playlists to follow. What
/// cannot be published now is published by `done`.
async fn publish_range(task: &EncodeTask<'_>, k: u32, renditions: Vec<RenditionOutput>) {
    let jobs = &task.context.jobs;
    let (state, task_name) = (&task.task_context.state, task.task_context.task);
    let part = Part {
        v: VERSION,
        job_id: state.job_id.clone(),
        task: task_name,
        k,
        attempt: task.task_context.attempt,
        renditions,
    };
    let body = wire::encode(&part);
    if body.len() > MAX_PART_BYTES {
        return;
    }

    let subject = subject::part(&state.job_id, task_name, k);
    let message = OutboundMessage::json(subject, body).traced(state.traceparent.as_deref());
    let published = match jobs.log.create(topology::WORK, message).await {
        Ok(_) => enqueue_playlist_update(jobs, state).await,
        Err(refused) => Err(refused),
    };
    crash::point("encode.part");
    if let Err(refused) = published {
        tracing::warn!(job.id = %state.job_id, task = %task_name, %refused, "a range of a task cannot be published");
    }
}
