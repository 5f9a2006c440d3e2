//! Init segments: what a decoder is set up by before the first media segment (`moov`, ISO/IEC
//! 14496-12 section 8.2.1; the CMAF header of ISO/IEC 23000-19).

use mp4_atom::{Atom, Codec, DecodeAtom, DecodeMaybe, Header, Moov, Trak};
use sha2::{Digest, Sha256};

use super::CmafError;
use super::codec::{self, TrackCodec};
use super::nesting;

/// What an init segment says of its one track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitInfo {
    /// Ticks per second of all times in the media segments.
    pub timescale: u32,
    /// The codec.
    pub codec: TrackCodec,
    /// Coded picture width and height, video only.
    pub size: Option<(u32, u32)>,
    /// Channels and samples per second, audio only.
    pub sound: Option<(u32, u32)>,
    /// The edit list: duration and media time of each entry in ticks, no media time for an empty
    /// edit.
    pub edits: Vec<(u64, Option<u64>)>,
    /// What samples have that say nothing themselves.
    pub defaults: SampleDefaults,
}

/// The values of samples that carry none, from the track's `trex` box (ISO/IEC 14496-12 section
/// 8.8.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SampleDefaults {
    /// Ticks.
    pub duration: u32,
    /// Sample flags (ISO/IEC 14496-12 section 8.8.3.1).
    pub flags: u32,
}

impl InitInfo {
    /// Reads an init segment.
    ///
    /// # Errors
    /// [`CmafError`] when it is not an init segment, or not like those of fluxhls: one track of
    /// H.264, H.265 or AAC.
    pub fn parse(mut bytes: &[u8]) -> Result<Self, CmafError> {
        while let Some(header) =
            Header::decode_maybe(&mut bytes).map_err(|error| CmafError::invalid("file", &error))?
        {
            if header.kind == Moov::KIND {
                // The parser below goes down the stack for each level, so the depth is checked
                // first.
                nesting::check(
                    header.kind,
                    &bytes[..header.size.unwrap_or(bytes.len()).min(bytes.len())],
                )?;
                let moov = Moov::decode_atom(&header, &mut bytes)
                    .map_err(|error| CmafError::invalid("moov", &error))?;
                return Self::of(&moov);
            }

            let length = header.size.unwrap_or(bytes.len()).min(bytes.len());
            bytes = &bytes[length..];
        }

        Err(CmafError::Missing("moov box"))
    }

    fn of(moov: &Moov) -> Result<Self, CmafError> {
        let [trak] = &moov.trak[..] else {
            return Err(CmafError::Tracks(moov.trak.len()));
        };
        let [entry] = &trak.mdia.minf.stbl.stsd.codecs[..] else {
            return Err(CmafError::Missing("single sample entry"));
        };

        let trex = moov
            .mvex
            .iter()
            .flat_map(|mvex| &mvex.trex)
            .find(|trex| trex.track_id == trak.tkhd.track_id);
        let trex = trex.ok_or(CmafError::Missing("trex box of the track"))?;

        Ok(Self {
            timescale: trak.mdia.mdhd.timescale,
            codec: codec::read(entry)?,
            size: entry
                .visual()
                .map(|visual| (visual.width.into(), visual.height.into())),
            sound: sound(entry),
            edits: edits(trak),
            defaults: SampleDefaults {
                duration: trex.default_sample_duration,
                flags: trex.default_sample_flags,
            },
        })
    }

    /// Hex digest of what must be equal in every init segment of a rendition, so that one of them
    /// serves all chunks: decoder configuration, coded size, timescale and edit list. Other parts
    /// differ between versions of ffmpeg without harm.
    #[must_use]
    pub fn match_hash(&self) -> String {
        let described = format!(
            "{}|{:?}|{:?}|{:?}|{}|",
            self.timescale, self.size, self.sound, self.edits, self.codec.text
        );
        let digest = Sha256::new()
            .chain_update(described)
            .chain_update(&self.codec.configuration)
            .finalize();
        hex::encode(digest)
    }
}

