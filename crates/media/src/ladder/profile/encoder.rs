//! The encoders a profile may name, and what can be asked of each.

/// A video codec of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// H.264, in `avc1` tracks.
    H264,
    /// H.265, in `hvc1` tracks.
    Hevc,
}

impl Codec {
    /// Its profiles that players can be expected to have, the usual one first. H.264 in 10 bits or
    /// 4:2:2 plays almost nowhere.
    #[must_use]
    pub const fn profiles(self) -> &'static [&'static str] {
        match self {
            Self::H264 => &["high", "main", "baseline"],
            Self::Hevc => &["main", "main10"],
        }
    }
}

/// One encoder of ffmpeg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoder {
    /// ffmpeg's name of it.
    pub name: &'static str,
    /// What it makes.
    pub codec: Codec,
    /// Its presets, from the fastest on; none where it has no such thing.
    pub presets: &'static [&'static str],
    /// Whether it can encode 10-bit video from the planar frames at the end of the filters.
    pub ten_bit: bool,
}

const X26X_PRESETS: &[&str] = &[
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
];
const NVENC_PRESETS: &[&str] = &["p1", "p2", "p3", "p4", "p5", "p6", "p7"];
const QSV_PRESETS: &[&str] = &[
    "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
];

const fn encoder(name: &'static str, codec: Codec, presets: &'static [&'static str]) -> Encoder {
    Encoder {
        name,
        codec,
        presets,
        ten_bit: false,
    }
}

/// Every encoder a profile may name.
pub const ENCODERS: &[Encoder] = &[
    encoder("libx264", Codec::H264, X26X_PRESETS),
    Encoder {
        ten_bit: true,
        ..encoder("libx265", Codec::Hevc, X26X_PRESETS)
    },
    encoder("h264_nvenc", Codec::H264, NVENC_PRESETS),
    encoder("hevc_nvenc", Codec::Hevc, NVENC_PRESETS),
    encoder("h264_qsv", Codec::H264, QSV_PRESETS),
    encoder("hevc_qsv", Codec::Hevc, QSV_PRESETS),
    encoder("h264_vaapi", Codec::H264, &[]),
    encoder("hevc_vaapi", Codec::Hevc, &[]),
    encoder("h264_videotoolbox", Codec::H264, &[]),
    encoder("hevc_videotoolbox", Codec::Hevc, &[]),
];

impl Encoder {
    /// The encoder of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        ENCODERS.iter().find(|encoder| encoder.name == name)
    }
}
