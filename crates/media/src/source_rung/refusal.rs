//! Why the pictures of a source are encoded instead of copied.

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr, VariantArray};

/// One reason why the pictures of a source cannot be a rung without being encoded. No reason ends a
/// job: the rung is encoded instead. The words are stable. If several reasons apply, all are
/// listed, in the order of this type.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CopyRefusal {
    /// The pictures are not H.264 that every player supports (High, Main or constrained Baseline,
    /// progressive, 8 bits, 4:2:0), or the ladder uses another codec.
    Codec,
    /// The level is above what players must support for this size, or below what the pictures need.
    Level,
    /// Players rotate or mirror the pictures.
    Rotation,
    /// The pixels are not square.
    PixelAspect,
    /// The pictures would be changed before scaling: their colours or range are converted,
    /// transparency is flattened onto black, or a side is cropped.
    Colour,
    /// The pictures have closed captions, and the encoded rungs do not.
    Captions,
    /// The size or shape of the pictures changes within the source.
    SizeChanges,
    /// The decoder has to be configured again within the source.
    ParameterSetsChange,
    /// A segment would last longer than [`MAX_SEGMENT_SECONDS`](super::MAX_SEGMENT_SECONDS).
    KeyFrameGap,
    /// A player cannot begin at one of the key frames: pictures around it need others from before
    /// it.
    OpenGop,
    /// The pictures are not evenly spaced in time.
    FrameRateVaries,
    /// There are more than 60 pictures per second.
    FrameRateHigh,
    /// The edit list does more than begin with the first picture.
    EditList,
    /// The pictures begin later than the programme.
    LatePicture,
    /// The programme continues after the last picture for longer than a segment lasts.
    Length,
    /// The pictures need more bits than the rung may have.
    Bitrate,
    /// The container has no complete, readable index of the pictures.
    NoIndex,
    /// The pictures would be the lowest rung, which is always encoded.
    OnlyRung,
    /// The pictures are larger than the top rung of the ladder.
    NoRung,
    /// The index contradicts itself, or refers to bytes that the object does not have.
    Damaged,
}

impl CopyRefusal {
    /// The stable `snake_case` word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_stable_and_in_their_order() {
        let words = [
            "codec",
            "level",
            "rotation",
            "pixel_aspect",
            "colour",
            "captions",
            "size_changes",
            "parameter_sets_change",
            "key_frame_gap",
            "open_gop",
            "frame_rate_varies",
            "frame_rate_high",
            "edit_list",
            "late_picture",
            "length",
            "bitrate",
            "no_index",
            "only_rung",
            "no_rung",
            "damaged",
        ];

        assert!(CopyRefusal::VARIANTS.is_sorted());
        let found: Vec<&str> = CopyRefusal::VARIANTS
            .iter()
            .map(|reason| reason.as_str())
            .collect();
        assert_eq!(found, words);

        let json = serde_json::to_string(CopyRefusal::VARIANTS).unwrap();
        assert_eq!(json, serde_json::to_string(&words).unwrap());
        let read: Vec<CopyRefusal> = serde_json::from_str(&json).unwrap();
        assert_eq!(read, CopyRefusal::VARIANTS);
    }
}
