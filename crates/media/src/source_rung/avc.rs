//! How an H.264 decoder is configured (`avcC`, ISO/IEC 14496-15 section 5.3.3, and the sequence
//! parameter set in it, ITU-T H.264 section 7.3.2.1), and what a key frame really is.

use h264_reader::nal::sps::{ChromaFormat, FrameMbsFlags, Level, SeqParameterSet};
use h264_reader::nal::{Nal, RefNal};
use mp4_atom::{Avc1, Colr};
use streams::Rational;

use super::IndexError;
use crate::cmaf::codec;
use crate::ladder::size::Size;

/// The highest level that every player supports: the highest one that Apple's HLS authoring rules
/// allow (section 1.3). It is enough for 1080 lines at 60 frames per second.
const MAX_COMMON_LEVEL: u8 = 42;

/// All levels (ITU-T H.264 table A-1), ascending.
const LEVELS: [u8; 19] = [
    10, 11, 12, 13, 20, 21, 22, 30, 31, 32, 40, 41, 42, 50, 51, 52, 60, 61, 62,
];

/// The side of a macroblock in pixels.
const MACROBLOCK_SIDE: u32 = 16;

/// The decoder configuration of one H.264 track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvcConfiguration {
    /// The RFC 6381 text, e.g. `avc1.640028`.
    pub codec: String,
    /// `profile_idc`.
    pub profile: u8,
    /// Whether the stream also follows the rules of the Main profile. Baseline streams that do are
    /// constrained Baseline, which players support.
    pub constraint_set1: bool,
    /// `level_idc`: ten times the level.
    pub level: u8,
    /// Whether samples have 8 bits and chroma is 4:2:0.
    pub is_eight_bit_420: bool,
    /// Whether all pictures are coded as whole frames.
    pub is_progressive: bool,
    /// The size of the stored pictures after cropping.
    pub size: Size,
    /// Whether pixels are square. `true` if the pictures do not say.
    pub has_square_pixels: bool,
    /// Whether samples use the full range of values, unlike usual video.
    pub is_full_range: bool,
    /// Size of the length field before each NAL unit of a sample: 1 to 4 bytes.
    pub length_bytes: usize,
    /// The sequence parameter sets, at least one.
    pub sequence_sets: Vec<Vec<u8>>,
    /// The picture parameter sets.
    pub picture_sets: Vec<Vec<u8>>,
}

impl AvcConfiguration {
    /// Reads a sample entry.
    pub(super) fn read(entry: &Avc1) -> Result<Self, IndexError> {
        let avcc = &entry.avcc;
        let set = avcc
            .sequence_parameter_sets
            .first()
            .ok_or_else(|| IndexError::Damaged("there is no sequence parameter set".to_owned()))?;
        let (sps, level) = read_sequence_set(set)?;

        let said = (avcc.avc_profile_indication, avcc.avc_level_indication);
        let profile = u8::from(sps.profile_idc);
        // Players select a stream by the values in avcC and decode it by the values in the set.
        if said != (profile, level) {
            return Err(IndexError::Damaged(format!(
                "avcC declares profile and level {said:?}, but its pictures have {:?}",
                (profile, level)
            )));
        }

        let (width, height) = sps
            .pixel_dimensions()
            .map_err(|error| IndexError::Damaged(format!("picture size: {error:?}")))?;
        let chroma = &sps.chroma_info;
        let vui = sps.vui_parameters.as_ref();
        let aspect = vui
            .and_then(|vui| vui.aspect_ratio_info.as_ref())
            .and_then(|aspect| aspect.get());
        let signal = vui.and_then(|vui| vui.video_signal_type.as_ref());
        let by_container = matches!(
            entry.colr,
            Some(Colr::Nclx {
                full_range_flag: true,
                ..
            })
        );

        Ok(Self {
            codec: codec::avc(avcc),
            profile,
            constraint_set1: sps.constraint_flags.flag1(),
            level,
            is_eight_bit_420: chroma.chroma_format == ChromaFormat::YUV420
                && (chroma.bit_depth_luma_minus8, chroma.bit_depth_chroma_minus8) == (0, 0),
            is_progressive: matches!(sps.frame_mbs_flags, FrameMbsFlags::Frames),
            size: Size { width, height },
            has_square_pixels: aspect.is_none_or(|(width, height)| width == height),
            is_full_range: signal.map_or(by_container, |signal| signal.video_full_range_flag),
            length_bytes: avcc.length_size.into(),
            sequence_sets: avcc.sequence_parameter_sets.clone(),
            picture_sets: avcc.picture_parameter_sets.clone(),
        })
    }

