//! Changes to the files that ffmpeg writes, before they are published: their brands say that they
//! are CMAF and promise no missing index, and if an I-frame playlist names key frames, each is a
//! separate fragment.
//!
//! A byte range that holds the beginning of a fragment alone declares samples that are not in it:
//! Media Source Extensions refuse it, and players that show pictures of the range end there. A
//! range that is a fragment plays everywhere (ISO/IEC 23000-19 section 7.3.2.3).

use mp4_atom::{DecodeAtom, DecodeMaybe, Encode, Header, Moof, TrunEntry};

use super::CmafError;
use super::nesting;

/// Bytes of the header of a box.
const BOX_HEADER_BYTES: usize = 8;

/// What ffmpeg names, and what is said instead (ISO/IEC 23000-19 section 7.2): a track of CMAF, and
/// a segment of it. The others stay.
const BRAND_REPLACEMENTS: [(&[u8; 4], &[u8; 4]); 2] = [(b"iso5", b"cmfc"), (b"msix", b"cmfs")];

/// An init segment with the brands of CMAF, as long as it was.
///
/// # Errors
/// [`CmafError`] when it is not made of boxes.
pub fn init(bytes: &[u8]) -> Result<Vec<u8>, CmafError> {
    let mut written = Vec::with_capacity(bytes.len());
    for part in parse_boxes(bytes)? {
        written.extend(match part.kind {
            b"ftyp" => replace_brands(part.bytes),
            _ => part.bytes.to_vec(),
        });
    }
    Ok(written)
}

/// Where the first sample of a segment is, if decoding can begin at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFrame {
    /// In the fragment it was written in.
    InPlace,
    /// In a separate fragment, to which I-frame playlists refer. The fragments of the segment are
    /// then numbered in steps of two, so that their numbers increase over segments.
    Apart,
}

/// A media segment with the brands of CMAF.
///
/// # Errors
/// [`CmafError`] when it is no media segment, or has several runs of samples in a fragment that is
/// written again.
pub fn segment(bytes: &[u8], key_frame: KeyFrame) -> Result<Vec<u8>, CmafError> {
    let mut written = Vec::with_capacity(bytes.len() + 256);
    let parts = parse_boxes(bytes)?;
    let mut parts = parts.into_iter().peekable();
    let mut is_first = true;

    while let Some(part) = parts.next() {
        match part.kind {
            b"styp" => written.extend(replace_brands(part.bytes)),
            b"moof" if key_frame == KeyFrame::Apart => {
                // The offset to the media is written again, so it has to follow its fragment at
                // once.
                let media = parts.next_if(|next| next.kind == b"mdat");
                let media = media.ok_or(CmafError::Missing("mdat box after a moof box"))?;
                let media = &media.bytes[BOX_HEADER_BYTES..];

                let mut moof = part.moof()?;
                // Doubled numbers leave room for the one that a split adds.
                moof.mfhd.sequence_number = moof.mfhd.sequence_number.saturating_mul(2);

                match split_first_sample(&moof, media).filter(|_| is_first) {
                    Some([(first, sample), (rest, others)]) => {
                        write_fragment(&mut written, first, sample)?;
                        write_fragment(&mut written, rest, others)?;
                    }
                    None => write_fragment(&mut written, moof, media)?,
                }

                is_first = false;
            }
            _ => written.extend(part.bytes),
        }
    }

    Ok(written)
}

/// One box of a file.
struct Part<'a> {
    kind: &'a [u8; 4],
    /// With its header.
    bytes: &'a [u8],
}

impl Part<'_> {
    fn moof(&self) -> Result<Moof, CmafError> {
        let mut body = self.bytes;
        let invalid = |error| CmafError::invalid("moof", &error);

        let header = Header::decode_maybe(&mut body).map_err(invalid)?;
        let header = header.ok_or(CmafError::Missing("moof box"))?;

        nesting::check(header.kind, body)?;
        Moof::decode_atom(&header, &mut body).map_err(invalid)
    }
}

/// The boxes of a file; all have headers of eight bytes, as ffmpeg writes them.
fn parse_boxes(mut bytes: &[u8]) -> Result<Vec<Part<'_>>, CmafError> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let cut = || CmafError::invalid("file", &mp4_atom::Error::OutOfBounds);

        let (size, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
        let kind = rest.first_chunk::<4>().ok_or_else(cut)?;
        let size = u32::from_be_bytes(*size) as usize;

        if size < BOX_HEADER_BYTES || size > bytes.len() {
            return Err(cut());
        }

        let (part, others) = bytes.split_at(size);
        parts.push(Part { kind, bytes: part });
        bytes = others;
    }

    Ok(parts)
}

