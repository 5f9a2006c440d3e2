//! Why the pictures of a source are encoded again, although they might have been copied.

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr, VariantArray};

/// One reason why the pictures of a source cannot be a rung as they are. No reason ends a job: the
/// rung is encoded instead. The words are stable; where several apply, all are listed, in the order
/// of this type.
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
    /// They are not H.264 as every player takes it (High, Main or constrained Baseline, progressive,
    /// 8 bits, 4:2:0), or the ladder is of another codec.
    Codec,
    /// Their level is above what players of this size have to take, or below what they need.
    Level,
    /// Players turn or mirror them.
    Rotation,
    /// Their pixels are not square.
    PixelAspect,
    /// Something would be done to them before they are scaled: their colours or their range are
    /// converted, transparency is laid on black, or a side is cut.
    Colour,
    /// They carry closed captions, and the rungs that are encoded do not.
    Captions,
    /// Their size or shape changes on the way.
    SizeChanges,
    /// A decoder has to be set up again on the way.
    ParameterSetsChange,
    /// A segment would last longer than [`MAX_SEGMENT_SECONDS`](super::MAX_SEGMENT_SECONDS).
    KeyFrameGap,
    /// A key frame is none at which a player can begin: pictures around it need others from before
    /// it.
    OpenGop,
    /// They are not evenly spaced in time.
    FrameRateVaries,
    /// There are more than 60 of them a second.
    FrameRateHigh,
    /// The edit list does more than begin with the first picture.
    EditList,
    /// They begin later than the programme.
    LatePicture,
    /// The programme goes on behind the last of them for longer than a segment lasts.
    Length,
    /// They need more bits than the rung may have.
    Bitrate,
    /// The container has no complete index of them that can be read.
    NoIndex,
    /// They would be the lowest rung, which is always encoded.
    OnlyRung,
    /// They are larger than the top rung of the ladder.
    NoRung,
    /// The index contradicts itself, or names bytes that the object has not.
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