    /// Whether every player supports pictures of this kind: High, Main or constrained Baseline,
    /// progressive, 8 bits, 4:2:0.
    #[must_use]
    pub const fn is_common(&self) -> bool {
        let is_common_profile = match self.profile {
            66 => self.constraint_set1,
            77 | 100 => true,
            _ => false,
        };
        is_common_profile && self.is_progressive && self.is_eight_bit_420
    }

    /// Whether the level allows pictures of this size at `rate`, and is no higher than the level
    /// that players must support for them: 4.2, or the lowest level that allows them if it is
    /// higher.
    #[must_use]
    pub fn has_common_level(&self, rate: Rational) -> bool {
        let across = |side: u32| side.div_ceil(MACROBLOCK_SIDE);
        let macroblocks = across(self.size.width).saturating_mul(across(self.size.height));
        let a_second = f64::from(macroblocks) * rate.as_f64();
        let holds = |level: &u8| {
            let level = Level::from_constraint_flags_and_level_idc(0.into(), *level);
            level.limits().is_some_and(|limits| {
                macroblocks <= limits.max_fs && a_second <= f64::from(limits.max_mbps)
            })
        };

        let needed = LEVELS.iter().copied().find(holds).unwrap_or(u8::MAX);
        holds(&self.level) && self.level <= needed.max(MAX_COMMON_LEVEL)
    }
}

/// Reads a sequence parameter set, and returns its level separately.
fn read_sequence_set(nal: &[u8]) -> Result<(SeqParameterSet, u8), IndexError> {
    let damaged = |what| IndexError::Damaged(format!("sequence parameter set: {what}"));

    // Some writers leave zeros after the set.
    let length = nal
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    let mut nal = nal[..length].to_vec();
    // The reader rejects pictures that are too large for their level. This module checks that
    // itself, so the reader sees the highest level.
    let highest = LEVELS[LEVELS.len() - 1];
    let Some(level) = nal.get_mut(3) else {
        return Err(damaged("too short".to_owned()));
    };
    let level = std::mem::replace(level, highest);

    SeqParameterSet::from_bits(RefNal::new(&nal, &[], true).rbsp_bits())
        .map(|set| (set, level))
        .map_err(|error| damaged(format!("{error:?}")))
}

/// What the data of a sample really contains if the index calls it a key frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySample {
    /// Whether it is an instantaneous decoder refresh (IDR), where every player can begin. Indexes
    /// also list recovery points, after which it takes a while until pictures are correct.
    pub is_idr: bool,
    /// Whether it contains parameter sets that are not in the decoder configuration.
    pub has_other_parameter_sets: bool,
    /// Whether it contains closed captions (CEA-608, CEA-708).
    pub has_captions: bool,
}

/// NAL unit types (ITU-T H.264 table 7-1).
const SLICE: std::ops::RangeInclusive<u8> = 1..=5;
const IDR_SLICE: u8 = 5;
const SUPPLEMENT: u8 = 6;
const SEQUENCE_SET: u8 = 7;
const PICTURE_SET: u8 = 8;

/// The first bytes, after the length, of supplemental information with closed captions (ATSC A/53
/// part 4, section 6.2.3): country and provider, the user identifier, and the data type.
const CAPTIONS: &[u8] = b"\xb5\x00\x31GA94\x03";