/// A `ftyp` or `styp` box with other brands among the compatible ones; the major one and its
/// version stay as they are, unless it is one of those that go.
fn replace_brands(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();

    for (at, brand) in bytes[BOX_HEADER_BYTES..].chunks_exact_mut(4).enumerate() {
        // The version follows the major brand, and is no brand.
        if at == 0 && brand == b"iso5" {
            brand.copy_from_slice(b"iso6");
        } else if at > 1
            && let Some((_, ours)) = BRAND_REPLACEMENTS
                .iter()
                .find(|(theirs, _)| brand == *theirs)
        {
            brand.copy_from_slice(*ours);
        }
    }

    bytes
}

/// A fragment, and its media.
type Fragment<'a> = (Moof, &'a [u8]);

/// The first sample of a fragment, and all others; none if there is only one, or the first one does
/// not lie before the others.
fn split_first_sample<'a>(moof: &Moof, media: &'a [u8]) -> Option<[Fragment<'a>; 2]> {
    let [traf] = &moof.traf[..] else { return None };
    let [run] = &traf.trun[..] else { return None };
    let samples: Vec<TrunEntry> = run.samples.iter().collect();
    let (first, rest) = samples.split_first().filter(|(_, rest)| !rest.is_empty())?;

    let size = usize::try_from(first.size.or(traf.tfhd.default_sample_size)?).ok()?;
    let (key_frame, others) = media.split_at_checked(size)?;
    let duration = first.duration.or(traf.tfhd.default_sample_duration)?;

    let part = |samples: &[TrunEntry]| {
        let mut moof = moof.clone();
        moof.traf[0].trun[0].samples = samples.to_vec().into();
        moof
    };

    let (mut head, mut tail) = (part(std::slice::from_ref(first)), part(rest));
    // The tail keeps the doubled number and the head takes the odd one before it.
    head.mfhd.sequence_number = moof.mfhd.sequence_number.checked_sub(1)?;

    let time = tail.traf[0].tfdt.as_mut()?;
    time.base_media_decode_time = time.base_media_decode_time.checked_add(duration.into())?;

    Some([(head, key_frame), (tail, others)])
}

/// Writes a fragment of one run of samples, with its media behind it.
fn write_fragment(written: &mut Vec<u8>, mut moof: Moof, media: &[u8]) -> Result<(), CmafError> {
    let invalid = |error| CmafError::invalid("moof", &error);

    let runs: usize = moof.traf.iter().map(|traf| traf.trun.len()).sum();
    if runs != 1 {
        return Err(CmafError::Tracks(runs));
    }

    let mut bytes = Vec::new();
    // Two rounds: the offset of the media is always four bytes, so the first round shows the length
    // of the box.
    for _ in 0..2 {
        let offset =
            i32::try_from(bytes.len() + BOX_HEADER_BYTES).map_err(|_| CmafError::OutOfRange)?;
        for run in moof.traf.iter_mut().flat_map(|traf| &mut traf.trun) {
            run.data_offset = Some(offset);
        }
        bytes.clear();
        moof.encode(&mut bytes).map_err(invalid)?;
    }

    written.extend(bytes);
    let size = u32::try_from(media.len() + BOX_HEADER_BYTES).map_err(|_| CmafError::OutOfRange)?;
    written.extend(size.to_be_bytes());
    written.extend(b"mdat");
    written.extend(media);

    Ok(())
}

#[cfg(test)]
mod tests {
    use mp4_atom::{Mfhd, Tfdt, Tfhd, Traf, Trun};

    use super::*;
    use crate::cmaf::FragmentInfo;
    use crate::cmaf::init::SampleDefaults;

    const DEFAULTS: SampleDefaults = SampleDefaults {
        duration: 512,
        flags: 0x0101_0000,
    };

