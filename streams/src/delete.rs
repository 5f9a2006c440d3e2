//! The delete event: a file and everything that was made of it is to go. And the tombstone that
//! stays.

use async_nats::HeaderMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::VERSION;
use crate::cloudevent;
use crate::id::{FileId, OutputPrefix};
use crate::order::EventOrder;
use crate::upload::{MAX_BYTES, Malformed, required_id};

/// A request to delete a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Delete {
    /// The file.
    pub file_id: FileId,
    /// The prefix of its output, for files whose jobs are no longer in the log and whose output is
    /// not under the default prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_prefix: Option<OutputPrefix>,
}

/// Says that a file was deleted; the body of `hls.v1.source.deleted.<file_id>`. It only ever
/// advances to a later event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tombstone {
    /// Version of the payload.
    pub v: u32,
    /// The file.
    pub file_id: FileId,
    /// The position of the delete event in `HLS_UPLOADS`. What was uploaded before it is deleted;
    /// what was uploaded after it is a new life of the file.
    #[serde(flatten)]
    pub event: EventOrder,
    /// How many jobs were removed, once all of it was carried out.
    #[serde(default)]
    pub done: Option<usize>,
}

impl Tombstone {
    /// The tombstone of a delete event that is about to be carried out.
    #[must_use]
    pub const fn new(file_id: FileId, event: EventOrder) -> Self {
        Self {
            v: VERSION,
            file_id,
            event,
            done: None,
        }
    }
}

/// Reads a delete event in any of the three envelopes; `output_root` is where every output prefix
/// starts.
///
/// # Errors
/// [`Malformed`] when it is no JSON object, too large, or one of its fields is missing or not
/// valid.
pub fn read(
    headers: Option<&HeaderMap>,
    body: &[u8],
    output_root: &str,
) -> Result<Delete, Malformed> {
    if body.len() > MAX_BYTES {
        let size = body.len();
        return Err(Malformed(format!(
            "the event has {size} bytes; at most {MAX_BYTES} are allowed"
        )));
    }

    let envelope = cloudevent::unwrap_event(headers, body).map_err(Malformed)?;
    let Value::Object(fields) = envelope.data else {
        return Err(Malformed("the event is not a JSON object".to_owned()));
    };
    let file_id = required_id(&fields, "file_id")?
        .ok_or_else(|| Malformed("file_id is missing".to_owned()))?;
    let output_prefix: Option<OutputPrefix> = required_id(&fields, "output_prefix")?;

    match output_prefix {
        Some(prefix) if !prefix.as_str().starts_with(output_root) => Err(Malformed(format!(
            "output_prefix does not start with {output_root}"
        ))),
        output_prefix => Ok(Delete {
            file_id,
            output_prefix,
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_json(body: &str) -> Result<Delete, Malformed> {
        read(None, body.as_bytes(), "hls/")
    }

    #[test]
    fn a_file_is_enough_and_other_fields_are_ignored() {
        let delete = read_json(r#"{"file_id":"f1","by":"ana"}"#).unwrap();
        assert_eq!(
            (delete.file_id.as_str(), delete.output_prefix),
            ("f1", None)
        );
        let delete = read_json(r#"{"file_id":"f1","output_prefix":"hls/x/"}"#).unwrap();
        assert_eq!(delete.output_prefix, Some("hls/x/".parse().unwrap()));
    }

    #[test]
    fn cloud_events_are_understood() {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/cloudevents+json");
        let body = br#"{"specversion":"1.0","id":"1","source":"/s","data":{"file_id":"f1"}}"#;
        assert_eq!(
            read(Some(&headers), body, "hls/").unwrap().file_id.as_str(),
            "f1"
        );
    }

    #[test]
    fn what_names_no_file_or_another_place_is_malformed() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"file_id":7}"#,
            r#"{"file_id":"../x"}"#,
            r#"{"file_id":"f","output_prefix":"private/f/"}"#,
            r#"{"file_id":"f","output_prefix":"hls/../"}"#,
        ] {
            assert!(read_json(body).is_err(), "{body}");
        }

        let long = format!(r#"{{"file_id":"f","pad":"{}"}}"#, "x".repeat(MAX_BYTES));
        assert!(read_json(&long).unwrap_err().0.contains("at most"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(body: Vec<u8>) {
            let _ = read(None, &body, "hls/");
        }
    }
}
