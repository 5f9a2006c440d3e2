//! The handler of plan tasks.

use chrono::Utc;
use ffmpeg::sniff::{self, Sniff};
use media::ladder::{self, Pin, Probe};
use metrics::histogram;
use streams::Code;
use streams::fact::Head;
use streams::plan::Planned;
use streams::task::TaskName;

use super::planner::Planner;
use super::remux::Copied;
use super::source::{FoundSource, SourceLookup, look_up_source, source_readiness};
use crate::crash;
use crate::job::classify::classify_source_error;
use crate::job::commit::ensure_prefix_free;
use crate::job::denial::{check_denied_source, remaining_source_wait};
use crate::job::failure::{Evidence, Failure, Remedy};
use crate::job::queue::encode_backlogs;
use crate::job::{JobState, Readiness, Stage, TaskContext, TaskOutcome};

/// Largest fact, in bytes.
const MAX_FACT: usize = 64 * 1024;

impl Stage for Planner {
    async fn readiness(&self, state: &JobState, task: TaskName) -> Readiness {
        if let Some(pause) = self.shares.pause(&self.context.jobs, state).await {
            return Readiness::Wait(pause);
        }

        let look = self.look_up_source(state).await;
        if let SourceLookup::Found(found) = &look {
            let source = found.source(&self.context.storage);
            if let Some(readiness) =
                check_denied_source(&self.context.jobs, &source, state, task).await
            {
                return readiness;
            }
        }

        source_readiness(&self.context.jobs, look, state, task).await
    }

    async fn work(&self, task_context: TaskContext) -> Result<TaskOutcome, Failure> {
        let started = std::time::Instant::now();
        let state = &task_context.state;
        ensure_prefix_free(&self.context.jobs, state).await?;

        let found = match self.look_up_source(state).await {
            SourceLookup::Found(found) => found,
            SourceLookup::Missing(code) => return Err(self.missing_source_failure(code, state)),
            SourceLookup::Failed(failure) => return Err(failure),
        };

        let sniffed = self.sniff(&task_context, &found).await?;
        let server = self
            .open_source(found.source(&self.context.storage))
            .await?;

        // The first bytes may show what the file is when ffprobe only reports that it cannot be
        // read.
        let probe = self
            .probe(&task_context, &server)
            .await
            .map_err(|failure| match sniffed.explain(failure.code) {
                Some(refusal) => Failure::new(refusal.code, refusal.message),
                None => failure,
            })?;
        crash::point("plan.probed");
        let copied = self
            .copy_if_needed(&task_context, &server, found.meta.size, &probe)
            .await?;
        crash::point("plan.copied");

        let planned = self.make_plan(&task_context, &found, &probe, copied).await;
        histogram!("fluxhls_stage_duration_seconds", "stage" => "plan").record(started.elapsed());
        let evidence = || Evidence {
            probe: serde_json::to_value(&probe).ok(),
            ..Evidence::default()
        };

        planned
            .map(|planned| TaskOutcome::Plan(Box::new(planned)))
            .map_err(|failure| failure.with_evidence(evidence()))
    }
}

impl Planner {
    /// Number of chunks that can be encoded at a time, as far as is known.
    async fn fleet_capacity(&self) -> u32 {
        let (hi, lo) = encode_backlogs(&self.context.jobs).await;
        u32::try_from(hi.and(lo).capacity())
            .unwrap_or(u32::MAX)
            .max(1)
    }

    /// The failure of a source that was missing, or first denied and then missing, when its task
    /// had started.
    fn missing_source_failure(&self, code: Code, state: &JobState) -> Failure {
        let remedy = match remaining_source_wait(&self.context.jobs, state.accepted.time) {
            Some(_) => Remedy::AwaitSource,
            None => Remedy::ByClass,
        };
        Failure {
            remedy,
            ..Failure::from_code(code)
        }
    }

    async fn look_up_source(&self, state: &JobState) -> SourceLookup {
        let look = look_up_source(&self.context.jobs, &self.context.storage, state).await;
        look.within(&self.context.limits)
    }

    /// Looks at the first bytes of the version that was found, before any process starts.
    async fn sniff(
        &self,
        task_context: &TaskContext,
        found: &FoundSource,
    ) -> Result<Sniff, Failure> {
        let source = found.source(&self.context.storage);
        let range = 0..(sniff::HEAD_BYTES as u64).min(source.size);
        let head = match source
            .bucket
            .get_range(&source.key, &source.etag, range)
            .await
        {
            Ok(head) => head,
            Err(error) => return Err(classify_source_error(&self.context.jobs, &error).await),
        };

        task_context.work_counter.add(head.len() as u64);
        let sniffed = sniff::sniff(&head, source.size);
        if let Some(code) = sniffed.code() {
            return Err(Failure::from_code(code));
        }

        // Whether it is encrypted is said in its index (`moov`, ISO 14496-12), which may lie behind
        // the media.
        let Some(at) = sniff::index_at(&head, source.size) else {
            return Ok(sniffed);
        };
        let range = at..(at + sniff::HEAD_BYTES as u64).min(source.size);
        match source
            .bucket
            .get_range(&source.key, &source.etag, range)
            .await
        {
            Ok(index) if sniff::is_protected(&index) => Err(Failure::from_code(Code::Protected)),
            Ok(_) => Ok(sniffed),
            Err(error) => Err(classify_source_error(&self.context.jobs, &error).await),
        }
    }

    /// Decides by what is in the copy, where there is one, and calls it by what the source itself
    /// is.
    async fn make_plan(
        &self,
        task_context: &TaskContext,
        found: &FoundSource,
        probe: &Probe,
        copied: Option<Copied>,
    ) -> Result<Planned, Failure> {
        let state = &task_context.state;
        let asked = &state.accepted.fact.upload.settings;
        let profile = self.profiles.get(&asked.profile).map_err(|unknown| {
            let text = format!("The event names an unknown profile: {unknown}.");
            Failure::new(Code::InvalidEvent, text)
        })?;

        let pin = Pin {
            bucket: found.object.bucket.clone(),
            key: found.object.key.clone(),
            etag: found.meta.etag.clone().unwrap_or_default(),
            size: found.meta.size,
        };
        let settings = ladder::Settings {
            profile: profile.clone(),
            priority: asked.priority,
            limits: self.context.limits,
            fleet: self.fleet_capacity().await,
        };

        let (read, copy) = copied.map_or_else(
            || (probe.clone(), None),
            |copied| (copied.probe, Some(copied.copy)),
        );
        let head = Head::new(state.job_id.clone(), state.file_id().clone());
        let mut planned = ladder::plan(head, &read, pin, &settings, &self.context.ffmpeg_version)
            .map_err(|refusal| Failure::new(refusal.code, refusal.message))?;
        planned.source.container.clone_from(&probe.container);
        ladder::mime::of(probe).clone_into(&mut planned.source.mime_type);
        planned.source.copy = copy;

        if settings.profile.per_title {
            planned = self.fit_to_sample(task_context, found, planned).await;
        }

        // The sample took its time.
        planned.head.at = Utc::now();
        let size = serde_json::to_vec(&planned).map_or(usize::MAX, |bytes| bytes.len());
        if size > MAX_FACT {
            let text =
                format!("The plan of this file has {size} bytes; at most {MAX_FACT} are possible.");
            return Err(Failure::new(Code::ExceedsPolicy, text));
        }
        Ok(planned)
    }
}
