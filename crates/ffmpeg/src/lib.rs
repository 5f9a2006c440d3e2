//! The only access to ffmpeg and ffprobe: in production, only this crate starts processes.
//!
//! In reading order: [`tool`] (where the programs are and what they can do), [`input`] (what they
//! may open), [`sniff`] (what the first bytes show, before any process starts), [`mod@probe`] (the
//! content of a source and its times), [`argv`] (the command lines, as values), [`sandbox`] (the
//! confinement of every run), [`process`] (one supervised run), [`surplus_segments`] (the end of
//! what it wrote), [`loudness`] (what one of them measured), [`mod@sample`] (how hard a source is
//! to encode).

pub mod argv;
pub mod encoder_check;
pub mod input;
pub mod loudness;
pub mod probe;
pub mod process;
pub mod sample;
pub mod sandbox;
pub mod sniff;
pub mod surplus_segments;
pub mod tool;

mod child;
mod clock;
mod lines;
mod packet;
mod probe_json;
mod progress;
mod timing;
mod watchdog;

pub use input::Input;
pub use probe::{ProbeError, ProbeLimits, probe};
pub use process::{End, Exit, Limits, ProgressUpdate, Run, run};
pub use sample::{SampleError, sample};
pub use sandbox::{ResourceLimits, SandboxPolicy};
pub use tool::Tool;

#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod tests;

/// Processors this process may use.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}
