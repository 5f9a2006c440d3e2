//! Media segments: when their samples are decoded (`tfdt`, ISO/IEC 14496-12 section 8.8.12), how
//! many there are and where decoding can begin (`trun`, section 8.8.8).

use mp4_atom::{Atom, DecodeAtom, DecodeMaybe, Header, Mdat, Moof, Tfhd, Traf, TrunEntry};

use super::CmafError;
use super::init::SampleDefaults;
use super::nesting;

/// Sample flag of samples that need others to be decoded (ISO/IEC 14496-12 section 8.8.3.1).
const SAMPLE_IS_NON_SYNC: u32 = 0x0001_0000;

/// Largest number of samples of a segment. No segment of fluxhls has this many; a larger count is
/// damage.
const MAX_SAMPLES: usize = 1_000_000;

/// What a media segment holds. Several fragments in one segment are read as one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FragmentInfo {
    /// Decode time of the first sample, in ticks.
    pub start: u64,
    /// Sum of the sample durations, in ticks.
    pub duration: u64,
    /// Number of samples.
    pub samples: u64,
    /// Whether decoding can begin at the first sample.
    pub starts_with_sync: bool,
    /// Samples at which decoding can begin.
    pub syncs: u64,
    /// Sequence number of the first fragment.
    pub sequence: u32,
    /// Bytes of media data.
    pub media_bytes: u64,
    /// Bytes from the start of the segment to the end of its first sample, where decoding can begin
    /// at that: what is before the other samples decodes to one picture, so that an I-frame
    /// playlist (RFC 8216 section 4.3.3.6) can name it. None if the sample lies elsewhere.
    pub key_frame: Option<u64>,
}

impl FragmentInfo {
    /// Reads a media segment; `defaults` come from its init segment.
    ///
    /// # Errors
    /// [`CmafError`] when it is no media segment, or its fragments do not join.
    pub fn parse(mut bytes: &[u8], defaults: SampleDefaults) -> Result<Self, CmafError> {
        let whole = bytes.len();
        let mut found: Option<Self> = None;
        let mut media_bytes = 0;
        let (mut first_sample, mut key_frame) = (None, None);

        loop {
            let at = whole - bytes.len();
            let header = Header::decode_maybe(&mut bytes)
                .map_err(|error| CmafError::invalid("file", &error))?;
            let Some(header) = header else { break };
            let body_at = whole - bytes.len();

            // Without a size the box reaches to the end of the file (ISO/IEC 14496-12 section 4.2).
            let length = header.size.unwrap_or(bytes.len());
            if length > bytes.len() {
                return Err(CmafError::invalid(
                    header.kind,
                    &mp4_atom::Error::OutOfBounds,
                ));
            }
            let (mut body, rest) = bytes.split_at(length);
            if header.kind == Moof::KIND {
                // The parser below goes down the stack for each level, so the depth is checked
                // first.
                nesting::check(header.kind, body)?;
                let moof = Moof::decode_atom(&header, &mut body)
                    .map_err(|error| CmafError::invalid("moof", &error))?;
                let next = Self::of(&moof, defaults)?;
                if found.is_none() {
                    first_sample = FirstSample::of(at as u64, &moof);
                }
                found = Some(match found {
                    Some(before) => before.join(&next)?,
                    None => next,
                });
            } else if header.kind == Mdat::KIND {
                media_bytes += length as u64;
                // Only the media data of the first fragment can hold the first sample, so it is
                // taken once.
                let first_sample: Option<FirstSample> = first_sample.take();
                key_frame = key_frame
                    .or(first_sample.and_then(|sample| sample.end(body_at as u64, length as u64)));
            }

            bytes = rest;
        }

        let found = found.ok_or(CmafError::Missing("moof box"))?;
        Ok(Self {
            media_bytes,
            key_frame: key_frame.filter(|_| found.starts_with_sync),
            ..found
        })
    }

