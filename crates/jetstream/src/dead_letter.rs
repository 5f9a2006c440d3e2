//! Dead letters as messages: the original bytes, the original headers, and the reason.

use async_nats::HeaderMap;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use streams::{Code, dead};

use super::OutboundMessage;

/// Bytes that the protocol and the headers of a compare-and-set publish take in addition to a dead
/// letter itself.
const PUBLISH_OVERHEAD: usize = 512;

/// Why a message is a dead letter.
#[derive(Debug, Clone)]
pub struct DeadLetterReason<'a> {
    /// Stream it came from.
    pub stream: &'a str,
    /// Its sequence there.
    pub seq: u64,
    /// When the server stored it there.
    pub time: DateTime<Utc>,
    /// The stable failure word.
    pub code: Code,
    /// One sentence.
    pub reason: &'a str,
    /// More information, as headers.
    pub more: &'a [(&'static str, String)],
}

/// The dead letter on `subject` about a message with `payload` and `original` headers. Its id names
/// that message.
///
/// It fits a server that takes `limit` bytes in one message. Left out is, in this order: the
/// original headers where they are long ([`dead::CUT`]), what more is known where that is, and what
/// is beyond the first bytes of the body that fit ([`dead::TRUNCATED`]).
#[must_use]
pub fn dead_letter(
    subject: String,
    grief: &DeadLetterReason<'_>,
    payload: Bytes,
    original: Option<&HeaderMap>,
    limit: usize,
) -> OutboundMessage {
    let id = format!("{subject}-{}-{}", grief.seq, grief.time.timestamp_micros());
    let original = original.cloned().unwrap_or_default();

    let mut letter = OutboundMessage::json(subject, Bytes::new()).with_id(id);
    if size(&original) <= dead::MAX_ORIGINAL_BYTES.min(limit / 4) {
        letter = letter.with_headers_of(&original);
    } else {
        letter = letter.with_header(dead::CUT, "headers");
    }

    // A value of more than half the message would leave too little room for the original bytes.
    for (name, value) in grief
        .more
        .iter()
        .filter(|(_, value)| value.len() <= limit / 2)
    {
        letter = letter.with_header(name, value);
    }

    let time = grief.time.to_rfc3339_opts(SecondsFormat::Nanos, true);
    let reason_limit = dead::MAX_REASON_BYTES.min(limit / 8);
    letter = letter
        .with_header(dead::ORIGIN_STREAM, grief.stream)
        .with_header(dead::ORIGIN_SEQ, &grief.seq.to_string())
        .with_header(dead::ORIGIN_TIME, &time)
        .with_header(dead::CODE, grief.code.as_str())
        .with_header(dead::REASON, &dead::one_line(grief.reason, reason_limit));

    let room = limit.saturating_sub(size(&letter.headers) + PUBLISH_OVERHEAD);
    if payload.len() > room {
        letter = letter.with_header(dead::TRUNCATED, &payload.len().to_string());
    }
    letter.payload = payload.slice(..payload.len().min(room));
    letter
}

/// Bytes that headers take in a message.
fn size(headers: &HeaderMap) -> usize {
    let of = |(name, values): (&async_nats::HeaderName, &Vec<async_nats::HeaderValue>)| -> usize {
        let name: &str = name.as_ref();
        // Each value takes its own line, `name: value` and CR LF.
        values
            .iter()
            .map(|value| name.len() + value.as_str().len() + 4)
            .sum()
    };
    headers.iter().map(of).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GRIEF: DeadLetterReason<'_> = DeadLetterReason {
        stream: "HLS_UPLOADS",
        seq: 7,
        time: DateTime::UNIX_EPOCH,
        code: Code::InvalidEvent,
        reason: "no\nreason",
        more: &[],
    };

    fn header<'a>(letter: &'a OutboundMessage, name: &str) -> Option<&'a str> {
        letter
            .headers
            .get(name)
            .map(async_nats::HeaderValue::as_str)
    }

    #[test]
    fn a_letter_has_the_original_and_the_reason() {
        let mut original = HeaderMap::new();
        original.append("ce-id", "1");
        original.append("ce-id", "2");
        original.insert("Nats-Msg-Id", "theirs");
        let letter = dead_letter("s".into(), &GRIEF, "body".into(), Some(&original), 1 << 20);

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

    #[test]
    fn a_letter_holds_the_first_bytes_that_fit_and_says_how_many_there_were() {
        let letter = dead_letter(
            "s".into(),
            &GRIEF,
            vec![b'x'; 65_000].into(),
            None,
            64 * 1024,
        );
        let whole = size(&letter.headers) + letter.payload.len();
        assert!((63 * 1024..64 * 1024).contains(&whole), "{whole}");
        assert_eq!(header(&letter, dead::TRUNCATED), Some("65000"));
    }

    #[test]
    fn letters_about_messages_of_one_number_from_two_lives_of_a_stream_have_two_ids() {
        let id = |time| {
            dead_letter(
                "s".into(),
                &DeadLetterReason { time, ..GRIEF },
                Bytes::new(),
                None,
                1 << 20,
            )
            .id
        };
        assert_eq!(id(DateTime::UNIX_EPOCH), id(DateTime::UNIX_EPOCH));
        assert_ne!(id(DateTime::UNIX_EPOCH), id(Utc::now()));
    }

    proptest! {
        #[test]
        fn no_letter_is_too_large_whatever_it_is_about(
            body in 0usize..3_000_000, value in 0usize..70_000, reason in "\\PC{0,4000}", report in 0..dead::MAX_REPORT_BYTES,
            limit in prop_oneof![4096usize..70_000, Just(1 << 20)],
        ) {
            let mut original = HeaderMap::new();
            original.insert("x", "v".repeat(value));
            let more = [(dead::REPORT, "r".repeat(report))];
            let grief = DeadLetterReason { reason: &reason, more: &more, ..GRIEF };
            let letter = dead_letter("s".into(), &grief, vec![b'x'; body].into(), Some(&original), limit);

            prop_assert!(size(&letter.headers) < 64 * 1024 - PUBLISH_OVERHEAD);
            prop_assert!(size(&letter.headers) + letter.payload.len() <= limit, "{} of {limit}", size(&letter.headers));
            prop_assert_eq!(header(&letter, dead::TRUNCATED).is_some(), letter.payload.len() < body);
            prop_assert_eq!(header(&letter, dead::CUT).is_some(), header(&letter, "x").is_none());
        }
    }
}
