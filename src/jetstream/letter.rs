//! Dead letters as messages: what could not be done, with the original bytes, the original headers, and the reason.

use async_nats::HeaderMap;
use bytes::Bytes;
use streams::{Code, dead};

use super::Outgoing;

/// Room that a letter's headers and the protocol may take, in bytes: JetStream takes at most 64 KiB of headers.
const HEADERS: usize = 64 * 1024;

/// Why a message is a dead letter.
#[derive(Debug, Clone)]
pub struct Grief<'a> {
    /// Stream it came from.
    pub stream: &'a str,
    /// Its sequence there.
    pub seq: u64,
    /// The stable failure word.
    pub code: Code,
    /// One sentence.
    pub reason: &'a str,
}

/// The letter on `subject` about a message of `payload` and `original` headers. It fits a server that takes `limit` bytes in one
/// message: what does not is left out, and [`dead::CUT`] says so.
#[must_use]
pub fn letter(
    subject: String,
    grief: &Grief<'_>,
    payload: Bytes,
    original: Option<&HeaderMap>,
    limit: usize,
) -> Outgoing {
    let original = original.cloned().unwrap_or_default();
    let (headers_fit, room) = (size(&original) <= dead::MAX_ORIGINAL, limit.saturating_sub(HEADERS));
    let body_fits = payload.len() <= room;
    let mut letter = Outgoing::json(subject, payload.slice(..payload.len().min(room)));
    if headers_fit {
        letter = letter.with_headers_of(&original);
    }
    let cut: Vec<&str> = [(headers_fit, "headers"), (body_fits, "body")]
        .into_iter()
        .filter_map(|(fits, what)| (!fits).then_some(what))
        .collect();
    if !cut.is_empty() {
        letter = letter.with_header(dead::CUT, &cut.join(","));
    }
    letter
        .with_header(dead::ORIGIN_STREAM, grief.stream)
        .with_header(dead::ORIGIN_SEQ, &grief.seq.to_string())
        .with_header(dead::CODE, grief.code.as_str())
        .with_header(dead::REASON, &dead::line(grief.reason, dead::MAX_REASON))
}

/// Bytes that headers take in a message.
fn size(headers: &HeaderMap) -> usize {
    let of = |(name, values): (&async_nats::HeaderName, &Vec<async_nats::HeaderValue>)| -> usize {
        let name: &str = name.as_ref();
        values.iter().map(|value| name.len() + value.as_str().len() + 4).sum()
    };
    headers.iter().map(of).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GRIEF: Grief<'_> = Grief {
        stream: "HLS_UPLOADS",
        seq: 7,
        code: Code::InvalidEvent,
        reason: "no\nreason",
    };

    fn header<'a>(letter: &'a Outgoing, name: &str) -> Option<&'a str> {
        letter.headers.get(name).map(async_nats::HeaderValue::as_str)
    }

    #[test]
    fn a_letter_has_the_original_and_the_reason() {
        let mut original = HeaderMap::new();
        original.append("ce-id", "1");
        original.append("ce-id", "2");
        original.insert("Nats-Msg-Id", "theirs");
        let letter = letter("s".into(), &GRIEF, "body".into(), Some(&original), 1 << 20);
        assert_eq!(
            (&letter.payload[..], header(&letter, dead::REASON)),
            (&b"body"[..], Some("no reason"))
        );
        assert_eq!(letter.headers.get_all("ce-id").count(), 2);
        assert_eq!(
            (header(&letter, "Nats-Msg-Id"), header(&letter, dead::CUT)),
            (None, None)
        );
    }

    proptest! {
        #[test]
        fn no_letter_is_too_large_whatever_it_is_about(body in 0usize..3_000_000, value in 0usize..70_000, reason in "\\PC{0,4000}") {
            let mut original = HeaderMap::new();
            original.insert("x", "v".repeat(value));
            let grief = Grief { reason: &reason, ..GRIEF };
            let letter = letter("s".into(), &grief, vec![b'x'; body].into(), Some(&original), 1 << 20);
            prop_assert!(size(&letter.headers) < HEADERS - dead::MAX_REPORT);
            prop_assert!(letter.payload.len() + HEADERS <= 1 << 20);
            let cut = header(&letter, dead::CUT).unwrap_or_default();
            prop_assert_eq!(cut.contains("body"), letter.payload.len() < body);
            prop_assert_eq!(cut.contains("headers"), header(&letter, "x").is_none());
        }
    }
}
