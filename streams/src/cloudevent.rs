//! `CloudEvents` 1.0 on NATS: binary mode (`ce-*` headers), structured mode
//! (`application/cloudevents+json`), and bare JSON.

use async_nats::HeaderMap;
use base64::Engine as _;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// The data of an event, and the attributes that identify it.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// `source` and `id`, when both are given: together they identify an event.
    pub origin: Option<(String, String)>,
    /// The `traceparent` of the publisher, by header or by the distributed tracing extension.
    pub traceparent: Option<String>,
    /// The event's data.
    pub data: Value,
}

/// Opens a message in whichever mode it came.
///
/// # Errors
/// One sentence when the body is not JSON, or not a structured event although its content type says
/// so.
pub fn unwrap_event(headers: Option<&HeaderMap>, body: &[u8]) -> Result<Envelope, String> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    let header = |name: &str| find(headers, name);
    let traceparent = header("traceparent").or_else(|| header("ce-traceparent"));

    // Without that type the body is the data alone, and the attributes, if any, are in headers.
    let structured = header("content-type").is_some_and(|kind| {
        kind.trim_start()
            .to_ascii_lowercase()
            .starts_with("application/cloudevents+json")
    });

    if structured {
        return unwrap_structured(value, traceparent);
    }

    let origin = header("ce-source").zip(header("ce-id"));
    Ok(Envelope {
        origin,
        traceparent,
        data: value,
    })
}

fn unwrap_structured(mut event: Value, traceparent: Option<String>) -> Result<Envelope, String> {
    let text = |name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
    let origin = text("source").zip(text("id"));
    let traceparent = traceparent.or_else(|| text("traceparent"));

    // An event has `data` or `data_base64`, never both (CloudEvents JSON format, section 3.1).
    let data = match (
        event.get_mut("data").map(Value::take),
        event.get("data_base64").and_then(Value::as_str),
    ) {
        (Some(data), _) => data,
        (None, Some(base64)) => {
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(base64)
                .map_err(|error| {
                    format!("data_base64 of the structured event is not base64: {error}")
                })?;
            serde_json::from_slice(&bytes)
                .map_err(|error| format!("data_base64 does not contain JSON: {error}"))?
        }
        (None, None) => {
            return Err("the structured event has neither data nor data_base64".to_owned());
        }
    };

    Ok(Envelope {
        origin,
        traceparent,
        data,
    })
}

/// The percent-decoded value of a header, whatever the case of its name: NATS keeps names as they
/// were sent.
fn find(headers: Option<&HeaderMap>, name: &str) -> Option<String> {
    let (_, values) = headers?
        .iter()
        .find(|(key, _)| AsRef::<str>::as_ref(*key).eq_ignore_ascii_case(name))?;
    let raw = values.first()?.as_str();
    Some(
        percent_decode_str(raw)
            .decode_utf8()
            .map_or_else(|_| raw.to_owned(), |text| text.into_owned()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_mode_takes_identity_from_headers_in_any_case() {
        let mut headers = HeaderMap::new();
        headers.insert("Ce-Id", "a%20b");
        headers.insert("CE-SOURCE", "/api");
        headers.insert("traceparent", "00-1-2-01");
        let envelope = unwrap_event(Some(&headers), br#"{"file_id":"x"}"#).unwrap();
        assert_eq!(envelope.origin, Some(("/api".into(), "a b".into())));
        assert_eq!(envelope.traceparent.as_deref(), Some("00-1-2-01"));
        assert_eq!(envelope.data["file_id"], "x");
    }

    #[test]
    fn structured_mode_takes_identity_and_data_from_the_body() {
        let mut headers = HeaderMap::new();
        headers.insert(
            "Content-Type",
            "application/cloudevents+json; charset=utf-8",
        );

        for body in [
            r#"{"specversion":"1.0","id":"1","source":"/s","data":{"file_id":"x"}}"#,
            r#"{"specversion":"1.0","id":"1","source":"/s","data_base64":"eyJmaWxlX2lkIjoieCJ9"}"#,
        ] {
            let envelope = unwrap_event(Some(&headers), body.as_bytes()).unwrap();
            assert_eq!(envelope.origin, Some(("/s".into(), "1".into())));
            assert_eq!(envelope.data["file_id"], "x");
        }

        assert!(unwrap_event(Some(&headers), br#"{"id":"1"}"#).is_err());
    }

    #[test]
    fn bare_json_has_no_identity_of_its_own() {
        assert_eq!(unwrap_event(None, b"{}").unwrap().origin, None);
        assert!(
            unwrap_event(None, b"not json")
                .unwrap_err()
                .contains("not JSON")
        );
    }
}
