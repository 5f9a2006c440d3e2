//! Whether this build, on this machine, can really encode what the profiles need. A build lists
//! encoders whose device is missing: only a test encode shows that.

use std::time::Duration;

use media::ladder::Profiles;
use streams::plan::VideoRendition;
use streams::{Rational, RenditionName};

use super::argv;
use super::child::{self, Spawn};
use super::sandbox::{ResourceLimits, SandboxPolicy};
use super::tool::Tool;

/// No device takes longer to encode a few small pictures.
const CHECK_TIMEOUT: Duration = Duration::from_secs(60);

/// A profile this machine cannot encode for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the profile {profile:?} needs the encoder {encoder}, which does not work here: {reason}; install a build of ffmpeg (and a device) that \
     has it, or remove the profile from LADDER_FILE"
)]
pub struct CannotEncode {
    /// The profile.
    pub profile: String,
    /// Its encoder.
    pub encoder: String,
    /// The last line of ffmpeg's log.
    pub reason: String,
}

/// Encodes a few pictures with every encoder of the profiles, once each.
///
/// # Errors
/// [`CannotEncode`] for the first one that does not work.
pub async fn profiles(tool: &Tool, profiles: &Profiles) -> Result<(), CannotEncode> {
    let mut tried: Vec<VideoRendition> = Vec::new();
    for profile in profiles.iter() {
        for rung in &profile.rungs {
            let preset = rung.preset.as_ref().unwrap_or(&profile.preset).clone();
            let Some(mut rendition) = sample(&profile.encoder, &preset, &profile.codec_profile)
            else {
                continue;
            };
            rendition.pixel_format.clone_from(&profile.pixel_format);

            // Speed does not decide whether it works.
            let known = |other: &VideoRendition| {
                (&other.encoder, &other.profile, &other.pixel_format)
                    == (
                        &rendition.encoder,
                        &rendition.profile,
                        &rendition.pixel_format,
                    )
            };
            if tried.iter().any(known) {
                continue;
            }

            encode(tool, &rendition)
                .await
                .map_err(|reason| CannotEncode {
                    profile: profile.name.clone(),
                    encoder: profile.encoder.clone(),
                    reason,
                })?;
            tried.push(rendition);
        }
    }
    Ok(())
}

/// Large enough for the smallest picture any device takes.
fn sample(encoder: &str, preset: &str, profile: &str) -> Option<VideoRendition> {
    Some(VideoRendition {
        name: "trial".parse::<RenditionName>().ok()?,
        width: 320,
        height: 192,
        frame_rate: Rational::whole(25),
        segment_frames: 4,
        gop_frames: 4,
        encoder: encoder.to_owned(),
        preset: preset.to_owned(),
        subme: None,
        profile: profile.to_owned(),
        pixel_format: String::new(),
        crf: 25.0,
        maxrate: 1_000_000,
        bufsize: 1_000_000,
        reason: String::new(),
    })
}

async fn encode(tool: &Tool, rendition: &VideoRendition) -> Result<(), String> {
    let policy =
        SandboxPolicy::new(ResourceLimits::answer()).with_devices(argv::needs_device(rendition));
    let spawn = Spawn::new(&tool.ffmpeg, argv::encoder_check(rendition), policy);
    let output = tokio::time::timeout(CHECK_TIMEOUT, child::output(spawn, 1024))
        .await
        .map_err(|_| format!("it did not end within {} s", CHECK_TIMEOUT.as_secs()))?
        .map_err(|error| error.to_string())?;

    if output.ending.success() {
        return Ok(());
    }
    let last = output
        .stderr_tail
        .lines()
        .rfind(|line| !line.trim().is_empty());
    Err(last.unwrap_or("it gives no reason").trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tool;

    #[tokio::test]
    async fn the_installed_build_can_encode_every_shipped_profile() {
        assert_eq!(profiles(&tool(), Profiles::shipped()).await, Ok(()));
    }

    #[tokio::test]
    async fn an_encoder_without_its_device_is_one_clear_error() {
        let gpu = "[profiles.gpu]\nabout = \"x\"\nsegment = 4\nencoder = \"h264_vaapi\"\nrungs = [{ short_side = 360, crf = 24, maxrate = 900_000 }]\n";
        let all = Profiles::shipped().with_file("gpu.toml", gpu).unwrap();

        let mut bare = tool();
        // Even where there is such a device, this one has none.
        bare.ffmpeg = "/bin/false".into();
        let message = profiles(&bare, &all).await.unwrap_err().to_string();
        assert!(
            message.contains("needs the encoder libx264") && message.contains("LADDER_FILE"),
            "{message}"
        );

        if !std::path::Path::new("/dev/dri/renderD128").exists() {
            let message = profiles(&tool(), &all).await.unwrap_err().to_string();
            assert!(
                message.starts_with("the profile \"gpu\" needs the encoder h264_vaapi"),
                "{message}"
            );
        }
    }
}
