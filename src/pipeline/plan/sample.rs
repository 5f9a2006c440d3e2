//! Fitting a draft to the pictures of its source, by a short sample of them.

use media::ladder::Draft;
use media::ladder::per_title::{self, Samples};
use storage::Source;
use streams::Code;

use super::planner::Planner;
use super::source::Found;
use crate::job::Assignment;
use crate::job::failure::Failure;
use crate::worker::admission::ResourceRequirements;

impl Planner {
    /// The draft as the pictures want it. Without a sample it stays as it is: whether the source
    /// can be read and encoded is for the encoders to find out.
    pub(super) async fn fitted(
        &self,
        assignment: &Assignment,
        found: &Found,
        draft: Draft,
    ) -> Draft {
        match self.sampled(assignment, found, &draft).await {
            Ok(samples) => per_title::refine(draft, &samples),
            Err(reason) => per_title::unsampled(draft, reason),
        }
    }

    async fn sampled(
        &self,
        assignment: &Assignment,
        found: &Found,
        draft: &Draft,
    ) -> Result<Samples, String> {
        let unread = |failure: Failure| {
            tracing::warn!(job.id = %assignment.state.job_id, code = %failure.code, "the source was not sampled: {}", failure.message);
            "No sample was taken: the source could not be read through.".to_owned()
        };

        let source = match &draft.source.copy {
            Some(copy) => Source::copy(&self.context.storage, copy),
            None => found.source(&self.context.storage),
        };

        let who = format!("{}/sample", assignment.state.job_id);
        let need = ResourceRequirements::of_sample(draft, ffmpeg::cores());
        let room = self
            .context
            .budget
            .wait(&who, need, || assignment.work_counter.add(1))
            .await;
        // The reservation is held until the function returns: the memory is in use until the sample
        // is taken.
        let _room = room.ok_or("No sample was taken: this worker has not the memory for it.")?;

        let server = self.open(source).await.map_err(unread)?;
        let folder = self.context.work_dir.create_task_dir(std::iter::empty());
        let folder =
            folder.map_err(|error| unread(Failure::new(Code::DiskFull, error.to_string())))?;

        let input = self.input(&server, draft.source.deep);
        let sample = ffmpeg::sample(&self.context.tool, &input, folder.path(), draft);
        let sampled = self
            .read(assignment, &server, sample)
            .await
            .map_err(unread)?;
        sampled.map_err(|error| error.to_string())
    }
}
