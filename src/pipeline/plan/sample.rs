//! Fitting a plan to the pictures of its source, by a short sample of them.

use media::ladder::per_title::{self, Samples};
use storage::Source;
use streams::Code;
use streams::plan::Planned;

use super::planner::Planner;
use super::source::FoundSource;
use crate::job::TaskContext;
use crate::job::failure::Failure;
use crate::worker::admission::ResourceRequirements;

impl Planner {
    /// The plan as the pictures want it. Without a sample it stays as it is: whether the source
    /// can be read and encoded is for the encoders to find out.
    pub(super) async fn fit_to_sample(
        &self,
        task_context: &TaskContext,
        found: &FoundSource,
        plan: Planned,
    ) -> Planned {
        match self.take_sample(task_context, found, &plan).await {
            Ok(samples) => per_title::refine(plan, &samples),
            Err(reason) => per_title::unsampled(plan, reason),
        }
    }

    async fn take_sample(
        &self,
        task_context: &TaskContext,
        found: &FoundSource,
        plan: &Planned,
    ) -> Result<Samples, String> {
        let unread = |failure: Failure| {
            tracing::warn!(job.id = %task_context.state.job_id, code = %failure.code, "the source was not sampled: {}", failure.message);
            "No sample was taken: the source could not be read to its end.".to_owned()
        };

        let source = match &plan.source.copy {
            Some(copy) => Source::copy(&self.context.storage, copy),
            None => found.source(&self.context.storage),
        };

        let who = format!("{}/sample", task_context.state.job_id);
        let need = ResourceRequirements::of_sample(plan, ffmpeg::cores());
        let room = self
            .context
            .budget
            .wait(&who, need, || task_context.work_counter.add(1))
            .await;
        // The reservation is held until the function returns: the memory is in use until the sample
        // is taken.
        let _room =
            room.ok_or("No sample was taken: this worker does not have enough memory for it.")?;

        let server = self.open_source(source).await.map_err(unread)?;
        let folder = self.context.work_dir.create_task_dir(std::iter::empty());
        let folder =
            folder.map_err(|error| unread(Failure::new(Code::DiskFull, error.to_string())))?;

        let input = self.input(&server, plan.source.deep);
        let sample = ffmpeg::sample(&self.context.tool, &input, folder.path(), plan);
        let sampled = self
            .read_source(task_context, &server, sample)
            .await
            .map_err(unread)?;
        sampled.map_err(|error| error.to_string())
    }
}
