//! Where ffmpeg and ffprobe are, which build they are, and whether that build has everything that
//! is needed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ffmpeg_sidecar::log_parser::try_parse_version;

use super::child::{self, Spawn};
use super::sandbox::{ResourceLimits, SandboxPolicy};

/// Encoders a build must have.
pub const REQUIRED_ENCODERS: &[&str] = &["aac", "libx264", "rawvideo"];

/// Decoders that a build must have in addition to those of ffmpeg: only these decode transparency
/// in VP8 and VP9.
pub const REQUIRED_DECODERS: &[&str] = &["libvpx", "libvpx-vp9"];

/// Filters a build must have.
pub const REQUIRED_FILTERS: &[&str] = &[
    "aformat",
    "aresample",
    "asetpts",
    "atrim",
    "bwdif",
    "format",
    "fps",
    "framestep",
    "hflip",
    "idet",
    "metadata",
    "premultiply",
    "scale",
    "select",
    "setparams",
    "setpts",
    "setsar",
    "sidedata",
    "split",
    "tonemap",
    "transpose",
    "trim",
    "vflip",
    "zscale",
];

/// Asking a build about itself takes no longer than this.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// The lists of encoders and filters of a full build are far below this many bytes.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// An ffmpeg and the ffprobe that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// The encoder program.
    pub ffmpeg: PathBuf,
    /// The probing program.
    pub ffprobe: PathBuf,
}

/// Why a tool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The program is in no folder of the search path.
    #[error("{program} was not found: install it (Debian: apt install ffmpeg) or give its path")]
    NotFound {
        /// `ffmpeg` or `ffprobe`.
        program: &'static str,
    },
    /// The program did not start or did not answer.
    #[error("{} did not answer: {source}; check that the file is a working ffmpeg build", program.display())]
    NoAnswer {
        /// The program's file.
        program: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The program answered something else than ffmpeg would.
    #[error("{} does not say which version it is; check that the file is a working ffmpeg build", program.display())]
    NotFfmpeg {
        /// The program's file.
        program: PathBuf,
    },
}

impl Tool {
    /// The tool at the given files, each searched for in `path` (the value of `PATH`) where no file
    /// is given.
    ///
    /// # Errors
    /// [`ToolError::NotFound`] when a program is in no folder of `path`.
    pub fn locate(
        ffmpeg: Option<&Path>,
        ffprobe: Option<&Path>,
        path: &OsStr,
    ) -> Result<Self, ToolError> {
        let find = |given: Option<&Path>, program: &'static str| {
            given
                .map(Path::to_path_buf)
                .or_else(|| {
                    std::env::split_paths(path)
                        .map(|folder| folder.join(program))
                        .find(|file| file.is_file())
                })
                .ok_or(ToolError::NotFound { program })
        };

        Ok(Self {
            ffmpeg: find(ffmpeg, "ffmpeg")?,
            ffprobe: find(ffprobe, "ffprobe")?,
        })
    }

    /// ffmpeg's own version text, e.g. `5.1.9-0+deb12u1`.
    ///
    /// # Errors
    /// [`ToolError`] when the program does not start, does not answer, or is no ffmpeg.
    pub async fn version(&self) -> Result<String, ToolError> {
        let answer = self.ask("-version").await?;
        answer
            .lines()
            .find_map(try_parse_version)
            .ok_or_else(|| ToolError::NotFfmpeg {
                program: self.ffmpeg.clone(),
            })
    }

    /// The required encoders, decoders and filters this build lacks, as `encoder libx264` or
    /// `filter zscale`; empty for a usable build.
    ///
    /// # Errors
    /// [`ToolError`] when the program does not start or does not answer.
    pub async fn missing(&self) -> Result<Vec<String>, ToolError> {
        let (encoders, decoders) = (self.ask("-encoders").await?, self.ask("-decoders").await?);
        let filters = self.ask("-filters").await?;

        let lack = |kind: &str, required: &[&str], answer: &str| -> Vec<String> {
            required
                .iter()
                .filter(|name| !second_words(answer).any(|word| word == **name))
                .map(|name| format!("{kind} {name}"))
                .collect()
        };

        let mut missing = lack("encoder", REQUIRED_ENCODERS, &encoders);
        missing.extend(lack("decoder", REQUIRED_DECODERS, &decoders));
        missing.extend(lack("filter", REQUIRED_FILTERS, &filters));
        Ok(missing)
    }

    /// The codecs this build decodes, by ffmpeg's names.
    ///
    /// # Errors
    /// [`ToolError`] when the program does not start or does not answer.
    pub async fn decoded_codecs(&self) -> Result<BTreeSet<String>, ToolError> {
        let answer = self.ask("-codecs").await?;
        // A line is a column of flags, the first of which is D where there is a decoder, then the
        // name.
        let words = answer
            .lines()
            .filter_map(|line| line.trim_start().split_once(' '));
        let decoded = words.filter(|(flags, _)| flags.len() == 6 && flags.starts_with('D'));
        Ok(decoded
            .filter_map(|(_, rest)| rest.split_whitespace().next())
            .map(str::to_owned)
            .collect())
    }

    async fn ask(&self, question: &str) -> Result<String, ToolError> {
        let spawn = Spawn::new(
            &self.ffmpeg,
            [question],
            SandboxPolicy::new(ResourceLimits::answer()),
        );
        let no_answer = |source| ToolError::NoAnswer {
            program: self.ffmpeg.clone(),
            source,
        };

        let answer = tokio::time::timeout(ANSWER_TIMEOUT, child::output(spawn, MAX_ANSWER_BYTES))
            .await
            .map_err(|_| no_answer(io::ErrorKind::TimedOut.into()))?
            .map_err(no_answer)?;
        Ok(String::from_utf8_lossy(&answer.stdout).into_owned())
    }
}

/// In ffmpeg's lists each line is a column of flags, then the name.
fn second_words(list: &str) -> impl Iterator<Item = &str> {
    list.lines()
        .filter_map(|line| line.split_whitespace().nth(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tool;

    #[tokio::test]
    async fn the_installed_build_says_its_version_and_lacks_nothing() {
        let tool = tool();
        let version = tool.version().await.unwrap();
        assert!(
            version
                .chars()
                .next()
                .is_some_and(|c| c.is_ascii_alphanumeric()),
            "{version}"
        );
        assert_eq!(tool.missing().await.unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_program_that_is_nowhere_is_an_error_that_names_the_fix() {
        let error = Tool::locate(None, None, OsStr::new("/nonexistent")).unwrap_err();
        assert!(error.to_string().contains("apt install ffmpeg"), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_is_no_ffmpeg_is_refused() {
        let echo = Tool::locate(
            Some(Path::new("/bin/echo")),
            Some(Path::new("/bin/echo")),
            OsStr::new(""),
        )
        .unwrap();
        assert!(matches!(
            echo.version().await,
            Err(ToolError::NotFfmpeg { .. })
        ));

        let nothing = Tool::locate(
            Some(Path::new("/nonexistent")),
            Some(Path::new("/nonexistent")),
            OsStr::new(""),
        )
        .unwrap();
        assert!(matches!(
            nothing.version().await,
            Err(ToolError::NoAnswer { .. })
        ));
    }
}
