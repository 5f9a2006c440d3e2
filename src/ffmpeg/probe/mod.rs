//! Probing a source: what ffprobe says of it, then when its streams really begin and end, then whether it can be entered at a time.

mod description;
mod error;
mod fields;
mod limits;
mod sound;
mod times;

use std::io;
use std::time::Duration;

pub use error::ProbeError;
pub use limits::ProbeLimits;

use super::child::{Ending, Spawn};
use super::input::Input;
use super::sandbox::{Allowance, Confinement};
use super::tool::Tool;
use crate::ladder::probe::{Content, Probe};
use times::{BEGINNING, declared_end, settle};

/// Probes `input`. A read that failed on the way looks like a short source here: the caller must ask its source server for faults.
///
/// # Errors
/// [`ProbeError`] when there is nothing that can be planned.
pub async fn probe(tool: &Tool, input: &Input, limits: &ProbeLimits) -> Result<Probe, ProbeError> {
    let prober = Prober { tool, input, limits };
    let document = prober.describe().await?;
    let mut probe = prober.read(&document)?;
    let indexed = has_index(&probe.container) && document.format.duration().is_some();
    let first = format!("%+{BEGINNING}");
    let last = async {
        match document.format.duration().filter(|_| indexed) {
            Some(duration) => prober.ending(&probe, duration).await,
            None => prober.scan().await,
        }
    };
    // Everybody waits for the plan, so what does not need the other goes beside it.
    let (beginning, ending) = futures::try_join!(prober.spans(&first), last)?;
    if indexed {
        probe.declared_end = declared_end(&probe, &document);
    }
    settle(&mut probe, &document, &beginning, &ending);
    let seek = async { if indexed { prober.seek(&probe).await } else { Ok(None) } };
    let (leads, fields, frames) = futures::join!(seek, prober.fields(&probe), prober.sound_frames(&probe));
    sound::settle(&mut probe, &frames);
    if let Some(leads) = leads? {
        (probe.seekable, probe.leads) = (true, leads);
    }
    let shown = probe.main_video().map(|(stream, _)| stream.index);
    for stream in &mut probe.streams {
        if let Content::Video(video) = &mut stream.content
            && Some(stream.index) == shown
        {
            video.fields = fields;
        }
    }
    Ok(probe)
}

/// Containers whose index leads to key frames. AVI has one too, but no presentation times; in the others a seek guesses.
fn has_index(container: &str) -> bool {
    container.split(',').any(|name| matches!(name, "mov" | "matroska"))
}

/// Tells an end by its own will, for better or worse, from one that says nothing of the source.
fn judge(ending: Ending) -> Result<(), ProbeError> {
    if ending.exceeded {
        return Err(ProbeError::Exceeded);
    }
    if ending.crashed() {
        return Err(ProbeError::Broken(io::Error::other(ending.status.to_string())));
    }
    Ok(())
}

struct Prober<'a> {
    tool: &'a Tool,
    input: &'a Input,
    limits: &'a ProbeLimits,
}

impl Prober<'_> {
    fn spawn(&self, args: &[&str], allowance: Allowance) -> Spawn {
        let quiet = ["-hide_banner", "-v", "error"].map(str::to_owned);
        let args = args.iter().map(|arg| (*arg).to_owned());
        Spawn::new(
            &self.tool.ffprobe,
            quiet.into_iter().chain(args).chain(self.input.args()),
            Confinement::new(allowance).reading(self.input),
        )
    }

    async fn within<T>(&self, limit: Duration, work: impl Future<Output = io::Result<T>>) -> Result<T, ProbeError> {
        Ok(tokio::time::timeout(limit, work)
            .await
            .map_err(|_| ProbeError::TimedOut(limit))??)
    }
}

#[cfg(test)]
mod tests;
