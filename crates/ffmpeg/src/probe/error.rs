//! Why a source cannot be planned, as far as probing shows.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use media::ladder::Refusal;
use streams::Code;

/// Why a source cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// ffprobe could not be started, or its output could not be read.
    #[error("ffprobe could not be run: {0}; check the ffprobe installation")]
    NotRun(#[from] io::Error),
    /// ffprobe broke; this is how it ended.
    #[error("ffprobe crashed on the source: {0}")]
    Broken(ExitStatus),
    /// It took longer than this limit.
    #[error("ffprobe did not finish reading the source within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// ISO media without its index.
    #[error("the source has no index (moov): the upload stopped before its end")]
    NoMoov,
    /// A container that is not on the allow-list.
    #[error("the container of the source is not accepted")]
    Forbidden,
    /// Nothing ffprobe can read.
    #[error("ffprobe cannot read the source: {0}")]
    NotMedia(String),
    /// It is over a limit of this installation.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// More work than any source needs.
    #[error("reading the source takes more processor time than the limit allows")]
    Exceeded,
    /// Nothing to encode.
    #[error("the source has neither video nor audio that can be decoded")]
    NoTracks,
}

impl ProbeError {
    /// The failure code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::NotRun(_) => Code::WorkerFault,
            Self::Broken(_) => Code::FfmpegCrashed,
            Self::TimedOut(_) => Code::FfmpegStalled,
            Self::NoMoov => Code::TruncatedUpload,
            Self::Forbidden => Code::ForbiddenContainer,
            Self::NotMedia(_) => Code::NotMedia,
            Self::Refused(refusal) => refusal.code,
            Self::Exceeded => Code::ExceedsPolicy,
            Self::NoTracks => Code::NoTracks,
        }
    }
}
