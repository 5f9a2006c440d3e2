//! The useful bit rate, given the bit rate of the source: more bits than it needs in the output
//! codec only keep its flaws.

use super::profile::Codec;

/// Bits a source codec needs for what H.264 does with one bit, from published comparisons, coarse
/// on purpose. A codec that is not here, such as a lossless one, says nothing.
const BITRATE_FACTORS: [(&[&str], f64); 6] = [
    (&["av1", "vvc"], 0.5),
    (&["hevc"], 0.6),
    (&["vp9"], 0.65),
    (&["h264"], 1.0),
    (
        &["mpeg4", "vc1", "wmv3", "vp8", "theora", "svq3", "rv40"],
        1.4,
    ),
    (
        &[
            "mpeg2video",
            "mpeg1video",
            "h263",
            "flv1",
            "wmv1",
            "wmv2",
            "rv30",
        ],
        2.0,
    ),
];

/// The same for the output codecs.
const HEVC_FACTOR: f64 = 0.6;

/// A cap holds for every second, the source's rate is a mean: fast scenes may need more than it.
const PEAK_TO_MEAN: f64 = 1.5;

/// The rate a picture needs grows with its area, to this power.
pub const AREA_EXPONENT: f64 = 0.75;

/// What is known of a source's rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Bits per second that H.264 would need for what the source holds.
    h264: f64,
    /// Pixels of one picture.
    area: u64,
}

impl Budget {
    /// The budget of a source of `bitrate` bits per second in `codec`, with pictures of `area`
    /// pixels; none if either says nothing.
    #[must_use]
    pub fn of(codec: &str, bitrate: Option<u64>, area: u64) -> Option<Self> {
        let (_, relative) = BITRATE_FACTORS
            .iter()
            .find(|(codecs, _)| codecs.contains(&codec))?;
        Some(Self {
            h264: bitrate? as f64 / relative,
            area: area.max(1),
        })
    }

    /// The cap, in bits per second, of a rung of `area` pixels in `codec`.
    #[must_use]
    pub fn cap(self, area: u64, codec: Codec) -> u64 {
        let codec = match codec {
            Codec::H264 => 1.0,
            Codec::Hevc => HEVC_FACTOR,
        };
        let smaller = (area as f64 / self.area as f64)
            .min(1.0)
            .powf(AREA_EXPONENT);
        (self.h264 * codec * smaller * PEAK_TO_MEAN) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_in_a_better_codec_needs_more_and_a_smaller_rung_less() {
        let area = 1920 * 1080;
        let cap = |codec, rung| {
            Budget::of(codec, Some(1_000_000), area).map(|budget| budget.cap(rung, Codec::H264))
        };

        assert_eq!(cap("h264", area), Some(1_500_000));
        assert_eq!(cap("hevc", area), Some(2_500_000));
        assert_eq!(cap("mpeg2video", area), Some(750_000));
        assert!(cap("h264", 1280 * 720) < Some(900_000));
        assert_eq!(cap("prores", area), None);
        assert_eq!(Budget::of("h264", None, area), None);

        let hevc = Budget::of("hevc", Some(1_000_000), area)
            .unwrap()
            .cap(area, Codec::Hevc);
        assert_eq!(hevc, 1_500_000);
    }
}
