//! Which sources are accepted, and the profiles for them.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use media::ladder::{Limits, Profiles};

/// Which sources are accepted.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Bytes of the largest source that is accepted.
    #[arg(long, env = "MAX_SOURCE_BYTES", default_value_t = Limits::default().bytes)]
    pub max_source_bytes: u64,
    /// Seconds of the longest source that is accepted.
    #[arg(long, env = "MAX_DURATION", default_value_t = 172_800, value_parser = clap::value_parser!(u32).range(1..=604_800))]
    pub max_duration: u32,
    /// Pixels of the largest picture that is accepted (8192x4320 by default). Memory grows with it.
    #[arg(long, env = "MAX_PIXELS", default_value_t = Limits::default().pixels, value_parser = clap::value_parser!(u64).range(256..=268_435_456))]
    pub max_pixels: u64,
    /// Tracks of any kind that one source may have.
    #[arg(long, env = "MAX_TRACKS", default_value_t = 32, value_parser = clap::value_parser!(u8).range(1..=200))]
    pub max_tracks: u8,
}

impl LimitArgs {
    /// The limits.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            bytes: self.max_source_bytes,
            duration: self.max_duration.into(),
            pixels: self.max_pixels,
            tracks: self.max_tracks.into(),
        }
    }
}

/// The profiles.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Ladder")]
pub struct LadderArgs {
    /// A TOML file that adds profiles to the shipped ones, or replaces them by name.
    #[arg(long, env = "LADDER_FILE", value_name = "FILE")]
    pub ladder_file: Option<PathBuf>,
}

impl LadderArgs {
    /// Every profile that events may name.
    ///
    /// # Errors
    /// When the file cannot be read or is not valid; the error names the profile, the field and the
    /// allowed values.
    pub fn profiles(&self) -> anyhow::Result<Profiles> {
        let Some(path) = &self.ladder_file else {
            return Ok(Profiles::shipped().clone());
        };
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("cannot read the ladder file {file}; set LADDER_FILE to one this user can read, or unset it")
        })?;
        Ok(Profiles::shipped().with_file(&file, &text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Accepted {
        #[command(flatten)]
        limits: LimitArgs,
    }

    #[test]
    fn without_settings_the_limits_are_the_default_ones() {
        assert_eq!(
            Accepted::parse_from(["x"]).limits.limits(),
            Limits::default()
        );
        for absurd in ["--max-duration=0", "--max-pixels=1", "--max-tracks=201"] {
            assert!(Accepted::try_parse_from(["x", absurd]).is_err(), "{absurd}");
        }
    }
}
