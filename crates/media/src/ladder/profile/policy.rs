//! One policy. A source never gets more than it has.

/// A named policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The name events ask for.
    pub name: String,
    /// What it is for, one sentence.
    pub about: String,
    /// Length of a segment, whole seconds.
    pub segment: u32,
    /// Length of a group of pictures, whole seconds; divides `segment`.
    pub gop: u32,
    /// The encoder as ffmpeg names it.
    pub encoder: String,
    /// Encoder preset; empty where the encoder has none.
    pub preset: String,
    /// How finely x264 searches for motion, from 1 to 11; nothing leaves it to the preset.
    pub subme: Option<u8>,
    /// H.264 or H.265 profile.
    pub codec_profile: String,
    /// The rungs, from the top down.
    pub rungs: Vec<Rung>,
    /// ffmpeg's name of the output's pixel format.
    pub pixel_format: String,
    /// Rate of every stereo track, bits per second.
    pub audio_bitrate: u64,
    /// Rate of the 5.1 rendition of tracks that have at least six channels, bits per second;
    /// nothing makes none.
    pub surround_bitrate: Option<u64>,
    /// The loudness every track is brought to, in LUFS; nothing leaves tracks as they are.
    pub loudness: Option<f64>,
    /// Whether a sample of the pictures may drop rungs and lower caps.
    pub per_title: bool,
    /// Whether preview pictures are made.
    pub storyboard: bool,
    /// Whether every field of an interlaced source becomes a frame, which doubles the rate.
    pub field_rate: bool,
}

/// One line of a ladder.
#[derive(Debug, Clone, PartialEq)]
pub struct Rung {
    /// Pixels of the short side: the height of a landscape picture, the width of a portrait one.
    pub short_side: u32,
    /// Constant rate factor.
    pub crf: f64,
    /// Cap of the rate, bits per second, for 16:9 pictures at up to 30 frames a second.
    pub maxrate: u64,
    /// The encoder preset of this rung alone.
    pub preset: Option<String>,
}