    /// A fragment as ffmpeg writes it, with samples of these sizes that begin with a key frame.
    fn fragment_of(sequence: u32, start: u64, sizes: &[u32]) -> Vec<u8> {
        let sample = |(n, size): (usize, &u32)| TrunEntry {
            duration: None,
            size: Some(*size),
            flags: (n == 0).then_some(0x0200_0000),
            cts: Some(1024),
        };

        let moof = Moof {
            mfhd: Mfhd {
                sequence_number: sequence,
            },
            traf: vec![Traf {
                tfhd: Tfhd {
                    track_id: 1,
                    default_sample_duration: Some(512),
                    default_sample_flags: Some(DEFAULTS.flags),
                    default_base_is_moof: true,
                    ..Tfhd::default()
                },
                tfdt: Some(Tfdt {
                    base_media_decode_time: start,
                }),
                trun: vec![Trun {
                    data_offset: Some(0),
                    samples: sizes
                        .iter()
                        .enumerate()
                        .map(sample)
                        .collect::<Vec<_>>()
                        .into(),
                }],
                ..Traf::default()
            }],
        };

        let media: Vec<u8> = (0..sizes.iter().sum::<u32>())
            .map(|n| (n % 251) as u8)
            .collect();
        let mut bytes = Vec::new();
        super::write_fragment(&mut bytes, moof, &media).unwrap();
        bytes
    }

    /// Everything in the `mdat` boxes of a file.
    fn media(bytes: &[u8]) -> Vec<u8> {
        let parts = parse_boxes(bytes).unwrap();
        let media = parts.iter().filter(|part| part.kind == b"mdat");
        media
            .flat_map(|part| part.bytes[BOX_HEADER_BYTES..].to_vec())
            .collect()
    }

    const STYP: &[u8] = b"\0\0\0\x18stypmsdh\0\0\0\0msdhmsix";

    #[test]
    fn a_key_frame_stands_in_a_fragment_of_its_own_that_a_range_of_bytes_can_name() {
        let whole = [
            STYP,
            &fragment_of(7, 5120, &[90, 20, 30]),
            &fragment_of(8, 6656, &[50, 1]),
        ]
        .concat();
        let written = segment(&whole, KeyFrame::Apart).unwrap();
        assert_eq!(media(&written), media(&whole));

        let (before, after) = [&whole, &written]
            .map(|bytes| FragmentInfo::parse(bytes, DEFAULTS).unwrap())
            .into();

        assert_eq!((after.sequence, before.sequence), (13, 7));

        let alike = |info: FragmentInfo| {
            (
                info.start,
                info.duration,
                info.samples,
                info.syncs,
                info.starts_with_sync,
            )
        };
        assert_eq!(alike(after.clone()), alike(before));

        // What an I-frame playlist names is one whole fragment of one sample.
        let range = &written[..usize::try_from(after.key_frame.unwrap()).unwrap()];
        let alone = FragmentInfo::parse(range, DEFAULTS).unwrap();
        assert_eq!((alone.samples, alone.start, alone.duration), (1, 5120, 512));

        let numbers: Vec<u32> = parse_boxes(&written)
            .unwrap()
            .iter()
            .filter(|part| part.kind == b"moof")
            .map(|part| part.moof().unwrap().mfhd.sequence_number)
            .collect();
        assert_eq!(numbers, [13, 14, 16]);
    }

    #[test]
    fn other_segments_change_nothing_but_their_brands() {
        let whole = [STYP, &fragment_of(7, 5120, &[90, 20, 30])].concat();
        let written = segment(&whole, KeyFrame::InPlace).unwrap();
        assert_eq!(written[STYP.len()..], whole[STYP.len()..]);
        assert_eq!(
            &written[..STYP.len()],
            b"\0\0\0\x18stypmsdh\0\0\0\0msdhcmfs"
        );
    }

    #[test]
    fn one_sample_alone_is_a_fragment_of_its_own_already() {
        let whole = fragment_of(3, 0, &[90]);
        let written = segment(&whole, KeyFrame::Apart).unwrap();
        assert_eq!(FragmentInfo::parse(&written, DEFAULTS).unwrap().samples, 1);
        assert_eq!(written.len(), whole.len());
    }

    #[test]
    fn an_init_segment_says_that_it_is_cmaf_and_keeps_its_length() {
        let bytes = b"\0\0\0\x1cftypiso5\0\0\x02\0iso5iso6mp41\0\0\0\x08free";
        let written = init(bytes).unwrap();
        assert_eq!(
            written,
            b"\0\0\0\x1cftypiso6\0\0\x02\0cmfciso6mp41\0\0\0\x08free"
        );
    }

    #[test]
    fn what_is_cut_is_an_error() {
        let whole = fragment_of(7, 5120, &[90, 20, 30]);
        for end in [3, 7, 20, whole.len() - 1] {
            assert!(segment(&whole[..end], KeyFrame::Apart).is_err(), "{end}");
        }
    }
}