    fn of(moof: &Moof, defaults: SampleDefaults) -> Result<Self, CmafError> {
        let [traf] = &moof.traf[..] else {
            return Err(CmafError::Tracks(moof.traf.len()));
        };
        let mut info = Self {
            start: traf
                .tfdt
                .as_ref()
                .ok_or(CmafError::Missing("tfdt box"))?
                .base_media_decode_time,
            duration: 0,
            samples: 0,
            starts_with_sync: false,
            syncs: 0,
            sequence: moof.mfhd.sequence_number,
            media_bytes: 0,
            key_frame: None,
        };

        // A box of a few bytes can claim any number of samples, so the count is checked before they
        // are visited.
        if traf.trun.iter().map(|run| run.samples.len()).sum::<usize>() > MAX_SAMPLES {
            return Err(CmafError::OutOfRange);
        }

        for sample in samples(traf) {
            info.count(&sample, &traf.tfhd, defaults);
        }

        Ok(info)
    }

    fn count(&mut self, sample: &TrunEntry, header: &Tfhd, defaults: SampleDefaults) {
        let duration = sample
            .duration
            .or(header.default_sample_duration)
            .unwrap_or(defaults.duration);
        let flags = sample
            .flags
            .or(header.default_sample_flags)
            .unwrap_or(defaults.flags);
        let sync = flags & SAMPLE_IS_NON_SYNC == 0;

        self.starts_with_sync |= sync && self.samples == 0;
        self.syncs += u64::from(sync);
        self.samples += 1;
        self.duration += u64::from(duration);
    }

    fn join(self, next: &Self) -> Result<Self, CmafError> {
        if self.samples + next.samples > MAX_SAMPLES as u64 {
            return Err(CmafError::OutOfRange);
        }

        let wanted = self
            .start
            .checked_add(self.duration)
            .ok_or(CmafError::OutOfRange)?;
        // A player would see a gap as missing frames, although each single fragment is valid.
        if next.start != wanted {
            return Err(CmafError::Gap {
                found: next.start,
                wanted,
            });
        }

        Ok(Self {
            duration: self.duration + next.duration,
            samples: self.samples + next.samples,
            syncs: self.syncs + next.syncs,
            ..self
        })
    }
}

/// What the first fragment of a segment says of its first sample.
#[derive(Debug, Clone, Copy)]
struct FirstSample {
    /// Offset of its first byte in the segment, where that is said.
    start: Option<u64>,
    /// Its bytes.
    size: u64,
}

impl FirstSample {
    /// Reads the `moof` box that begins at byte `at`. A run counts from there (ISO/IEC 14496-12
    /// section 8.8.7) unless it has its own base, which is not in this segment.
    fn of(at: u64, moof: &Moof) -> Option<Self> {
        let traf = moof.traf.first()?;
        let run = traf.trun.first()?;
        let size = run
            .samples
            .iter()
            .next()?
            .size
            .or(traf.tfhd.default_sample_size)?;

        let start = match run.data_offset {
            Some(offset) => Some(at.checked_add_signed(offset.into())?),
            None => None,
        };

        traf.tfhd.base_data_offset.is_none().then_some(Self {
            start,
            size: size.into(),
        })
    }

    /// The offset of the byte after it, given the media data behind the `moof` box: `length` bytes
    /// from byte `at` on, which it must begin.
    fn end(self, at: u64, length: u64) -> Option<u64> {
        (self.start.unwrap_or(at) == at && (1..=length).contains(&self.size))
            .then_some(at + self.size)
    }
}