impl KeySample {
    /// Reads the whole data of a sample.
    ///
    /// # Errors
    /// [`IndexError::Damaged`] if the data is not an H.264 sample.
    pub fn read(mut sample: &[u8], avc: &AvcConfiguration) -> Result<Self, IndexError> {
        let mut first_slice = None;
        let (mut has_other_parameter_sets, mut has_captions) = (false, false);

        while !sample.is_empty() {
            let unit;
            (unit, sample) = split_unit(sample, avc.length_bytes)
                .ok_or_else(|| IndexError::Damaged("a key frame is truncated".to_owned()))?;
            // An empty unit is padding.
            let Some(header) = unit.first() else { continue };

            match header & 0x1f {
                kind if SLICE.contains(&kind) => {
                    first_slice.get_or_insert(kind);
                }
                SUPPLEMENT => {
                    has_captions |= unit.windows(CAPTIONS.len()).any(|found| found == CAPTIONS);
                }
                SEQUENCE_SET => {
                    has_other_parameter_sets |= !avc.sequence_sets.iter().any(|set| set == unit);
                }
                PICTURE_SET => {
                    has_other_parameter_sets |= !avc.picture_sets.iter().any(|set| set == unit);
                }
                _ => {}
            }
        }

        match first_slice {
            Some(kind) => Ok(Self {
                is_idr: kind == IDR_SLICE,
                has_other_parameter_sets,
                has_captions,
            }),
            None => Err(IndexError::Damaged("a key frame has no picture".to_owned())),
        }
    }
}

