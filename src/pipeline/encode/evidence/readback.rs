//! Reading back what was sent: everything is hashed, and what holds samples is kept in the work folder to be looked into.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use ffmpeg::argv::reference::{self, Excerpt};
use ffmpeg::{End, Limits, ResourceLimits, Run, SandboxPolicy, Tick, Tool};
use futures::{FutureExt as _, StreamExt as _};
use storage::Digest;
use streams::{Code, RenditionName};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::job::failure::{Evidence as Ran, Failure};
use crate::job::{Jobs, Pulse};
use crate::pipeline::encode::shipping::disk;

/// Reads at a time.
const PARALLEL: usize = 4;

/// The largest segment that is looked into, in bytes.
const LARGEST: u64 = 256 << 20;

/// The longest a look may take.
const LONGEST: Duration = Duration::from_secs(900);

/// An object that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pipeline::encode) struct Sent {
    /// Its key.
    pub(in crate::pipeline::encode) key: String,
    /// Its size and hash when it was sent.
    pub(in crate::pipeline::encode) digest: Digest,
    /// The rendition whose sample it holds, and its number there; nothing for the init segment.
    pub(in crate::pipeline::encode) part: Option<(RenditionName, Option<u32>)>,
}

/// What reads back and looks into what it read.
pub(in crate::pipeline::encode) struct Readback<'a> {
    pub(in crate::pipeline::encode) jobs: &'a Jobs,
    pub(in crate::pipeline::encode) tool: &'a Tool,
    pub(in crate::pipeline::encode) folder: &'a Path,
    pub(in crate::pipeline::encode) pulse: &'a Pulse,
}

impl Readback<'_> {
    /// Reads every object back and compares it with what was sent: only bytes that were seen in the bucket are `done`. The parts
    /// that `wanted` names are kept.
    pub(in crate::pipeline::encode) async fn read(
        &self,
        objects: Vec<Sent>,
        wanted: &BTreeMap<RenditionName, Vec<u32>>,
    ) -> Result<(), Failure> {
        // Boxed and made one by one: a read takes kilobytes, and long sound has thousands of objects.
        let reads = futures::stream::iter(objects).map(|object| self.one(object, wanted).boxed());
        let mut reads = reads.buffer_unordered(PARALLEL);
        while let Some(read) = reads.next().await {
            read?;
        }
        Ok(())
    }

    async fn one(&self, sent: Sent, wanted: &BTreeMap<RenditionName, Vec<u32>>) -> Result<(), Failure> {
        let keep = sent.part.as_ref().and_then(|(name, n)| {
            let numbers = wanted.get(name)?;
            let kept = n.is_none_or(|n| numbers.contains(&n)) && sent.digest.size <= LARGEST;
            kept.then(|| kept_file(name, *n))
        });
        let found = match &keep {
            None => self.jobs.output.digest(&sent.key).await,
            Some(file) => match self.jobs.output.get(&sent.key, LARGEST).await {
                Ok(None) => Ok(None),
                Ok(Some(bytes)) => Ok(Some(self.keep(file, &bytes).await?)),
                Err(error) => Err(error),
            },
        };
        match found {
            Ok(Some(found)) if found == sent.digest => {
                self.pulse.add(found.size);
                Ok(())
            }
            Ok(found) => {
                let what = found.map_or("missing".to_owned(), |found| {
                    format!("{} bytes of another content", found.size)
                });
                Err(Failure::new(
                    Code::StorageUnavailable,
                    format!("{} was written but is {what}.", sent.key),
                ))
            }
            Err(error) => Err(self.jobs.blame_output(&error).await),
        }
    }

    async fn keep(&self, file: &str, bytes: &Bytes) -> Result<Digest, Failure> {
        let path = self.folder.join(file);
        tokio::fs::write(&path, bytes)
            .await
            .map_err(|error| disk(&path, &error))?;
        Ok(Digest::of(bytes))
    }

    /// Joins the init segment and some segments of a rendition, as they were read back, into one file; returns its name. The segments are
    /// there no longer.
    pub(super) async fn join(&self, name: &RenditionName, segments: &[u32]) -> Result<String, Failure> {
        let first = segments.first().copied().unwrap_or_default();
        let joined = format!("{name}/read-{first}.mp4");
        let path = self.folder.join(&joined);
        let failed = |error| disk(&path, &error);
        let mut file = tokio::fs::File::create(&path).await.map_err(failed)?;
        // One after the other: together they may be large.
        for part in std::iter::once(None).chain(segments.iter().copied().map(Some)) {
            let bytes = self.file(&kept_file(name, part)).await?;
            file.write_all(&bytes).await.map_err(failed)?;
            if part.is_some() {
                self.remove(&kept_file(name, part)).await?;
            }
        }
        file.flush().await.map_err(failed)?;
        Ok(joined)
    }

    /// Removes a file of the work folder, for what is done with need not wait for the end of the task.
    pub(super) async fn remove(&self, name: &str) -> Result<(), Failure> {
        let path = self.folder.join(name);
        tokio::fs::remove_file(&path).await.map_err(|error| disk(&path, &error))
    }

    /// A file of the work folder.
    pub(super) async fn file(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let path = self.folder.join(name);
        tokio::fs::read(&path).await.map_err(|error| disk(&path, &error))
    }

    /// Decodes excerpts as far as it takes to see what is looked for.
    pub(super) async fn look(&self, excerpts: &[Excerpt]) -> Result<(), Failure> {
        if excerpts.is_empty() {
            return Ok(());
        }
        let (args, ticks) = (reference::look(excerpts), watch::Sender::new(Tick::default()));
        let seen = ticks.subscribe();
        let work = move || seen.borrow().frames + seen.borrow().out_time.as_micros() as u64;
        let stop = CancellationToken::new();
        let run = ffmpeg::run(Run {
            tool: self.tool,
            args: &args,
            policy: SandboxPolicy::new(ResourceLimits::readback()).workdir(self.folder),
            limits: Limits::new(LONGEST),
            stop: &stop,
            external_work: &|| 0,
            ticks: &ticks,
        });
        let exit = tokio::select! {
            exit = run => exit,
            never = self.pulse.follow(work) => match never {},
        };
        let exit =
            exit.map_err(|error| Failure::new(Code::FfmpegCrashed, format!("ffmpeg could not be run: {error}.")))?;
        if exit.end == End::Finished {
            return Ok(());
        }
        if exit.code() == Some(Code::DiskFull) {
            return Err(Failure::plain(Code::DiskFull));
        }
        let text = "What was written does not decode when it is read back.";
        Err(Failure::new(Code::VerificationFailed, text).with_evidence(Ran {
            argv: args,
            stderr: exit.stderr_tail,
            probe: None,
        }))
    }
}

fn kept_file(name: &RenditionName, part: Option<u32>) -> String {
    match part {
        None => format!("{name}/read-init"),
        Some(n) => format!("{name}/read-{n}"),
    }
}
