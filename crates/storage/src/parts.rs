//! Cutting a stream of bytes into parts of equal size, hashing as it passes.

use std::io;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};

use super::object::{Digest, Digester};

/// A stream being cut. Holds at most one part and one piece of its source.
pub(super) struct PartReader<S> {
    source: S,
    part_size: usize,
    rest: Bytes,
    digester: Digester,
}

impl<S: Stream<Item = io::Result<Bytes>> + Unpin> PartReader<S> {
    /// Cuts `source` into parts of `part_size` bytes; the last may be shorter.
    pub(super) fn new(source: S, part_size: usize) -> Self {
        Self {
            source,
            part_size,
            rest: Bytes::new(),
            digester: Digester::default(),
        }
    }

    /// The next part: full, or the last and shorter (never empty), or `None` at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let mut part = BytesMut::with_capacity(self.part_size);
        while part.len() < self.part_size {
            if self.rest.is_empty() {
                let Some(piece) = self.source.next().await.transpose()? else {
                    break;
                };
                self.rest = piece;
            }

            let wanted = self.rest.len().min(self.part_size - part.len());
            let taken = self.rest.split_to(wanted);
            self.digester.update(&taken);
            part.extend_from_slice(&taken);
        }

        Ok((!part.is_empty()).then(|| part.freeze()))
    }

    /// Size and hash of all parts taken so far.
    pub(super) fn digest(self) -> Digest {
        self.digester.finish()
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use proptest::prelude::*;

    use super::*;

    async fn cut(pieces: Vec<Vec<u8>>, part_size: usize) -> (Vec<Bytes>, Digest) {
        let mut parts = PartReader::new(
            stream::iter(pieces.into_iter().map(|piece| Ok(Bytes::from(piece)))),
            part_size,
        );
        let mut cut = Vec::new();
        while let Some(part) = parts.next().await.unwrap() {
            cut.push(part);
        }
        (cut, parts.digest())
    }

    proptest! {
        #[test]
        fn parts_are_full_but_the_last_and_together_are_the_source(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..12),
            part_size in 1_usize..50,
        ) {
            let whole = pieces.concat();
            let (parts, digest) = futures::executor::block_on(cut(pieces, part_size));
            prop_assert_eq!(parts.concat(), whole.clone());
            prop_assert_eq!(digest, Digest::of(&whole));
            if let Some((last, full)) = parts.split_last() {
                prop_assert!(full.iter().all(|part| part.len() == part_size));
                prop_assert!(!last.is_empty() && last.len() <= part_size);
            }
        }
    }

    #[test]
    fn a_broken_source_is_an_error_not_a_short_part() {
        let pieces = [
            Ok(Bytes::from_static(b"abc")),
            Err(io::Error::other("gone")),
        ];
        let mut parts = PartReader::new(stream::iter(pieces), 10);
        assert_eq!(
            futures::executor::block_on(parts.next())
                .unwrap_err()
                .to_string(),
            "gone"
        );
    }
}
