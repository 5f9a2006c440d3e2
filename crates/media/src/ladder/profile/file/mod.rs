//! Profiles as TOML: strict, so that a misspelt key is an error that says where it is and what to
//! write instead.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::Deserialize;
use toml::{Table, Value};

use super::encoder::{ENCODERS, Encoder};
use super::policy::{Profile, Rung};

/// Largest number of rungs of a ladder: every one needs its own encoder in every chunk.
const MAX_RUNGS: usize = 10;

/// The usual output: what every player has.
const EIGHT_BIT_FORMAT: &str = "yuv420p";

/// For profiles that ask for it.
const TEN_BIT_FORMAT: &str = "yuv420p10le";

/// What is wrong with a file of profiles.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// It is no TOML, or not the table of profiles it must be.
    #[error("{file}: {problem}")]
    File {
        /// The file.
        file: String,
        /// What is wrong, with the line where TOML itself is broken.
        problem: String,
    },
    /// A profile is not what it must be.
    #[error("{file}: profile {profile:?}: {problem}")]
    Profile {
        /// The file.
        file: String,
        /// The profile.
        profile: String,
        /// The field, what is wrong with it, and what it must be.
        problem: String,
    },
}

/// A profile as it is written in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileEntry {
    about: String,
    segment: u32,
    gop: Option<u32>,
    encoder: String,
    preset: Option<String>,
    subme: Option<u8>,
    codec_profile: Option<String>,
    pixel_format: Option<String>,
    rungs: Vec<RungEntry>,
    #[serde(default = "stereo")]
    audio_bitrate: u64,
    surround_bitrate: Option<u64>,
    loudness: Option<f64>,
    #[serde(default = "default_true")]
    per_title: bool,
    #[serde(default = "default_true")]
    storyboard: bool,
    #[serde(default)]
    field_rate: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RungEntry {
    short_side: u32,
    crf: f64,
    maxrate: u64,
    preset: Option<String>,
}

const fn default_true() -> bool {
    true
}

const fn stereo() -> u64 {
    128_000
}

/// The profiles of a text, by name.
pub(super) fn parse(file: &str, text: &str) -> Result<BTreeMap<String, Profile>, ProfileError> {
    let broken = |problem: String| ProfileError::File {
        file: file.to_owned(),
        problem,
    };

    let mut table: Table = text
        .parse()
        .map_err(|error: toml::de::Error| broken(one_line(&error)))?;

    let profiles = table.remove("profiles");
    // Anything else is a mistake that would be ignored in silence.
    if let Some(key) = table.keys().next() {
        return Err(broken(format!(
            "{key:?} is unknown; everything belongs in tables [profiles.NAME]"
        )));
    }

    let Some(Value::Table(profiles)) = profiles else {
        return Err(broken("it has no table [profiles.NAME]".to_owned()));
    };

    profiles
        .into_iter()
        .map(|(name, value)| {
            let profile = read(&name, value).map_err(|problem| ProfileError::Profile {
                file: file.to_owned(),
                profile: name.clone(),
                problem,
            })?;
            Ok((name, profile))
        })
        .collect()
}

/// TOML's own errors draw the place over several lines; a log line has one.
fn one_line(error: &toml::de::Error) -> String {
    error
        .to_string()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

fn read(name: &str, value: Value) -> Result<Profile, String> {
    name_is_plain(name)?;
    let written: ProfileEntry = value.try_into().map_err(|error| one_line(&error))?;
    let encoder = encoder(&written.encoder)?;

    check_range("segment", written.segment, 1, 10)?;
    let gop = written.gop.unwrap_or(written.segment);
    check_range("gop", gop, 1, written.segment)?;
    // Every segment begins with a key frame, so it holds whole groups of pictures.
    if !written.segment.is_multiple_of(gop) {
        return Err(format!(
            "gop is {gop}; it must divide segment, {}",
            written.segment
        ));
    }

    let pixel_format = pixel_format(encoder, written.pixel_format)?;
    let usual = usual_profile(encoder, &pixel_format);
    let codec_profile = written.codec_profile.unwrap_or_else(|| usual.to_owned());
    one_of("codec_profile", &codec_profile, encoder.codec.profiles())?;
    if pixel_format != EIGHT_BIT_FORMAT && codec_profile != usual {
        return Err(format!(
            "codec_profile is {codec_profile:?}; {pixel_format} needs {usual:?}"
        ));
    }

    let preset = preset("preset", encoder, written.preset)?;
    let subme = subme(encoder, written.subme)?;

    check_range("audio_bitrate", written.audio_bitrate, 32_000, 512_000)?;
    if let Some(bitrate) = written.surround_bitrate {
        check_range("surround_bitrate", bitrate, 64_000, 1_536_000)?;
    }
    if let Some(loudness) = written.loudness {
        check_range("loudness", loudness, -40.0, -5.0)?;
    }

    Ok(Profile {
        name: name.to_owned(),
        about: written.about,
        segment: written.segment,
        gop,
        encoder: written.encoder,
        preset,
        subme,
        codec_profile,
        rungs: rungs(encoder, written.rungs)?,
        pixel_format,
        audio_bitrate: written.audio_bitrate,
        surround_bitrate: written.surround_bitrate,
        loudness: written.loudness,
        per_title: written.per_title,
        storyboard: written.storyboard,
        field_rate: written.field_rate,
    })
}

/// Names go into URLs, logs and labels.
fn name_is_plain(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if (1..=32).contains(&name.len()) && name.chars().all(plain) {
        return Ok(());
    }
    Err("its name must be 1 to 32 lower-case letters, digits, `-` and `_`".to_owned())
}

fn encoder(name: &str) -> Result<&'static Encoder, String> {
    if name.contains("av1") {
        return Err(format!(
            "encoder is {name:?}; AV1 is not supported until ffmpeg writes a correct edit list for it: the current one hides the first pictures of a file"
        ));
    }
    let names: Vec<&str> = ENCODERS.iter().map(|encoder| encoder.name).collect();
    one_of("encoder", name, &names)?;
    Encoder::named(name).ok_or_else(|| format!("encoder is {name:?}"))
}

