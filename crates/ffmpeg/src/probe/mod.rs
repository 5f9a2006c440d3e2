//! Probing a source: what ffprobe says of it, then when its streams really begin and end, then
//! whether it can be entered at a time.

mod audio_forms;
mod description;
mod error;
mod frame_shapes;
mod limits;
mod packet_times;
mod scan_type;

use std::io;
use std::time::Duration;

pub use error::ProbeError;
pub use limits::ProbeLimits;

use media::ladder::probe::{Content, Probe};
use packet_times::{
    START_WINDOW_SECONDS, apply_packet_times, clock_repair, declared_end, may_be_cut,
    settle_repaired,
};

use super::child::{ChildExit, Spawn};
use super::input::Input;
use super::probe_json::{Document, RawStream};
use super::sandbox::{ResourceLimits, SandboxPolicy};
use super::timing::{cadence, count_pictures};
use super::tool::Tool;

/// Probes `input`. A failed read looks like a short source here: the caller must check its source
/// server for faults.
///
/// # Errors
/// [`ProbeError`] when there is nothing that can be planned.
pub async fn probe(tool: &Tool, input: &Input, limits: &ProbeLimits) -> Result<Probe, ProbeError> {
    let document = Prober {
        tool,
        input,
        limits,
    }
    .describe()
    .await?;
    if !needs_depth(&document) {
        return Prober {
            tool,
            input,
            limits,
        }
        .measure(&document)
        .await;
    }

    // Some tracks begin late, or no header says how many there are.
    let input = &input.clone().looking(true);
    let prober = Prober {
        tool,
        input,
        limits,
    };
    let document = prober.describe().await?;
    prober.measure(&document).await
}

/// Whether tracks may be there that the first few seconds do not show, or do not show enough of.
fn needs_depth(document: &Document) -> bool {
    has_clock(document.format.name().unwrap_or_default())
        || document.streams.iter().any(RawStream::may_be_known_deeper)
}

/// Containers of streams, whose tracks may begin at any time, and whose clock may begin again.
fn has_clock(container: &str) -> bool {
    container
        .split(',')
        .any(|name| matches!(name, "mpegts" | "mpeg" | "flv"))
}

/// Containers whose index leads to key frames. AVI has one too, but no presentation times; in the
/// others a seek guesses.
fn has_index(container: &str) -> bool {
    container
        .split(',')
        .any(|name| matches!(name, "mov" | "matroska"))
}

/// Distinguishes an exit of the program, successful or not, from an end that says nothing about the
/// source.
fn check_exit(ending: ChildExit) -> Result<(), ProbeError> {
    if ending.exceeded {
        return Err(ProbeError::Exceeded);
    }
    if ending.crashed() {
        return Err(ProbeError::Broken(ending.status));
    }
    Ok(())
}

struct Prober<'a> {
    tool: &'a Tool,
    input: &'a Input,
    limits: &'a ProbeLimits,
}

impl Prober<'_> {
    /// When the streams of a described source begin and end, whether it can be entered at a time,
    /// and what its pictures are like.
    async fn measure(&self, document: &Document) -> Result<Probe, ProbeError> {
        let mut probe = self.read(document).await?;

        let indexed = has_index(&probe.container) && document.format.duration().is_some();
        let first = format!("%+{START_WINDOW_SECONDS}");
        let last = async {
            Ok::<_, ProbeError>(match document.format.duration().filter(|_| indexed) {
                Some(duration) => (self.ending(&probe, duration).await?, None),
                None if has_clock(&probe.container) => {
                    let (spans, clock) = self.scan_with_clock().await?;
                    (spans, Some(clock))
                }
                None => (self.scan().await?, None),
            })
        };

        // Everyone waits for the plan, so independent steps run concurrently.
        let (beginning, (mut ending, clock)) = futures::try_join!(self.spans(&first), last)?;
        probe.clock_repair = clock_repair(clock)?;
        probe.set_stills_aside(|index| count_pictures(index, &beginning, &ending));

        if indexed {
            probe.declared_end = declared_end(&probe, document);
        }
        apply_packet_times(&mut probe, document, &beginning, &ending);

        if may_be_cut(&probe) {
            self.measure_ends_apart(&probe, &mut ending).await?;
            apply_packet_times(&mut probe, document, &beginning, &ending);
        }

        // The ends that were measured are on the broken clock, and `settle` writes them, so this
        // comes last.
        settle_repaired(&mut probe);

        let (fields, between) = {
            // Looking around writes into a copy, since the others read the probe meanwhile.
            let mut looked = probe.clone();
            let between = async {
                match indexed {
                    true => self.pictures_between(&probe, &beginning, &ending).await,
                    false => Ok(Vec::new()),
                }
            };

            let around = self.scan_frame_shapes(&mut looked, indexed);
            let (around, fields, between, frames) = futures::join!(
                around,
                self.fields(&probe),
                between,
                self.sound_frames(&probe)
            );

            around?;
            probe = looked;
            if let Some(frames) = frames {
                audio_forms::apply_decoded_audio(&mut probe, &frames);
            }
            (fields, between?)
        };

        let shown = probe.main_video().map(|(stream, _)| stream.index);
        for stream in &mut probe.streams {
            if let Content::Video(video) = &mut stream.content
                && Some(stream.index) == shown
            {
                video.fields = fields;
                video.cadence =
                    cadence(stream.index, &beginning, &ending, &between).or(video.cadence.take());
            }
        }

        Ok(probe)
    }

    fn spawn(&self, args: &[&str], resource_limits: ResourceLimits) -> Spawn {
        let quiet = ["-hide_banner", "-v", "error"].map(str::to_owned);
        let args = args.iter().map(|arg| (*arg).to_owned());
        Spawn::new(
            &self.tool.ffprobe,
            quiet.into_iter().chain(args).chain(self.input.args()),
            SandboxPolicy::new(resource_limits).allow_input(self.input),
        )
    }

    async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = io::Result<T>>,
    ) -> Result<T, ProbeError> {
        Ok(tokio::time::timeout(limit, work)
            .await
            .map_err(|_| ProbeError::TimedOut(limit))??)
    }
}

#[cfg(test)]
mod tests;
