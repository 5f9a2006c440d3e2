//! What the first bytes of an upload say, before any process sees it: is it worth probing, and may
//! it be probed at all?

use media::ladder::Refusal;
use streams::Code;

/// Number of bytes from the start of the object that are enough for [`sniff`].
pub const HEAD_BYTES: usize = 64 * 1024;

/// What the first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sniff {
    /// There are none.
    Empty,
    /// A picture.
    StillImage,
    /// A text that makes media programs open other files or hosts: what it is.
    Forbidden(&'static str),
    /// Some other text.
    Text,
    /// ISO media whose index (`moov`) lies behind the end of the object.
    NoMoov,
    /// Media that is encrypted.
    Protected,
    /// A WebP that moves: a film, where ffmpeg can decode it.
    AnimatedWebp,
    /// Perhaps media: ffprobe decides.
    Perhaps,
}

impl Sniff {
    /// The failure for this content; none if probing decides.
    #[must_use]
    pub const fn code(self) -> Option<Code> {
        match self {
            Self::Empty => Some(Code::EmptyInput),
            Self::StillImage => Some(Code::StillImage),
            Self::Forbidden(_) => Some(Code::ForbiddenContainer),
            Self::Text => Some(Code::NotMedia),
            Self::NoMoov => Some(Code::TruncatedUpload),
            Self::Protected => Some(Code::Protected),
            Self::Perhaps | Self::AnimatedWebp => None,
        }
    }

    /// The failure for such bytes when the probe gives up, if that says more than the probe can.
    #[must_use]
    pub fn explain(self, code: Code) -> Option<Refusal> {
        let is_unknown = matches!(
            code,
            Code::ForbiddenContainer | Code::NotMedia | Code::NoTracks
        );
        (self == Self::AnimatedWebp && is_unknown).then(|| {
            let message = "The file is an animated WebP, which this server's ffmpeg cannot decode (ffmpeg 9 can); please upload it as a GIF or a video.";
            Refusal::new(Code::UnsupportedCodec, message)
        })
    }
}

/// Judges the first bytes of an object of `size` bytes; `head` holds its first [`HEAD_BYTES`], or
/// all of it.
#[must_use]
pub fn sniff(head: &[u8], size: u64) -> Sniff {
    if head.is_empty() {
        return Sniff::Empty;
    }

    // This comes before still images, whose rule takes every WebP.
    if is_animated_webp(head) {
        return Sniff::AnimatedWebp;
    }
    if is_still_image(head) {
        return Sniff::StillImage;
    }

    // Playlists and scripts are texts as well, and have their own code.
    if let Some(what) = forbidden_format(head) {
        return Sniff::Forbidden(what);
    }
    if is_text(head) {
        return Sniff::Text;
    }

    if is_protected(head) || is_scrambled(head) {
        return Sniff::Protected;
    }

    iso_media(head, size)
}

/// Where the index of ISO media begins if it is after the media, so that the head does not contain
/// it; none for all others. The bytes there are for [`is_protected`].
#[must_use]
pub fn index_at(head: &[u8], size: u64) -> Option<u64> {
    let mut at = 0_u64;
    while let Some((kind, length)) = box_at(head, at) {
        at = length
            .and_then(|length| at.checked_add(length))
            .filter(|end| *end < size)?;

        if kind == *b"mdat" {
            return Some(at);
        }
        if !matches!(
            &kind,
            b"ftyp" | b"wide" | b"free" | b"skip" | b"uuid" | b"pnot"
        ) {
            return None;
        }
    }
    None
}

/// Whether bytes of an index say that the media is encrypted: by Common Encryption or the like in
/// ISO media (`sinf`, ISO/IEC 14496-12 section 8.12), in Matroska (`ContentEncAlgo` AES, RFC 9559
/// section 5.1.4.1.31) or in ASF (its two objects on encryption).
#[must_use]
pub fn is_protected(bytes: &[u8]) -> bool {
    const ASF: [[u8; 16]; 2] = [
        *b"\xfb\xb3\x11\x22\x23\xbd\xd2\x11\xb4\xb7\x00\xa0\xc9\x55\xfc\x6e",
        *b"\x14\xe6\x8a\x29\x22\x26\x17\x4c\xb9\x35\xda\xe0\x7e\xe9\x28\x9c",
    ];

    let holds = |wanted: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
    let scheme = bytes
        .windows(12)
        .any(|window| &window[..4] == b"sinf" && &window[8..] == b"frma");

    match bytes.get(..4) {
        Some(b"\x1a\x45\xdf\xa3") => holds(b"\x47\xe1\x81\x05"),
        Some(b"\x30\x26\xb2\x75") => ASF.iter().any(|object| holds(object)),
        _ => scheme,
    }
}

