//! The copy of a source that has no index: it was removed when the job ended, and is made again for
//! a repair.

use std::time::Duration;

use ffmpeg::argv::CopiedSubtitles;
use ffmpeg::{
    End, Input, Limits, ProbeLimits, ProgressUpdate, ResourceLimits, Run, SandboxPolicy, argv,
};
use storage::{Source, SourceServer, base36, source_copy};
use streams::Code;
use streams::plan::{Planned, SourceCopy};
use tokio::sync::watch;
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

use super::revision::Repair;
use crate::job::classify::{classify_output_error, classify_source_error};
use crate::job::failure::Failure;

/// The longest that ffmpeg may take for a copy.
const MAX_COPY_DURATION: Duration = Duration::from_secs(6 * 3600);

impl Repair<'_> {
    /// The plan with a fresh copy of its source; none if tasks read the source itself.
    pub(super) async fn remake_source_copy(&self) -> Result<Option<Planned>, Failure> {
        let plan = &self.found.receipt.planned;
        let Some(copy) = &plan.source.copy else {
            return Ok(None);
        };

        let no_folder = |error| Failure::of_host("The work folder cannot be used", &error);
        let task_dir = self
            .context
            .work_dir
            .create_task_dir(std::iter::empty())
            .map_err(no_folder)?;

        let mut source = plan.source.clone();
        // With the old copy in it, `Source::planned` would open that instead of the source.
        source.copy = None;
        let source = Source::planned(&self.context.storage, &source);
        let server = SourceServer::open(source, self.context.cache.clone()).await;
        let server =
            server.map_err(|error| Failure::of_host("No loopback port can be opened", &error))?;

        let limits = self.context.limits;
        let input = Input::http(server.url()).decoding(limits.pixels);
        let probed = ffmpeg::probe(&self.context.tool, &input, &ProbeLimits::of(limits)).await;

        // A read that failed looks like the end of the file to ffprobe, so the source server is
        // asked first.
        if let Some(fault) = server.fault() {
            return Err(classify_source_error(&self.context.jobs, &fault.error).await);
        }
        let probe = probed.map_err(|error| Failure::from_error(error.code(), &error))?;
        let input = input.looking(probe.deep);

        // As the plan task does it: with subtitles, and without where they cannot be copied.
        for subtitles in [CopiedSubtitles::All, CopiedSubtitles::None] {
            let args = argv::remux(&input, &probe, subtitles);
            let (ticks, _) = watch::channel(ProgressUpdate::default());
            let exit = ffmpeg::run(Run {
                tool: &self.context.tool,
                args: &args,
                policy: SandboxPolicy::new(ResourceLimits::copy(plan.source.size.max(copy.size)))
                    .workdir(task_dir.path())
                    .allow_input(&input),
                limits: Limits::new(MAX_COPY_DURATION),
                stop: &CancellationToken::new(),
                external_work: &|| server.bytes_read() + server.bytes_served(),
                ticks: &ticks,
            })
            .await
            .map_err(|error| Failure::of_host("ffmpeg could not be run", &error))?;

            // ffmpeg ends with 0 also where a read failed, and leaves a copy that is too short.
            if let Some(fault) = server.fault() {
                return Err(classify_source_error(&self.context.jobs, &fault.error).await);
            }
            if exit.end == End::Finished {
                let file = tokio::fs::File::open(task_dir.path().join(argv::COPY_FILE)).await;
                return self.upload_copy(file.map_err(no_folder)?).await.map(Some);
            }
        }

        let text = "The source could be copied during planning, but it cannot be copied now.";
        Err(Failure::new(Code::FfmpegCrashed, text))
    }

    async fn upload_copy(&self, file: tokio::fs::File) -> Result<Planned, Failure> {
        let (key, output) = (self.copy_key(), &self.context.jobs.output);
        let stored = match output
            .put_stream(&key, "video/x-matroska", ReaderStream::new(file))
            .await
        {
            Ok(stored) => stored,
            Err(error) => return Err(classify_output_error(&self.context.jobs, &error).await),
        };

        let mut plan = self.found.receipt.planned.clone();
        plan.source.copy = Some(SourceCopy {
            bucket: output.name().to_owned(),
            key,
            etag: stored.etag,
            size: stored.size,
            spliced: plan.source.copy.is_some_and(|copy| copy.spliced),
        });

        Ok(plan)
    }

    /// Removes the copy, where one was made.
    pub(super) async fn remove_source_copy(&self) {
        if self.found.receipt.planned.source.copy.is_none() {
            return;
        }
        if let Err(error) = self.context.jobs.output.delete(&[self.copy_key()]).await {
            tracing::warn!(%error, "the copy of the source was not removed");
        }
    }

    /// A key of this repair's own: two at a time must not read each other's copy.
    fn copy_key(&self) -> String {
        let job = &self.found.receipt.job_id;
        source_copy(&format!("{job}-{}", base36(self.revision)))
    }
}
