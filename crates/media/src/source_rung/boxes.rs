//! Boxes of an ISO file (ISO/IEC 14496-12 section 4.2), read one level at a time, so that boxes
//! nobody asks for stay unread.

use mp4_atom::{DecodeMaybe, FourCC, Header};

use super::IndexError;

/// The length in bytes of the longest box header: size, kind, and a 64-bit size.
pub const BOX_HEADER_BYTES: usize = 16;

/// The consecutive boxes in `body`, each as its kind and its own body.
pub(super) fn boxes(body: &[u8]) -> Boxes<'_> {
    Boxes(body)
}

/// The body of the first box of this kind in `body`.
pub(super) fn find<'a>(body: &'a [u8], kind: &[u8; 4]) -> Result<Option<&'a [u8]>, IndexError> {
    for found in boxes(body) {
        let (found, inner) = found?;
        if found == FourCC::new(kind) {
            return Ok(Some(inner));
        }
    }

    Ok(None)
}

/// See [`boxes`].
pub(super) struct Boxes<'a>(&'a [u8]);

impl<'a> Iterator for Boxes<'a> {
    type Item = Result<(FourCC, &'a [u8]), IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        let header = match Header::decode_maybe(&mut self.0) {
            Ok(header) => header?,
            Err(error) => return Some(Err(self.fail(error.to_string()))),
        };

        // A box without a size extends to the end of its container.
        let length = header.size.unwrap_or(self.0.len());
        let Some((inner, rest)) = self.0.split_at_checked(length) else {
            return Some(Err(self.fail(format!("a {} box is truncated", header.kind))));
        };
        self.0 = rest;
        Some(Ok((header.kind, inner)))
    }
}

impl Boxes<'_> {
    /// Ends the iteration: after a broken box, the start of the next one is unknown.
    fn fail(&mut self, what: String) -> IndexError {
        self.0 = &[];
        IndexError::Damaged(what)
    }
}

/// The next step of the search for the index, given one top-level box of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileBox {
    /// This is the index. It has this many bytes from the start of its header.
    Moov {
        /// The length of the whole box in bytes.
        bytes: u64,
    },
    /// This is another box. The next one begins at this byte of the file.
    Other {
        /// The offset of the next header.
        next: u64,
    },
}

/// Reads the header of the box that begins at byte `at` of a file of `object_bytes`. `header` has
/// the first [`BOX_HEADER_BYTES`] bytes of the box, or fewer if the file ends earlier. A search
/// begins at 0 and follows [`FileBox::Other`].
///
/// # Errors
/// [`IndexError`] if the file ends without an index, the file is fragmented, the index is too
/// large, or the bytes are not a valid box.
pub fn read_file_box(header: &[u8], at: u64, object_bytes: u64) -> Result<FileBox, IndexError> {
    let rest = object_bytes.saturating_sub(at);
    let mut body = &header[..header.len().min(BOX_HEADER_BYTES)];
    let given = body.len();

    let header = Header::decode_maybe(&mut body)
        .map_err(|error| IndexError::Damaged(error.to_string()))?
        .ok_or(IndexError::Missing("moov box"))?;
    let header_bytes = (given - body.len()) as u64;
    let bytes = match header.size {
        Some(size) => (size as u64).saturating_add(header_bytes),
        None => rest,
    };

    if header.kind == FourCC::new(b"moof") {
        return Err(IndexError::Fragmented);
    }

    if header.kind == FourCC::new(b"moov") {
        return match bytes {
            bytes if bytes > rest => Err(IndexError::Damaged("the moov box is truncated".into())),
            bytes if bytes > super::MAX_MOOV_BYTES => Err(IndexError::too_large(
                "bytes in the moov box",
                super::MAX_MOOV_BYTES,
            )),
            bytes => Ok(FileBox::Moov { bytes }),
        };
    }

    // No index can follow media data that reaches the end of the file.
    if bytes >= rest {
        return Err(IndexError::Missing("moov box"));
    }
    Ok(FileBox::Other { next: at + bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_index_is_found_before_and_behind_the_media_data() {
        let at = |header: &[u8], at, bytes| read_file_box(header, at, bytes);

        assert_eq!(
            at(b"\0\0\0\x20ftypisom\0\0\x02\0", 0, 10_000),
            Ok(FileBox::Other { next: 32 })
        );
        assert_eq!(
            at(b"\0\0\0\x01mdat\0\0\0\x01\0\0\0\0", 32, 1 << 40),
            Ok(FileBox::Other {
                next: (1 << 32) + 32
            })
        );
        assert_eq!(
            at(b"\0\0\x01\0moov\0\0\0\x08free", 9744, 10_000),
            Ok(FileBox::Moov { bytes: 256 })
        );
        // The box extends to the end of the file.
        assert_eq!(
            at(b"\0\0\0\0moov\0\0\0\x08free", 9_000, 10_000),
            Ok(FileBox::Moov { bytes: 1_000 })
        );
    }

    #[test]
    fn a_file_without_an_index_ends_the_search() {
        let at = |header: &[u8], at, bytes| read_file_box(header, at, bytes);
        let missing = Err(IndexError::Missing("moov box"));

        assert_eq!(at(b"", 100, 100), missing);
        assert_eq!(at(b"\0\0\0\0mdat\0\0\0\0\0\0\0\0", 32, 500), missing);
        assert_eq!(at(b"\0\0\x10\0mdat\0\0\0\0\0\0\0\0", 32, 500), missing);
        assert_eq!(at(b"\0\0\0\x20moof", 32, 500), Err(IndexError::Fragmented));

        for broken in [&b"\0\0\x10\0moov"[..], b"\0\0\0\x04moov"] {
            assert!(matches!(at(broken, 32, 500), Err(IndexError::Damaged(_))));
        }
        assert!(matches!(
            at(b"\x7f\0\0\0moov", 0, u64::MAX),
            Err(IndexError::TooLarge { .. })
        ));
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic_and_every_search_goes_on(
            header in prop::collection::vec(any::<u8>(), 0..20), at: u64, bytes: u64,
        ) {
            if let Ok(FileBox::Other { next }) = read_file_box(&header, at, bytes) {
                prop_assert!(next > at && next < bytes);
            }
        }

        #[test]
        fn no_bytes_make_the_walk_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let total: usize = boxes(&bytes).flatten().map(|(_, body)| body.len()).sum();
            prop_assert!(total <= bytes.len());
        }
    }
}
