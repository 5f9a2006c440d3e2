//! The handler of plan tasks.

use std::time::Duration;

use metrics::{counter, histogram};
use streams::Code;
use streams::fact::Head;
use streams::plan::Planned;
use streams::task::TaskName;

use super::source::{Found, Look, look, readiness};
use crate::crash;
use crate::failure::{Evidence, Failure};
use crate::ffmpeg::{self, Input, ProbeLimits, Tool, sniff};
use crate::job::{Assignment, JobState, Jobs, Product, Readiness, Stage};
use crate::ladder::{self, Pin, Probe, Profiles};
use crate::storage::{BlockCache, Locator, Source, SourceServer, Storage};

/// A fact is at most so long, in bytes.
const MAX_FACT: usize = 64 * 1024;

/// Plans jobs.
#[derive(Debug, Clone)]
pub struct Planner {
    /// The jobs.
    pub jobs: Jobs,
    /// Where sources are.
    pub storage: Storage,
    /// What an event may name.
    pub locator: Locator,
    /// Blocks of sources, shared by all tasks of this process.
    pub cache: BlockCache,
    /// What events may ask for.
    pub profiles: Profiles,
    /// ffprobe.
    pub tool: Tool,
    /// Its version.
    pub ffmpeg: String,
    /// How long an event's object is waited for.
    pub source_wait: Duration,
}

impl Stage for Planner {
    async fn readiness(&self, state: &JobState, _task: TaskName) -> Readiness {
        let look = look(&self.jobs, &self.storage, &self.locator, state).await;
        readiness(look, state, self.source_wait, self.jobs.settings.retry_delay)
    }

    async fn work(&self, assignment: Assignment) -> Result<Product, Failure> {
        let started = std::time::Instant::now();
        let state = &assignment.state;
        let prefix = &state.accepted.fact.output_prefix;
        if let Some((owner, _)) = self.jobs.owner(prefix).await
            && owner.file_id != *state.file_id()
        {
            let text = format!("The output place {prefix} belongs to file {}.", owner.file_id);
            return Err(Failure::new(Code::PrefixInUse, text));
        }
        let found = match look(&self.jobs, &self.storage, &self.locator, state).await {
            Look::Found(found) => found,
            Look::Missing(code) => return Err(Failure::plain(code)),
            Look::Failed(failure) => return Err(failure),
        };
        let probe = self.probe(&assignment, &found).await?;
        crash::point("plan.probed");
        let planned = self.decide(state, &found, &probe);
        histogram!("fluxhls_stage_duration_seconds", "stage" => "plan").record(started.elapsed());
        let evidence = || Evidence {
            probe: serde_json::to_value(&probe).ok(),
            ..Evidence::default()
        };
        planned
            .map(|planned| Product::Plan(Box::new(planned)))
            .map_err(|failure| failure.with_evidence(evidence()))
    }
}

impl Planner {
    /// Looks into the source through the loopback server, pinned to the version that was found.
    async fn probe(&self, assignment: &Assignment, found: &Found) -> Result<Probe, Failure> {
        let bucket = self.storage.bucket(&found.location.bucket);
        let etag = found.meta.etag.clone().unwrap_or_default();
        let head = match bucket
            .get_range(
                &found.location.key,
                &etag,
                0..(sniff::HEAD_BYTES as u64).min(found.meta.size),
            )
            .await
        {
            Ok(head) => head,
            Err(error) => return Err(self.jobs.blame_source(&error).await),
        };
        assignment.pulse.add(head.len() as u64);
        if let Some(code) = sniff::sniff(&head, found.meta.size).code() {
            return Err(Failure::plain(code));
        }
        let source = Source {
            bucket,
            key: found.location.key.clone(),
            etag,
            size: found.meta.size,
        };
        let server = SourceServer::open(source, self.cache.clone()).await;
        let server = server
            .map_err(|error| Failure::new(Code::FfmpegCrashed, format!("No loopback port can be opened: {error}.")))?;
        let input = Input::http(server.url());
        let limits = ProbeLimits::default();
        let probed = tokio::select! {
            probed = ffmpeg::probe(&self.tool, &input, &limits) => probed,
            never = assignment.pulse.follow(|| server.bytes_read() + server.bytes_served()) => match never {},
        };
        counter!("fluxhls_source_bytes_total").increment(server.bytes_read());
        // A read that failed on the way looks like a short source to ffprobe.
        if let Some(fault) = server.fault() {
            return Err(self.jobs.blame_source(&fault.error).await);
        }
        probed.map_err(|error| Failure::told_by(error.code(), &error))
    }

    fn decide(&self, state: &JobState, found: &Found, probe: &Probe) -> Result<Planned, Failure> {
        let asked = &state.accepted.fact.upload.settings;
        let profile = self.profiles.get(&asked.profile).map_err(|unknown| {
            let text = format!("The event asks for a profile that is not there: {unknown}.");
            Failure::new(Code::InvalidEvent, text)
        })?;
        let pin = Pin {
            bucket: found.location.bucket.clone(),
            key: found.location.key.clone(),
            etag: found.meta.etag.clone().unwrap_or_default(),
            size: found.meta.size,
        };
        let settings = ladder::Settings {
            profile: profile.clone(),
            priority: asked.priority,
        };
        let draft = ladder::plan(probe, pin, &settings, &self.ffmpeg)
            .map_err(|refusal| Failure::new(refusal.code, refusal.message))?;
        let planned = draft.into_planned(Head::new(state.job_id.clone(), state.file_id().clone()));
        let size = serde_json::to_vec(&planned).map_or(usize::MAX, |bytes| bytes.len());
        if size > MAX_FACT {
            let text = format!("The plan of this file has {size} bytes; at most {MAX_FACT} are possible.");
            return Err(Failure::new(Code::ExceedsPolicy, text));
        }
        Ok(planned)
    }
}