fn pixel_format(encoder: &Encoder, written: Option<String>) -> Result<String, String> {
    let format = written.unwrap_or_else(|| EIGHT_BIT_FORMAT.to_owned());
    let known: &[&str] = if encoder.ten_bit {
        &[EIGHT_BIT_FORMAT, TEN_BIT_FORMAT]
    } else {
        &[EIGHT_BIT_FORMAT]
    };
    one_of("pixel_format", &format, known)?;
    Ok(format)
}

fn usual_profile(encoder: &Encoder, pixel_format: &str) -> &'static str {
    if pixel_format == TEN_BIT_FORMAT {
        "main10"
    } else {
        encoder.codec.profiles()[0]
    }
}

fn preset(field: &str, encoder: &Encoder, written: Option<String>) -> Result<String, String> {
    match written {
        None if encoder.presets.is_empty() => Ok(String::new()),
        None => Err(format!(
            "{field} is missing; it must be one of {}",
            encoder.presets.join(", ")
        )),
        Some(preset) if encoder.presets.is_empty() => Err(format!(
            "{field} is {preset:?}; {} has no presets, remove it",
            encoder.name
        )),
        Some(preset) => one_of(field, &preset, encoder.presets).map(|()| preset),
    }
}

fn subme(encoder: &Encoder, written: Option<u8>) -> Result<Option<u8>, String> {
    if let Some(subme) = written {
        if encoder.name != "libx264" {
            return Err(format!(
                "subme is {subme}; {} has no such option, remove it",
                encoder.name
            ));
        }
        check_range("subme", subme, 1, 11)?;
    }
    Ok(written)
}

fn rungs(encoder: &Encoder, written: Vec<RungEntry>) -> Result<Vec<Rung>, String> {
    check_range("the number of rungs", written.len(), 1, MAX_RUNGS)?;
    let mut rungs: Vec<Rung> = Vec::new();
    for (k, rung) in written.into_iter().enumerate() {
        let field = |name: &str| format!("rungs[{k}].{name}");
        check_range(&field("short_side"), rung.short_side, 16, 4320)?;
        if !rung.short_side.is_multiple_of(2) {
            return Err(format!(
                "{} is {}; it must be even",
                field("short_side"),
                rung.short_side
            ));
        }

        check_range(&field("crf"), rung.crf, 0.0, 51.0)?;
        check_range(&field("maxrate"), rung.maxrate, 32_000, 400_000_000)?;
        if let Some(above) = rungs.last() {
            check_descending(&field("short_side"), rung.short_side, above.short_side)?;
            check_descending(&field("maxrate"), rung.maxrate, above.maxrate)?;
        }

        let preset = match rung.preset {
            None => None,
            own => Some(preset(&field("preset"), encoder, own)?),
        };
        rungs.push(Rung {
            short_side: rung.short_side,
            crf: rung.crf,
            maxrate: rung.maxrate,
            preset,
        });
    }

    Ok(rungs)
}

fn check_range<T: PartialOrd + Display>(
    field: &str,
    value: T,
    least: T,
    most: T,
) -> Result<(), String> {
    if value >= least && value <= most {
        return Ok(());
    }
    Err(format!(
        "{field} is {value}; it must be from {least} to {most}"
    ))
}

fn check_descending<T: PartialOrd + Display>(
    field: &str,
    value: T,
    above: T,
) -> Result<(), String> {
    if value < above {
        return Ok(());
    }
    Err(format!(
        "{field} is {value}; it must be less than that of the rung above, {above}"
    ))
}

fn one_of(field: &str, value: &str, known: &[&str]) -> Result<(), String> {
    if known.contains(&value) {
        return Ok(());
    }
    Err(format!(
        "{field} is {value:?}; it must be one of {}",
        known.join(", ")
    ))
}

#[cfg(test)]
mod tests;
