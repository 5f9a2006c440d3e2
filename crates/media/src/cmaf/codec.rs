//! Codec strings for playlists (RFC 6381; for H.265 ISO/IEC 14496-15 annex E) and the bytes a
//! decoder is set up by.

use mp4_atom::{Avcc, Codec, Encode, Hvcc, Mp4a};

use super::CmafError;

/// The codec of a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackCodec {
    /// RFC 6381 text, e.g. `avc1.640028`.
    pub text: String,
    /// The decoder's configuration, byte for byte.
    pub(super) configuration: Vec<u8>,
}

/// The codec of a sample entry; an error for codecs that fluxhls does not write.
pub(super) fn read(codec: &Codec) -> Result<TrackCodec, CmafError> {
    let mut configuration = Vec::new();
    let (text, encoded) = match codec {
        Codec::Avc1(entry) => (avc(&entry.avcc), entry.avcc.encode(&mut configuration)),
        Codec::Hvc1(entry) => (hevc(&entry.hvcc), entry.hvcc.encode(&mut configuration)),
        Codec::Mp4a(entry) => {
            let decoder = &entry.esds.es_desc.dec_config;
            configuration.push(decoder.object_type_indication);
            configuration.extend(
                decoder
                    .dec_specific
                    .iter()
                    .flat_map(|specific| specific.raw.clone()),
            );
            (mp4a(entry), Ok(()))
        }
        _ => return Err(CmafError::Missing("sample entry for H.264, H.265 or AAC")),
    };

    encoded.map_err(|error| CmafError::invalid("stsd", &error))?;
    Ok(TrackCodec {
        text,
        configuration,
    })
}

/// The text of H.264 with this configuration.
pub(crate) fn avc(avcc: &Avcc) -> String {
    let (profile, compatibility, level) = (
        avcc.avc_profile_indication,
        avcc.profile_compatibility,
        avcc.avc_level_indication,
    );
    format!("avc1.{profile:02x}{compatibility:02x}{level:02x}")
}

fn hevc(hvcc: &Hvcc) -> String {
    let space = ["", "A", "B", "C"][usize::from(hvcc.general_profile_space & 3)];

    // ISO/IEC 14496-15 annex E writes the flags with their bits reversed, as a hexadecimal number.
    let compatibility = u32::from_be_bytes(hvcc.general_profile_compatibility_flags).reverse_bits();
    let tier = if hvcc.general_tier_flag { 'H' } else { 'L' };
    let mut text = format!(
        "hvc1.{space}{}.{compatibility:X}.{tier}{}",
        hvcc.general_profile_idc, hvcc.general_level_idc
    );

    // Trailing zero bytes are left out, by the same annex.
    let constraints = &hvcc.general_constraint_indicator_flags;
    let used = constraints
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    for byte in &constraints[..used] {
        text.push_str(&format!(".{byte:X}"));
    }

    text
}

fn mp4a(entry: &Mp4a) -> String {
    let decoder = &entry.esds.es_desc.dec_config;
    match &decoder.dec_specific {
        Some(specific) => format!(
            "mp4a.{:x}.{}",
            decoder.object_type_indication, specific.profile
        ),
        None => format!("mp4a.{:x}", decoder.object_type_indication),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_h264_text_is_profile_compatibility_and_level() {
        let avcc = Avcc {
            avc_profile_indication: 100,
            profile_compatibility: 0,
            avc_level_indication: 40,
            ..Default::default()
        };
        assert_eq!(avc(&avcc), "avc1.640028");
    }

    #[test]
    fn an_h265_text_reverses_the_compatibility_bits_and_drops_trailing_zeros() {
        let hvcc = Hvcc {
            configuration_version: 1,
            general_profile_idc: 1,
            general_profile_compatibility_flags: [0x60, 0, 0, 0],
            general_constraint_indicator_flags: [0x90, 0, 0, 0, 0, 0],
            general_level_idc: 93,
            ..Hvcc::new()
        };
        assert_eq!(hevc(&hvcc), "hvc1.1.6.L93.90");
    }
}
