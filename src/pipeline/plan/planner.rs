//! What plans jobs, and how it reads a source.

use ffmpeg::{Input, ProbeLimits};
use media::ladder::{Probe, Profiles};
use metrics::counter;
use storage::{Source, SourceServer};

use super::share::Shares;
use crate::job::classify::classify_source_error;
use crate::job::failure::Failure;
use crate::job::{TaskContext, WorkerContext};

/// Plans jobs.
#[derive(Debug, Clone)]
pub struct Planner {
    /// What it works with.
    pub context: WorkerContext,
    /// What events may ask for.
    pub profiles: Profiles,
    /// Bytes of the largest source that is copied.
    pub remux_max: u64,
    /// Who has which share of the queue.
    pub shares: Shares,
}

impl Planner {
    /// Opens one version of an object for ffmpeg.
    pub(super) async fn open_source(&self, source: Source) -> Result<SourceServer, Failure> {
        let server = SourceServer::open(source, self.context.cache.clone()).await;
        server.map_err(|error| Failure::of_host("No loopback port can be opened", &error))
    }

    /// Runs what reads from `server`. To the reader, a failed read looks like a short source.
    pub(super) async fn read_source<T>(
        &self,
        task_context: &TaskContext,
        server: &SourceServer,
        work: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        let before = server.bytes_read();
        let result = tokio::select! {
            result = work => result,
            never = task_context.work_counter.follow(|| server.bytes_read() + server.bytes_served()) => match never {},
        };

        counter!("fluxhls_source_bytes_total").increment(server.bytes_read() - before);

        // ffmpeg ends with exit code 0 on a source that stops in the middle, so the record of the
        // server decides.
        match server.fault() {
            Some(fault) => Err(classify_source_error(&self.context.jobs, &fault.error).await),
            None => Ok(result),
        }
    }

    /// What a server serves, as an input of ffmpeg; `deep` as in [`Input::looking`].
    pub(super) fn input(&self, server: &SourceServer, deep: bool) -> Input {
        Input::http(server.url())
            .decoding(self.context.limits.pixels)
            .looking(deep)
    }

    /// Looks into the source.
    pub(super) async fn probe(
        &self,
        task_context: &TaskContext,
        server: &SourceServer,
    ) -> Result<Probe, Failure> {
        let (input, limits) = (
            self.input(server, false),
            ProbeLimits::of(self.context.limits),
        );
        let probed = self.read_source(
            task_context,
            server,
            ffmpeg::probe(&self.context.tool, &input, &limits),
        );
        probed
            .await?
            .map_err(|error| Failure::from_error(error.code(), &error))
    }
}