fn samples(traf: &Traf) -> impl Iterator<Item = TrunEntry> {
    traf.trun.iter().flat_map(|run| &run.samples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mp4_atom::{Encode, Mfhd, Tfdt, Trun};
    use proptest::prelude::*;

    const DEFAULTS: SampleDefaults = SampleDefaults {
        duration: 512,
        flags: SAMPLE_IS_NON_SYNC,
    };

    fn moof(sequence: u32, start: u64, durations: &[u32]) -> Vec<u8> {
        let entries: Vec<TrunEntry> = durations
            .iter()
            .enumerate()
            .map(|(i, duration)| TrunEntry {
                duration: Some(*duration),
                size: Some(1),
                flags: (i == 0).then_some(0),
                cts: None,
            })
            .collect();

        let moof = Moof {
            mfhd: Mfhd {
                sequence_number: sequence,
            },
            traf: vec![Traf {
                tfdt: Some(Tfdt {
                    base_media_decode_time: start,
                }),
                trun: vec![Trun {
                    data_offset: None,
                    samples: entries.into(),
                }],
                ..Default::default()
            }],
        };

        let mut bytes = Vec::new();
        moof.encode(&mut bytes).unwrap();
        bytes.extend_from_slice(b"\0\0\0\x0amdatxx");
        bytes
    }

    #[test]
    fn several_fragments_are_one_run() {
        let bytes = [moof(7, 1000, &[10, 10]), moof(8, 1020, &[10])].concat();
        let info = FragmentInfo::parse(&bytes, DEFAULTS).unwrap();

        let wanted = FragmentInfo {
            start: 1000,
            duration: 30,
            samples: 3,
            starts_with_sync: true,
            syncs: 2,
            sequence: 7,
            media_bytes: 4,
            key_frame: Some(moof(7, 1000, &[10, 10]).len() as u64 - 1),
        };

        assert_eq!(info, wanted);
    }

    #[test]
    fn fragments_that_do_not_join_are_an_error() {
        let bytes = [moof(1, 0, &[10, 10]), moof(2, 21, &[10])].concat();
        assert_eq!(
            FragmentInfo::parse(&bytes, DEFAULTS),
            Err(CmafError::Gap {
                found: 21,
                wanted: 20
            })
        );
    }

    #[test]
    fn nothing_and_a_cut_segment_are_errors() {
        assert_eq!(
            FragmentInfo::parse(b"", DEFAULTS),
            Err(CmafError::Missing("moof box"))
        );
        let bytes = moof(1, 0, &[10, 10]);
        assert!(FragmentInfo::parse(&bytes[..bytes.len() - 1], DEFAULTS).is_err());
    }

    /// A fragment of a hundred bytes that claims `count` samples without any values.
    fn claiming(count: u32) -> Vec<u8> {
        let mut bytes = moof(1, 0, &[1]);
        let run = bytes.windows(4).position(|four| four == b"trun").unwrap();
        // No flags but that of the offset, which is none: then the count, and nothing for each
        // sample.
        bytes[run + 4..run + 8].fill(0);
        bytes[run + 8..run + 12].copy_from_slice(&count.to_be_bytes());
        bytes
    }

    #[test]
    fn samples_that_are_only_claimed_are_counted_up_to_a_limit() {
        let defaults = SampleDefaults {
            duration: 0,
            flags: 0,
        };
        let info = FragmentInfo::parse(&claiming(1000), defaults);
        assert!(info.is_err() || info.unwrap().samples == 1000);

        for bytes in [
            claiming(u32::MAX),
            claiming(900_000).repeat(2),
            claiming(1000).repeat(1001),
        ] {
            assert!(FragmentInfo::parse(&bytes, defaults).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..150, value: u8) {
            let _ = FragmentInfo::parse(&bytes, DEFAULTS);
            let mut damaged = moof(1, u64::MAX - 5, &[10, u32::MAX, 10]);
            let at = at % damaged.len();
            damaged[at] = value;
            let _ = FragmentInfo::parse(&damaged, DEFAULTS);
        }

        #[test]
        fn any_split_into_fragments_reads_the_same(durations in prop::collection::vec(1u32..5000, 2..50), split in 1usize..49, start in 0u64..1 << 40) {
            let split = split % (durations.len() - 1) + 1;
            let first: u64 = durations[..split].iter().map(|d| u64::from(*d)).sum();
            let bytes = [moof(1, start, &durations[..split]), moof(2, start + first, &durations[split..])].concat();

            let info = FragmentInfo::parse(&bytes, DEFAULTS).unwrap();
            prop_assert_eq!((info.samples, info.start), (durations.len() as u64, start));
            prop_assert_eq!(info.duration, durations.iter().map(|d| u64::from(*d)).sum::<u64>());
        }
    }
}
