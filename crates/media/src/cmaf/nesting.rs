//! How deep boxes are nested, checked before they are read: the parser uses a level of the stack
//! for each, and an exhausted stack ends the process.

use mp4_atom::FourCC;

use super::CmafError;

/// Largest nesting depth of boxes; the deepest box that fluxhls writes has nine.
const MAX_DEPTH: usize = 32;

/// Refuses the body of a box in which others may be nested too deeply. Whatever looks like a box
/// counts, wherever it begins, so that none can hide in another; this also counts some that are not
/// boxes.
pub(crate) fn check(kind: FourCC, body: &[u8]) -> Result<(), CmafError> {
    let mut ends: Vec<usize> = Vec::new();
    for at in 0..body.len().saturating_sub(7) {
        let Some(end) = end_of_box(body, at) else {
            continue;
        };
        // Boxes that end here no longer lie around what follows.
        ends.retain(|end| *end > at);
        ends.push(end);

        if ends.len() > MAX_DEPTH {
            return Err(CmafError::TooDeep {
                kind: kind.to_string(),
                limit: MAX_DEPTH,
            });
        }
    }

    Ok(())
}

/// Where the box that may begin at `at` ends; none if none can.
fn end_of_box(body: &[u8], at: usize) -> Option<usize> {
    let header = &body[at..];
    let is_letter = |byte: &u8| matches!(byte, b' '..=b'~' | 0xa9);

    if !header[4..8].iter().all(is_letter) {
        return None;
    }

    let short = u32::from_be_bytes(header[..4].try_into().ok()?);
    // Sizes 0 and 1 have a special meaning (ISO/IEC 14496-12 section 4.2): to the end, and a 64-bit
    // size after the kind.
    let length = match short {
        // To the end of its parent.
        0 => header.len(),
        1 => usize::try_from(u64::from_be_bytes(header.get(8..16)?.try_into().ok()?)).ok()?,
        short => short as usize,
    };

    (8..=header.len()).contains(&length).then_some(at + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `depth` boxes in each other, with as many bytes before each as `gap` says.
    fn nested(depth: usize, gap: usize) -> Vec<u8> {
        (0..depth).fold(Vec::new(), |inner, _| {
            let length = u32::try_from(8 + gap + inner.len()).unwrap();
            [&length.to_be_bytes()[..], b"udta", &vec![0xff; gap], &inner].concat()
        })
    }

    #[test]
    fn boxes_may_lie_in_each_other_up_to_a_limit_wherever_they_begin() {
        for gap in [0, 1, 4, 78] {
            assert_eq!(
                check(FourCC::new(b"moov"), &nested(MAX_DEPTH, gap)),
                Ok(()),
                "{gap}"
            );
            assert!(
                check(FourCC::new(b"moov"), &nested(MAX_DEPTH + 1, gap)).is_err(),
                "{gap}"
            );
        }

        let side_by_side = nested(2, 0).repeat(10_000);
        assert_eq!(check(FourCC::new(b"moov"), &side_by_side), Ok(()));

        for short in 0..10 {
            assert_eq!(check(FourCC::new(b"moov"), &vec![0; short]), Ok(()));
        }
    }

    #[test]
    fn boxes_to_the_end_and_boxes_of_long_lengths_count_too() {
        let open = b"\0\0\0\0udta".repeat(MAX_DEPTH + 1);
        assert!(check(FourCC::new(b"moov"), &open).is_err());

        let depth = MAX_DEPTH as u64 + 1;
        let long: Vec<u8> = (0..depth)
            .flat_map(|i| {
                [
                    b"\0\0\0\x01udta".to_vec(),
                    (16 * (depth - i)).to_be_bytes().to_vec(),
                ]
                .concat()
            })
            .collect();
        assert!(check(FourCC::new(b"moov"), &long).is_err());
    }
}