fn sound(entry: &Codec) -> Option<(u32, u32)> {
    match entry {
        Codec::Mp4a(mp4a) => {
            let configured = mp4a.esds.es_desc.dec_config.dec_specific.as_ref();
            let channels = configured.and_then(|specific| aac_channels(specific.chan_conf));
            let channels = channels.unwrap_or(mp4a.audio.channel_count.into());
            Some((channels, mp4a.audio.sample_rate.integer().into()))
        }
        _ => None,
    }
}

/// Channels of a configuration of AAC (ISO/IEC 14496-3 table 1.19). The sample entry's own count is
/// 2 whatever is in the track, as old versions of the format require.
fn aac_channels(configuration: u8) -> Option<u32> {
    match configuration {
        1..=6 => Some(configuration.into()),
        7 => Some(8),
        _ => None,
    }
}

fn edits(trak: &Trak) -> Vec<(u64, Option<u64>)> {
    let list = trak.edts.as_ref().and_then(|edts| edts.elst.as_ref());
    list.iter()
        .flat_map(|list| &list.entries)
        .map(|edit| (edit.segment_duration, edit.media_time))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_init_segment_is_an_error() {
        assert_eq!(InitInfo::parse(b""), Err(CmafError::Missing("moov box")));
        assert_eq!(
            InitInfo::parse(b"\0\0\0\x08free"),
            Err(CmafError::Missing("moov box"))
        );
        assert!(matches!(
            InitInfo::parse(b"\0\0\0\x10moov\0\0\0\x08xxxx"),
            Err(CmafError::Invalid { .. })
        ));
    }

    /// Boxes in boxes, `depth` of them, each of one of these kinds.
    fn nested(kinds: &[&[u8; 4]], depth: u32) -> Vec<u8> {
        let boxes = (0..depth).flat_map(|i| {
            [
                (8 * (depth - i)).to_be_bytes(),
                *kinds[i as usize % kinds.len()],
            ]
        });
        boxes.flatten().collect()
    }

    #[test]
    fn boxes_in_boxes_do_not_use_up_the_stack() {
        // Each list is one way for the parser to call itself.
        for kinds in [
            &[b"moov"][..],
            &[b"moov", b"trak"],
            &[b"moov", b"udta", b"meta"],
            &[b"moof", b"traf"],
            &[b"stsd", b"sinf", b"schi"],
        ] {
            let bytes = nested(kinds, 200_000);
            let _ = InitInfo::parse(&bytes);
            let _ = crate::cmaf::FragmentInfo::parse(&bytes, SampleDefaults::default());
        }
    }

    proptest! {
        #[test]
        fn no_boxes_of_any_kind_make_it_panic(
            kinds in prop::collection::vec(prop::sample::select(vec![b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1", b"mp4a", b"esds",
                b"hvc1", b"hvcC", b"avcC", b"mvex", b"trex", b"edts", b"elst", b"udta", b"meta", b"mvhd", b"tkhd"]), 1..40),
            bytes in prop::collection::vec(any::<u8>(), 0..120),
        ) {
            let mut body = bytes;
            for kind in kinds.iter().rev() {
                body = [&u32::try_from(body.len() + 8).unwrap().to_be_bytes()[..], &kind[..], &body].concat();
            }

            let _ = InitInfo::parse(&body);
            let moov = [&u32::try_from(body.len() + 8).unwrap().to_be_bytes()[..], b"moov", &body].concat();
            let _ = InitInfo::parse(&moov);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = InitInfo::parse(&bytes);

            let mut boxed = [&u32::try_from(bytes.len() + 8).unwrap().to_be_bytes()[..], b"moov"].concat();
            boxed.extend_from_slice(&bytes);
            let _ = InitInfo::parse(&boxed);
        }
    }
}
