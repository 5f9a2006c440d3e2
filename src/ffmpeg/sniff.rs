//! What the first bytes of an upload say, before any process sees it: is it worth probing, and may it be probed at all?

use streams::Code;

/// So many bytes from the start of the object are enough for [`sniff`].
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
    /// ISO media whose index is there, but whose media data ends behind the end of the object.
    CutShort,
    /// Perhaps media: let ffprobe tell.
    Perhaps,
}

impl Sniff {
    /// The failure this means; nothing where probing shall decide.
    #[must_use]
    pub const fn code(self) -> Option<Code> {
        match self {
            Self::Empty => Some(Code::EmptyInput),
            Self::StillImage => Some(Code::StillImage),
            Self::Forbidden(_) => Some(Code::ForbiddenContainer),
            Self::Text => Some(Code::NotMedia),
            Self::NoMoov => Some(Code::TruncatedUpload),
            Self::CutShort => Some(Code::PartialInput),
            Self::Perhaps => None,
        }
    }
}

/// Judges the first bytes of an object of `size` bytes; `head` holds its first [`HEAD_BYTES`], or all of it.
#[must_use]
pub fn sniff(head: &[u8], size: u64) -> Sniff {
    if head.is_empty() {
        return Sniff::Empty;
    }
    if is_still_image(head) {
        return Sniff::StillImage;
    }
    if let Some(what) = forbidden(head) {
        return Sniff::Forbidden(what);
    }
    if is_text(head) {
        return Sniff::Text;
    }
    iso_media(head, size)
}

fn is_still_image(head: &[u8]) -> bool {
    let starts = |magic: &[u8]| head.starts_with(magic);
    let riff_webp = starts(b"RIFF") && head.get(8..12) == Some(b"WEBP");
    let heif =
        head.get(4..8) == Some(b"ftyp") && matches!(head.get(8..12), Some(b"heic" | b"heix" | b"mif1" | b"avif"));
    // A bitmap's header repeats zeros where a text that begins with the letters BM has none.
    let bitmap = starts(b"BM") && head.get(6..10) == Some(&[0; 4]);
    let magics: [&[u8]; 6] = [
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"II*\0",
        b"MM\0*",
        b"8BPS",
        b"\0\0\x01\0",
    ];
    riff_webp || heif || bitmap || magics.into_iter().any(starts)
}

/// Playlists, manifests and scripts, also behind a byte order mark and white space, in any case of letters.
fn forbidden(head: &[u8]) -> Option<&'static str> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let text: Vec<u8> = text
        .iter()
        .copied()
        // UTF-16 texts have a zero beside every letter, and begin with a mark of two bytes that are no letters.
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
        // The head may end within a letter.
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or(""),
        Err(_) => return false,
    };
    !text.is_empty()
        && !text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}' | '\u{1b}'))
}

/// Walks the top-level boxes (ISO/IEC 14496-12 section 4.2) as far as the head shows them.
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
            return if moov { Sniff::CutShort } else { Sniff::NoMoov };
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
    use crate::ffmpeg::testing::make;
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
        let utf16: Vec<u8> = "\u{feff}#EXTM3U".encode_utf16().flat_map(u16::to_le_bytes).collect();
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
        assert_eq!(sniff(&boxes(&[(b"ftyp", 24), (b"mdat", 0)]), 500), Sniff::NoMoov);
    }

    #[test]
    fn media_data_behind_the_end_of_the_object_is_cut_short() {
        let head = boxes(&[(b"ftyp", 24), (b"moov", 200), (b"free", 8), (b"mdat", 4000)]);
        assert_eq!(sniff(&head, 3000), Sniff::CutShort);
        assert_eq!(sniff(&head, 4232), Sniff::Perhaps);
    }

    #[tokio::test]
    async fn real_files_pass_and_their_truncated_twins_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let source = "-f lavfi -i testsrc=s=64x64:r=25:d=2";
        for (name, options, truncated) in [
            ("plain.mp4", "", Sniff::NoMoov),
            ("fast.mp4", "-movflags +faststart", Sniff::CutShort),
            ("plain.mkv", "", Sniff::Perhaps),
            ("plain.ts", "", Sniff::Perhaps),
            ("plain.gif", "", Sniff::Perhaps),
        ] {
            let bytes = std::fs::read(make(folder.path(), name, &format!("{source} {options}")).await).unwrap();
            let judge = |length: usize| sniff(&bytes[..length.min(HEAD_BYTES)], length as u64);
            assert_eq!(judge(bytes.len()), Sniff::Perhaps, "{name}");
            assert_eq!(judge(bytes.len() * 6 / 10), truncated, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(head in prop::collection::vec(any::<u8>(), 0..300), size: u64) {
            let _ = sniff(&head, size);
        }

        #[test]
        fn no_boxes_make_it_panic_or_turn_for_ever(list in prop::collection::vec((prop::sample::select(vec![b"ftyp", b"moov", b"mdat", b"free"]), any::<u32>()), 1..9), size: u64) {
            let _ = sniff(&boxes(&list), size);
        }
    }
}