/// Whether most packets of a transport stream that carry anything are scrambled (ISO/IEC 13818-1
/// section 2.4.3.3).
fn is_scrambled(head: &[u8]) -> bool {
    const PACKET: usize = 188;
    let packets = || head.chunks_exact(PACKET);
    if packets().len() < 5 || packets().any(|packet| packet[0] != 0x47) {
        return false;
    }

    // It has a payload, and is no null packet (PID 0x1fff).
    let carries =
        |packet: &&[u8]| packet[3] & 0x10 != 0 && (packet[1] & 0x1f, packet[2]) != (0x1f, 0xff);
    let scrambled = packets()
        .filter(carries)
        .filter(|packet| packet[3] & 0xc0 != 0);
    2 * scrambled.count() > packets().filter(carries).count()
}

/// Whether a WebP says that it is animated (RFC 9649 section 2.7.1).
fn is_animated_webp(head: &[u8]) -> bool {
    let is_webp = head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP");
    is_webp && head.get(12..16) == Some(b"VP8X") && head.get(20).is_some_and(|flags| flags & 2 != 0)
}

/// Whether a PNG says that it is animated: its control chunk comes before its first data (PNG third
/// edition, section 11.3.6.1).
fn is_animated_png(head: &[u8]) -> bool {
    let first = |kind: &[u8; 4]| head.windows(4).position(|window| window == kind);
    match (first(b"acTL"), first(b"IDAT")) {
        (Some(control), Some(data)) => control < data,
        (control, _) => control.is_some(),
    }
}

fn is_still_image(head: &[u8]) -> bool {
    let starts = |magic: &[u8]| head.starts_with(magic);
    let riff_webp = starts(b"RIFF") && head.get(8..12) == Some(b"WEBP");
    let heif = head.get(4..8) == Some(b"ftyp")
        && matches!(head.get(8..12), Some(b"heic" | b"heix" | b"mif1" | b"avif"));
    // The header of a bitmap has zeros where a text that begins with the letters BM has none.
    let bitmap = starts(b"BM") && head.get(6..10) == Some(&[0; 4]);
    let magics: [&[u8]; 5] = [b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"8BPS", b"\0\0\x01\0"];
    let png = starts(b"\x89PNG\r\n\x1a\n") && !is_animated_png(head);

    riff_webp || heif || bitmap || png || magics.into_iter().any(starts)
}

/// Playlists, manifests and scripts, also after a byte order mark and white space, in upper or
/// lower case.
fn forbidden_format(head: &[u8]) -> Option<&'static str> {
    // Speech of telephones begins as scripts do.
    if head.starts_with(b"#!AMR") {
        return None;
    }

    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let text: Vec<u8> = text
        .iter()
        .copied()
        // UTF-16 texts have a zero next to every letter, and begin with a mark of two bytes that
        // are not letters.
        .filter(|byte| !matches!(byte, 0 | 0xfe | 0xff))
        .skip_while(u8::is_ascii_whitespace)
        .take(32)
        .map(|byte| byte.to_ascii_lowercase())
        .collect();

    const MAGICS: &[(&[u8], &str)] = &[
        (b"#extm3u", "an HLS playlist"),
        (b"#ext-x-", "an HLS playlist"),
        (b"ffconcat", "a concatenation script"),
        (b"<mpd", "a DASH manifest"),
        (b"<?xml", "an XML document"),
        (b"<smil", "a SMIL document"),
        (b"<svg", "an SVG document"),
        (b"<!doctype", "a document"),
        (b"<html", "a web page"),
        (b"<asx", "a playlist"),
        (b"<smoothstreamingmedia", "a Smooth Streaming manifest"),
        (b"v=0", "a session description"),
        (b"[playlist]", "a playlist"),
        (b"[reference]", "a playlist"),
        (b"rtsptext", "a playlist"),
        (b"#!", "a script"),
        (b";ffmetadata", "a metadata script"),
    ];

    MAGICS
        .iter()
        .find(|(magic, _)| text.starts_with(magic))
        .map(|(_, what)| *what)
}

fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The head may end within a character.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or("")
        }
        Err(_) => return false,
    };
    !text.is_empty()
        && !text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}' | '\u{1b}'))
}

/// Walks the top-level boxes (ISO/IEC 14496-12 section 4.2) as far as the head contains them. Media
/// data that ends after the end of the object may be cut, or its size may be slightly wrong: its
/// packets decide that.
fn iso_media(head: &[u8], size: u64) -> Sniff {
    if !matches!(
        head.get(4..8),
        Some(b"ftyp" | b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"pnot")
    ) {
        return Sniff::Perhaps;
    }

    let (mut at, mut moov) = (0_u64, false);
    while let Some((kind, length)) = box_at(head, at) {
        let Some(end) = length.and_then(|length| at.checked_add(length)) else {
            // A box without a length lasts to the end of the file.
            return if moov || kind == *b"moov" {
                Sniff::Perhaps
            } else {
                Sniff::NoMoov
            };
        };

        moov |= kind == *b"moov" && end <= size;
        if end > size {
            return if moov { Sniff::Perhaps } else { Sniff::NoMoov };
        }
        at = end;
    }
    Sniff::Perhaps
}

/// Kind and whole length of the box at `at`; no length where the box lasts to the end of the file.
fn box_at(head: &[u8], at: u64) -> Option<([u8; 4], Option<u64>)> {
    let header = head.get(usize::try_from(at).ok()?..)?;
    let short = u32::from_be_bytes(header.get(..4)?.try_into().ok()?);
    let kind = header.get(4..8)?.try_into().ok()?;
    // A box is at least as long as its header, or the walk would never end.
    let length = match short {
        0 => None,
        1 => Some(u64::from_be_bytes(header.get(8..16)?.try_into().ok()?).max(16)),
        short => Some(u64::from(short).max(8)),
    };
    Some((kind, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::make;
    use proptest::prelude::*;

    fn boxes(list: &[(&[u8; 4], u32)]) -> Vec<u8> {
        list.iter()
            .flat_map(|(kind, length)| {
                let mut bytes = length.to_be_bytes().to_vec();
                bytes.extend_from_slice(*kind);
                bytes.resize((*length as usize).clamp(8, 4096), 0);
                bytes
            })
            .collect()
    }

    #[test]
    fn pictures_are_told_by_their_first_bytes() {
        for head in [
            &b"\xff\xd8\xff\xe0\0\x10JFIF"[..],
            b"\x89PNG\r\n\x1a\n\0\0",
            b"RIFF\x10\0\0\0WEBPVP8 ",
            b"BM\x36\0\0\0\0\0\0\0\x36\0",
            b"II*\0\x08\0",
            b"MM\0*\0\0",
        ] {
            assert_eq!(sniff(head, 100), Sniff::StillImage, "{head:?}");
        }
    }

    #[test]
    fn pictures_that_move_are_films_and_speech_is_no_script() {
        let png = |chunks: &str| format!("PNG\r\n\u{1a}\n----IHDR{chunks}").into_bytes();
        let png = |chunks: &str| [b"\x89".as_slice(), &png(chunks)].concat();
        assert_eq!(sniff(&png("acTL----IDAT"), 100), Sniff::Perhaps);
        assert_eq!(sniff(&png("IDAT----acTL"), 100), Sniff::StillImage);

        let webp = |flags: u8| {
            [
                b"RIFF\x10\0\0\0WEBPVP8X\x0a\0\0\0".as_slice(),
                &[flags, 0, 0, 0],
            ]
            .concat()
        };
        assert_eq!(sniff(&webp(2), 100), Sniff::AnimatedWebp);
        assert_eq!(sniff(&webp(0), 100), Sniff::StillImage);
        assert_eq!(sniff(b"#!AMR\n\x3c\x91\x17", 100), Sniff::Perhaps);
    }

    #[test]
    fn encrypted_media_is_told_by_its_index_and_its_packets() {
        let index = b"\0\0\0\x60encv----\0\0\0\x20sinf\0\0\0\x0cfrmaavc1";
        assert!(is_protected(index) && !is_protected(&index[..16]));

        let packet = |scrambling: u8| {
            let mut packet = vec![0x47, 0x01, 0x00, 0x10 | scrambling];
            packet.resize(188, 0);
            packet
        };
        let stream = |scrambling: u8| packet(scrambling).repeat(20);
        assert_eq!(sniff(&stream(0x80), 9999), Sniff::Protected);
        assert_eq!(sniff(&stream(0), 9999), Sniff::Perhaps);
        assert_eq!(
            sniff(&[stream(0), packet(0xc0)].concat(), 9999),
            Sniff::Perhaps
        );
    }

    #[test]
    fn an_index_behind_the_media_is_found_by_the_length_of_the_media() {
        let head = boxes(&[(b"ftyp", 24), (b"free", 8), (b"mdat", 100_000)]);
        assert_eq!(index_at(&head, 200_000), Some(100_032));
        assert_eq!(index_at(&head, 100_032), None);
        assert_eq!(
            index_at(&boxes(&[(b"ftyp", 24), (b"moov", 200), (b"mdat", 90)]), 314),
            None
        );
    }

    #[test]
    fn texts_that_name_other_files_are_forbidden_however_they_are_dressed() {
        for head in [
            "#EXTM3U\n",
            "\u{feff}#EXTM3U",
            " \r\n\t#extm3u",
            "ffconcat version 1.0\nfile x",
            "<MPD xmlns",
            "<?xml version",
            "v=0\r\no=-",
            "[playlist]\n",
        ] {
            assert_eq!(
                sniff(head.as_bytes(), 100).code(),
                Some(Code::ForbiddenContainer),
                "{head:?}"
            );
        }

        let utf16: Vec<u8> = "\u{feff}#EXTM3U"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(sniff(&utf16, 100).code(), Some(Code::ForbiddenContainer));
    }

    #[test]
    fn nothing_and_plain_words_are_no_media() {
        assert_eq!(sniff(b"", 0), Sniff::Empty);
        assert_eq!(sniff("Grüße von der Küste\n".as_bytes(), 20), Sniff::Text);
        assert_eq!(sniff(&"ü".as_bytes()[..1], 1), Sniff::Perhaps);
    }

    #[test]
    fn an_index_behind_the_end_of_the_object_is_missing() {
        let head = boxes(&[(b"ftyp", 24), (b"mdat", 1000)]);
        assert_eq!(sniff(&head, 500), Sniff::NoMoov);
        assert_eq!(sniff(&head, 5000), Sniff::Perhaps);
        assert_eq!(
            sniff(&boxes(&[(b"ftyp", 24), (b"mdat", 0)]), 500),
            Sniff::NoMoov
        );
    }

    #[test]
    fn media_data_behind_the_end_of_the_object_is_for_the_probe_to_judge() {
        let head = boxes(&[(b"ftyp", 24), (b"moov", 200), (b"free", 8), (b"mdat", 4000)]);
        assert_eq!(sniff(&head, 3000), Sniff::Perhaps);
        assert_eq!(sniff(&head, 4232), Sniff::Perhaps);
    }

    #[tokio::test]
    async fn real_files_pass_and_their_truncated_twins_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let source = "-f lavfi -i testsrc=s=64x64:r=25:d=2";
        for (name, options, truncated) in [
            ("plain.mp4", "", Sniff::NoMoov),
            ("fast.mp4", "-movflags +faststart", Sniff::Perhaps),
            ("plain.mkv", "", Sniff::Perhaps),
            ("plain.ts", "", Sniff::Perhaps),
            ("plain.gif", "", Sniff::Perhaps),
        ] {
            let bytes =
                std::fs::read(make(folder.path(), name, &format!("{source} {options}")).await)
                    .unwrap();
            let judge = |length: usize| sniff(&bytes[..length.min(HEAD_BYTES)], length as u64);
            assert_eq!(judge(bytes.len()), Sniff::Perhaps, "{name}");
            assert_eq!(judge(bytes.len() * 6 / 10), truncated, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(head in prop::collection::vec(any::<u8>(), 0..300), size: u64) {
            let _ = (sniff(&head, size), index_at(&head, size));
        }

        #[test]
        fn no_boxes_make_it_panic_or_turn_for_ever(list in prop::collection::vec((prop::sample::select(vec![b"ftyp", b"moov", b"mdat", b"free"]), any::<u32>()), 1..9), size: u64) {
            let _ = sniff(&boxes(&list), size);
        }
    }
}
