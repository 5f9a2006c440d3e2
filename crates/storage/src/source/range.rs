//! The `Range` header (RFC 9110, section 14). Pure.

use std::ops::Range;

use http_range_header::{SyntacticallyCorrectRange, parse_range_header};

/// Which bytes of a source a request wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RequestedRange {
    /// All of them: there was no range, or one that the RFC lets a server ignore (malformed, other
    /// units, several).
    Whole,
    /// These.
    Part(Range<u64>),
    /// Bytes that do not exist.
    Unsatisfiable,
}

/// Reads a `Range` header for an object of `size` bytes.
pub(super) fn parse_range(header: Option<&str>, size: u64) -> RequestedRange {
    let ranges = header
        .and_then(|header| parse_range_header(header).ok())
        .map(|parsed| parsed.into_ranges());
    let part = match ranges.as_deref() {
        Some([SyntacticallyCorrectRange::FromStart(first)]) => *first..size,
        Some([SyntacticallyCorrectRange::FromLast(length)]) => size.saturating_sub(*length)..size,
        Some([SyntacticallyCorrectRange::Indexed(first, last)]) => {
            *first..last.saturating_add(1).min(size)
        }
        _ => return RequestedRange::Whole,
    };

    if part.is_empty() {
        RequestedRange::Unsatisfiable
    } else {
        RequestedRange::Part(part)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_range_is_served_and_what_cannot_be_is_said_so() {
        let table = [
            (None, RequestedRange::Whole),
            (Some("bytes=0-"), RequestedRange::Part(0..100)),
            (Some("bytes=10-19"), RequestedRange::Part(10..20)),
            (Some("bytes=99-99"), RequestedRange::Part(99..100)),
            (Some("bytes=90-1000"), RequestedRange::Part(90..100)),
            (
                Some("bytes=90-18446744073709551615"),
                RequestedRange::Part(90..100),
            ),
            (Some("bytes=-10"), RequestedRange::Part(90..100)),
            (Some("bytes=-1000"), RequestedRange::Part(0..100)),
            (Some("bytes=100-"), RequestedRange::Unsatisfiable),
            (Some("bytes=-0"), RequestedRange::Unsatisfiable),
            (Some("bytes=0-9,20-29"), RequestedRange::Whole),
            (Some("bytes=9-0"), RequestedRange::Whole),
            (Some("lines=0-9"), RequestedRange::Whole),
            (Some("nonsense"), RequestedRange::Whole),
        ];

        for (header, expected) in table {
            assert_eq!(parse_range(header, 100), expected, "{header:?}");
        }
        assert_eq!(
            parse_range(Some("bytes=0-"), 0),
            RequestedRange::Unsatisfiable
        );
    }

    proptest! {
        #[test]
        fn a_part_is_never_empty_and_never_beyond_the_end(header in "bytes=[0-9]{0,20}-[0-9]{0,20}", size: u64) {
            if let RequestedRange::Part(part) = parse_range(Some(&header), size) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }
    }
}