/// Splits a sample into its first NAL unit and the rest.
fn split_unit(sample: &[u8], length_bytes: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = sample.split_at_checked(length_bytes)?;
    let length = length
        .iter()
        .fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, Sps};
    use super::*;
    use proptest::prelude::*;

    fn configuration(sps: &Sps) -> Result<AvcConfiguration, IndexError> {
        AvcConfiguration::read(&testing::avc1(sps))
    }

    #[test]
    fn a_usual_export_is_common() {
        let avc = configuration(&Sps::default()).unwrap();
        let (length, size) = (avc.length_bytes, avc.size);

        assert_eq!(avc.codec, "avc1.640028");
        assert_eq!((length, size.width, size.height), (4, 1920, 1080));
        assert!(avc.is_common() && avc.has_square_pixels && !avc.is_full_range);
        assert!(avc.has_common_level(Rational::whole(25)));
    }

    #[test]
    fn only_what_every_player_takes_is_common() {
        let is_common = |change: fn(&mut Sps)| {
            let mut sps = Sps::default();
            change(&mut sps);
            configuration(&sps).unwrap().is_common()
        };

        assert!(is_common(|sps| (sps.profile, sps.constraints) = (66, 0xc0)));
        assert!(is_common(|sps| (sps.profile, sps.constraints) = (66, 0x40)));
        assert!(!is_common(|sps| (sps.profile, sps.constraints) = (66, 0x80)));
        assert!(is_common(|sps| sps.profile = 77));
        for profile in [88, 110, 122, 244, 44] {
            let sps = Sps {
                profile,
                ..Sps::default()
            };
            assert!(!configuration(&sps).unwrap().is_common(), "{profile}");
        }

        assert!(!is_common(|sps| sps.chroma = 2));
        assert!(!is_common(|sps| sps.chroma = 0));
        assert!(!is_common(|sps| sps.bits = 10));
        assert!(!is_common(|sps| sps.is_progressive = false));
    }

    #[test]
    fn pixels_and_range_are_those_of_the_pictures_else_of_the_container() {
        let avc = |aspect, full_range| {
            let sps = Sps {
                aspect,
                full_range,
                ..Sps::default()
            };
            configuration(&sps).unwrap()
        };

        assert!(avc(None, None).has_square_pixels && avc(Some((1, 1)), None).has_square_pixels);
        assert!(!avc(Some((4, 3)), None).has_square_pixels);
        assert!(avc(None, Some(true)).is_full_range && !avc(None, Some(false)).is_full_range);

        let by_container = |full_range| {
            let mut entry = testing::avc1(&Sps {
                full_range,
                ..Sps::default()
            });
            entry.colr = Colr::new(1, 1, 1, true).ok();
            AvcConfiguration::read(&entry).unwrap().is_full_range
        };
        assert!(by_container(None) && !by_container(Some(false)));
    }

    #[test]
    fn a_level_must_hold_the_pictures_and_not_be_higher_than_they_need() {
        let is_common = |level, (width, height), rate| {
            let sps = Sps {
                level,
                width,
                height,
                ..Sps::default()
            };
            configuration(&sps)
                .unwrap()
                .has_common_level(Rational::whole(rate))
        };
        let full_hd = (1920, 1080);

        assert!(is_common(40, full_hd, 30) && is_common(41, full_hd, 30));
        assert!(is_common(42, full_hd, 60) && is_common(42, (640, 360), 25));
        // Films from the slower presets of x264 keep more reference pictures than players must have
        // room for.
        assert!(!is_common(50, full_hd, 24) && !is_common(51, full_hd, 60));
        assert!(!is_common(31, full_hd, 24) && !is_common(40, full_hd, 60));
        assert!(is_common(51, (3840, 2160), 30) && !is_common(52, (3840, 2160), 30));
        assert!(!is_common(99, full_hd, 24));
    }

    #[test]
    fn zeros_behind_a_parameter_set_are_padding() {
        let mut entry = testing::avc1(&Sps::default());
        let usual = AvcConfiguration::read(&entry).unwrap();
        entry.avcc.sequence_parameter_sets[0].extend([0, 0]);
        let padded = AvcConfiguration::read(&entry).unwrap();
        assert_eq!((padded.size, padded.level), (usual.size, usual.level));
    }

    #[test]
    fn a_configuration_that_contradicts_its_pictures_is_damaged() {
        let mut entry = testing::avc1(&Sps::default());
        entry.avcc.avc_level_indication = 31;
        assert!(matches!(
            AvcConfiguration::read(&entry),
            Err(IndexError::Damaged(_))
        ));

        entry.avcc.sequence_parameter_sets = vec![Vec::new()];
        assert!(AvcConfiguration::read(&entry).is_err());
        entry.avcc.sequence_parameter_sets.clear();
        assert!(AvcConfiguration::read(&entry).is_err());
    }

    /// A sample with these NAL units.
    fn sample(units: &[&[u8]]) -> Vec<u8> {
        let units = units.iter().flat_map(|unit| {
            let length = u32::try_from(unit.len()).unwrap().to_be_bytes();
            [length.to_vec(), unit.to_vec()].concat()
        });
        units.collect()
    }

    #[test]
    fn a_key_frame_is_what_its_first_slice_is() {
        let avc = configuration(&Sps::default()).unwrap();
        let read = |units: &[&[u8]]| KeySample::read(&sample(units), &avc);
        let key = |is_idr, has_other_parameter_sets| {
            Ok(KeySample {
                is_idr,
                has_other_parameter_sets,
                has_captions: false,
            })
        };

        let (delimiter, message) = (&[9, 0xf0][..], &[6, 5, 0x80][..]);
        assert_eq!(read(&[delimiter, message, &[0x65, 1]]), key(true, false));
        // A recovery point, which x264 writes into open groups.
        assert_eq!(read(&[message, &[0x41, 1]]), key(false, false));

        let (sequence, picture) = (&avc.sequence_sets[0][..], &avc.picture_sets[0][..]);
        assert_eq!(read(&[sequence, picture, &[0x65, 1]]), key(true, false));
        assert_eq!(read(&[&[0x67, 1, 2], &[0x65, 1]]), key(true, true));
        assert_eq!(read(&[&[0x68, 9], &[0x65, 1]]), key(true, true));

        let captions = [&[6, 4, 71][..], CAPTIONS, &[0xc3, 0xff]].concat();
        assert!(read(&[&captions, &[0x65, 1]]).unwrap().has_captions);
        assert!(!read(&[&captions[..9], &[0x65, 1]]).unwrap().has_captions);

        assert!(read(&[]).is_err() && read(&[message]).is_err());
        let cut = sample(&[&[0x65, 1, 2, 3]]);
        assert!(KeySample::read(&cut[..cut.len() - 1], &avc).is_err());
    }

    proptest! {
        #[test]
        fn no_parameter_sets_and_no_samples_make_it_panic(
            set in prop::collection::vec(any::<u8>(), 0..80), at in 0_usize..40, value: u8,
            data in prop::collection::vec(any::<u8>(), 0..80), length_bytes in 1_usize..5,
        ) {
            let mut entry = testing::avc1(&Sps { aspect: Some((4, 3)), full_range: Some(true), ..Sps::default() });
            let good = AvcConfiguration::read(&entry).unwrap();
            let _ = KeySample::read(&data, &AvcConfiguration { length_bytes, ..good });

            let length = entry.avcc.sequence_parameter_sets[0].len();
            entry.avcc.sequence_parameter_sets[0][at % length] = value;
            if let Ok(avc) = AvcConfiguration::read(&entry) {
                let _ = (avc.is_common(), avc.has_common_level(Rational::whole(60)));
            }
            entry.avcc.sequence_parameter_sets[0] = set;
            let _ = AvcConfiguration::read(&entry);
        }
    }
}
