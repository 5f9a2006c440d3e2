//! Profiles: the policy a plan follows. A source never gets more than it has.

/// A named policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The name events ask for.
    pub name: String,
    /// Length of a segment, whole seconds.
    pub segment: u32,
    /// Length of a group of pictures, whole seconds; divides `segment`.
    pub gop: u32,
    /// The encoder as ffmpeg names it.
    pub encoder: String,
    /// Encoder preset.
    pub preset: String,
    /// H.264 or H.265 profile.
    pub codec_profile: String,
    /// The rungs, from the top down.
    pub rungs: Vec<Rung>,
    /// ffmpeg's name of the output's pixel format.
    pub pixel_format: String,
    /// Rate of every stereo track, bits per second.
    pub audio_bitrate: u64,
    /// Rate of the 5.1 rendition of tracks that have at least six channels, bits per second; nothing makes none.
    pub surround_bitrate: Option<u64>,
    /// The loudness every track is brought to, in LUFS; nothing leaves tracks as they are.
    pub loudness: Option<f64>,
    /// Whether a sample of the pictures may drop rungs and lower caps.
    pub per_title: bool,
    /// Whether preview pictures are made.
    pub storyboard: bool,
}

/// One line of a ladder.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rung {
    /// Pixels of the short side: the height of a landscape picture, the width of a portrait one.
    pub short_side: u32,
    /// Constant rate factor.
    pub crf: f64,
    /// Cap of the rate, bits per second, for 16:9 pictures at up to 30 frames a second.
    pub maxrate: u64,
}

/// The default ladder. Lower rungs are scaled up by players, which shows their flaws: so they get a lower factor.
const RUNGS: [Rung; 4] = [
    Rung {
        short_side: 1080,
        crf: 22.0,
        maxrate: 6_000_000,
    },
    Rung {
        short_side: 720,
        crf: 21.0,
        maxrate: 3_400_000,
    },
    Rung {
        short_side: 480,
        crf: 20.0,
        maxrate: 1_700_000,
    },
    Rung {
        short_side: 360,
        crf: 20.0,
        maxrate: 1_000_000,
    },
];

impl Profile {
    /// The default: H.264, segments of one 4 s group of pictures, which costs a tenth fewer bytes than 2 s ones at equal quality.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            name: "standard".to_owned(),
            segment: 4,
            gop: 4,
            encoder: "libx264".to_owned(),
            preset: "faster".to_owned(),
            codec_profile: "high".to_owned(),
            pixel_format: "yuv420p".to_owned(),
            rungs: RUNGS.to_vec(),
            audio_bitrate: 128_000,
            surround_bitrate: Some(384_000),
            loudness: None,
            per_title: true,
            storyboard: true,
        }
    }

    /// The default ladder with segments of 6 s and a key frame every 2 s, as Apple's authoring rules recommend them.
    #[must_use]
    pub fn apple() -> Self {
        Self {
            name: "apple".to_owned(),
            segment: 6,
            gop: 2,
            ..Self::standard()
        }
    }

    /// The built-in profile of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::standard(), Self::apple()]
            .into_iter()
            .find(|profile| profile.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_fall_and_groups_of_pictures_fill_segments() {
        for profile in [Profile::standard(), Profile::apple()] {
            assert!(
                profile
                    .rungs
                    .is_sorted_by(|a, b| a.short_side > b.short_side && a.maxrate > b.maxrate)
            );
            assert!(profile.segment.is_multiple_of(profile.gop));
            assert_eq!(Profile::named(&profile.name), Some(profile));
        }
        assert_eq!(Profile::named("nonsense"), None);
    }
}
