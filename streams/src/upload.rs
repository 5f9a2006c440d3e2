//! The upload event: what publishers send, read leniently so that whatever has a valid `file_id` becomes a job.

use async_nats::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::cloudevent;
use crate::id::{FileId, JobId, OutputPrefix};

/// Largest body of an upload event, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;
/// `files.name` holds at most so many characters.
pub const MAX_NAME: usize = 255;
/// `files.mime_type` holds at most so many characters.
pub const MAX_MIME_TYPE: usize = 100;
/// Longest of the other texts, in characters.
pub const MAX_TEXT: usize = 2048;
/// `uploaded_by` and `project_id` hold at most so many characters: indexed columns take no text of thousands of bytes.
pub const MAX_REFERENCE: usize = 255;
/// How deep `metadata` may be nested. Readers of JSON give up at 128 levels, and facts nest it deeper than events do.
pub const MAX_DEPTH: usize = 64;
/// Longest identity that is kept as it is, in bytes; of a longer one its hash is.
const MAX_IDENTITY: usize = 4096;
/// Stands for a `mime_type` nobody knows yet.
pub const UNKNOWN_MIME_TYPE: &str = "application/octet-stream";

/// An upload event with its defaults filled and its values cut to the limits of the tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Upload {
    /// What was uploaded.
    pub file_id: FileId,
    /// The file's name, as people see it.
    pub name: String,
    /// The publisher's word on the type; [`UNKNOWN_MIME_TYPE`] when it gave none.
    pub mime_type: String,
    /// Bytes; 0 when the publisher does not say.
    pub size: u64,
    /// Where the object is, without query and fragment.
    pub file_url: String,
    /// The version of the object, where the publisher pins one.
    #[serde(default)]
    pub etag: Option<String>,
    /// Who uploaded it.
    #[serde(default)]
    pub uploaded_by: Option<String>,
    /// The project it belongs to.
    #[serde(default)]
    pub project_id: Option<String>,
    /// The folder people see it in.
    pub folder_path: String,
    /// Anything the publisher wants to keep with the file.
    pub metadata: Value,
    /// How to transcode it.
    pub settings: Settings,
}

/// How to transcode a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Name of the ladder profile.
    pub profile: String,
    /// Which lane its tasks wait in.
    pub priority: Priority,
    /// Starts per task before the job fails.
    pub max_attempts: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            profile: "standard".to_owned(),
            priority: Priority::Normal,
            max_attempts: 5,
        }
    }
}

/// How urgent a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// The usual lanes.
    Normal,
    /// Every task in the `hi` lane.
    High,
}

/// An upload event that becomes a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// The event.
    pub upload: Upload,
    /// The job id the publisher chose.
    pub job_id: Option<JobId>,
    /// The job this one repeats.
    pub retry_of: Option<JobId>,
    /// Where the output goes.
    pub output_prefix: OutputPrefix,
    /// What makes two events the same event, as text; see [`read`].
    pub identity: String,
    /// The publisher's trace context.
    pub traceparent: Option<String>,
    /// What breaks the contract: such a job is accepted and fails as `invalid_event`.
    pub violations: Vec<String>,
}

impl Arrival {
    /// Whether nothing but its content tells the event from others: then the same content, sent again after the file was deleted, is
    /// another event.
    #[must_use]
    pub fn is_told_by_content(&self) -> bool {
        self.identity.starts_with(CONTENT)
    }
}

/// How the identity of an event begins that has neither a job nor a source and id of its own.
const CONTENT: &str = "content:";

/// Why an event is a dead letter: it names no file to which a failure could be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// Reads an upload event in any of its three envelopes.
///
/// `output_root` is where every output prefix starts, ending in `/`. The identity is exactly one of, by presence: `job_id`; else
/// the CloudEvents source and id; else file, URL, size, version and canonical settings.
///
/// # Errors
/// [`Malformed`] when the event is no JSON object, over [`MAX_BYTES`], or its `file_id` or `job_id` is missing or not valid.
pub fn read(headers: Option<&HeaderMap>, body: &[u8], output_root: &str) -> Result<Arrival, Malformed> {
    if body.len() > MAX_BYTES {
        return Err(Malformed(format!(
            "the event has {} bytes; at most {MAX_BYTES} are allowed",
            body.len()
        )));
    }
    let envelope = cloudevent::open(headers, body).map_err(Malformed)?;
    let Value::Object(fields) = envelope.data else {
        return Err(Malformed("the event is not a JSON object".to_owned()));
    };
    let file_id: FileId = required_id(&fields, "file_id")?.ok_or_else(|| Malformed("file_id is missing".to_owned()))?;
    let job_id: Option<JobId> = required_id(&fields, "job_id")?;

    let mut reader = Reader {
        fields,
        violations: Vec::new(),
    };
    let upload = reader.upload(file_id);
    let output_prefix = reader.output_prefix(output_root, &upload.file_id)?;
    let retry_of = reader.optional_id("retry_of");
    let identity = short(identity(job_id.as_ref(), envelope.origin.as_ref(), &upload));
    let is_plain = |text: &String| text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic());
    let traceparent = envelope.traceparent.filter(is_plain);
    Ok(Arrival {
        upload,
        job_id,
        retry_of,
        output_prefix,
        identity,
        traceparent,
        violations: reader.violations,
    })
}

fn identity(job_id: Option<&JobId>, origin: Option<&(String, String)>, upload: &Upload) -> String {
    if let Some(job_id) = job_id {
        return format!("job:{job_id}");
    }
    if let Some((source, id)) = origin {
        // JSON keeps ("a", "b c") and ("a b", "c") apart.
        return format!("event:{}", json!([source, id]));
    }
    let Upload {
        file_id,
        file_url,
        size,
        etag,
        settings,
        ..
    } = upload;
    format!("{CONTENT}{}", json!([file_id, file_url, size, etag, settings]))
}

/// An identity no longer than a fact has room for; different ones stay different.
fn short(identity: String) -> String {
    if identity.len() <= MAX_IDENTITY {
        return identity;
    }
    let kind = identity.split(':').next().unwrap_or_default();
    format!("{kind}:sha256:{}", crate::subject::sha256_hex(&identity))
}

/// An id that must be valid where it is given at all.
fn required_id<T: std::str::FromStr<Err = crate::id::InvalidId>>(
    fields: &Map<String, Value>,
    name: &str,
) -> Result<Option<T>, Malformed> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => text
            .parse()
            .map(Some)
            .map_err(|error: crate::id::InvalidId| Malformed(error.to_string())),
        Some(_) => Err(Malformed(format!("{name} is not a text"))),
    }
}

/// Reads fields one by one and notes what is wrong with them instead of giving up.
struct Reader {
    fields: Map<String, Value>,
    violations: Vec<String>,
}

impl Reader {
    fn upload(&mut self, file_id: FileId) -> Upload {
        let name = self
            .required_text("name", MAX_NAME)
            .unwrap_or_else(|| file_id.to_string());
        let file_url = self.required_text("file_url", MAX_TEXT).unwrap_or_default();
        let file_url = file_url.split(['?', '#']).next().unwrap_or_default().to_owned();
        Upload {
            name,
            file_url,
            mime_type: self
                .text("mime_type", MAX_MIME_TYPE)
                .unwrap_or_else(|| UNKNOWN_MIME_TYPE.to_owned()),
            size: self.whole("size", i64::MAX.unsigned_abs()).unwrap_or(0),
            etag: self.text("etag", MAX_TEXT),
            uploaded_by: self.text("uploaded_by", MAX_REFERENCE),
            project_id: self.text("project_id", MAX_REFERENCE),
            folder_path: self.text("folder_path", MAX_TEXT).unwrap_or_else(|| "/".to_owned()),
            metadata: self.metadata(),
            settings: self.settings(),
            file_id,
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    fn violate(&mut self, what: String) {
        self.violations.push(what);
    }

    /// A text without NUL, cut to `limit` characters.
    fn text(&mut self, name: &str, limit: usize) -> Option<String> {
        let value = self.take(name)?;
        let Value::String(text) = value else {
            self.violate(format!("{name} is not a text"));
            return None;
        };
        if text.contains('\0') {
            self.violate(format!("{name} contains a NUL character"));
        }
        if text.chars().count() > limit {
            self.violate(format!("{name} is longer than {limit} characters"));
        }
        Some(text.chars().filter(|c| *c != '\0').take(limit).collect()).filter(|text: &String| !text.is_empty())
    }

    fn required_text(&mut self, name: &str, limit: usize) -> Option<String> {
        let before = self.violations.len();
        let text = self.text(name, limit);
        if text.is_none() && self.violations.len() == before {
            self.violate(format!("{name} is missing"));
        }
        text
    }

    fn whole(&mut self, name: &str, limit: u64) -> Option<u64> {
        let value = self.take(name)?;
        let whole = value.as_u64().filter(|number| *number <= limit);
        if whole.is_none() {
            self.violate(format!("{name} is not a whole number from 0 to {limit}"));
        }
        whole
    }

    fn metadata(&mut self) -> Value {
        let Some(value) = self.take("metadata") else {
            return json!({});
        };
        let fault = if !value.is_object() {
            "metadata is not an object".to_owned()
        } else if has_nul(&value) {
            "metadata contains a NUL character".to_owned()
        } else if depth(&value) > MAX_DEPTH {
            format!("metadata is nested deeper than {MAX_DEPTH} levels")
        } else if value.to_string().len() > MAX_BYTES {
            // Numbers may be longer as we write them than as they came.
            format!("metadata has more than {MAX_BYTES} bytes when it is written out")
        } else {
            return value;
        };
        self.violate(fault);
        json!({})
    }

    fn settings(&mut self) -> Settings {
        let mut settings = Settings::default();
        let fields = match self.take("settings") {
            None => return settings,
            Some(Value::Object(fields)) => fields,
            Some(_) => {
                self.violate("settings is not an object".to_owned());
                return settings;
            }
        };
        let mut reader = Self {
            fields,
            violations: Vec::new(),
        };
        if let Some(profile) = reader.text("profile", 64) {
            settings.profile = profile;
        }
        match reader.text("priority", 64).as_deref() {
            None | Some("normal") => {}
            Some("high") => settings.priority = Priority::High,
            Some(_) => reader.violate("priority is neither normal nor high".to_owned()),
        }
        match reader.whole("max_attempts", 100) {
            None => {}
            Some(0) => reader.violate("max_attempts is 0".to_owned()),
            Some(limit) => settings.max_attempts = u32::try_from(limit).unwrap_or(settings.max_attempts),
        }
        self.violations.extend(
            reader
                .violations
                .into_iter()
                .map(|violation| format!("settings.{violation}")),
        );
        settings
    }

    fn output_prefix(&mut self, root: &str, file: &FileId) -> Result<OutputPrefix, Malformed> {
        if let Some(text) = self.text("output_prefix", MAX_TEXT) {
            match text.parse::<OutputPrefix>() {
                Ok(prefix) if text.starts_with(root) => return Ok(prefix),
                Ok(_) => self.violate(format!("output_prefix does not start with {root}")),
                Err(error) => self.violate(error.to_string()),
            }
        }
        OutputPrefix::of_file(root, file).map_err(|error| Malformed(error.to_string()))
    }

    fn optional_id(&mut self, name: &str) -> Option<JobId> {
        let text = self.text(name, MAX_TEXT)?;
        let parsed = text.parse::<JobId>();
        if let Err(error) = &parsed {
            self.violate(format!("{name}: {error}"));
        }
        parsed.ok()
    }
}

/// Levels of nesting; 0 for what holds nothing else.
fn depth(value: &Value) -> usize {
    let deepest = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(fields) => fields.values().map(depth).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or(0)
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_json(value: &Value) -> Result<Arrival, Malformed> {
        read(None, value.to_string().as_bytes(), "hls/")
    }

    #[test]
    fn three_fields_are_enough_and_the_rest_has_defaults() {
        let arrival =
            read_json(&json!({"file_id": "f1", "name": "a.mp4", "file_url": "s3://b/k?X-Amz-Signature=s#t"})).unwrap();
        assert_eq!(arrival.violations, Vec::<String>::new());
        assert_eq!(arrival.upload.file_url, "s3://b/k");
        assert_eq!(arrival.output_prefix.as_str(), "hls/f1/");
        assert_eq!(arrival.upload.settings, Settings::default());
        assert_eq!(arrival.upload.mime_type, UNKNOWN_MIME_TYPE);
    }

    #[test]
    fn identity_is_the_job_id_else_the_event_else_the_content() {
        let plain = json!({"file_id": "f1", "name": "a", "file_url": "s3://b/k"});
        let content = read_json(&plain).unwrap().identity;
        let spelled_out =
            json!({"file_id": "f1", "name": "other name", "file_url": "s3://b/k", "settings": {"profile": "standard"}});
        assert_eq!(
            content,
            read_json(&spelled_out).unwrap().identity,
            "defaults spelled out are the same event"
        );
        let mut headers = HeaderMap::new();
        headers.insert("ce-id", "7");
        headers.insert("ce-source", "/api");
        let event = read(Some(&headers), plain.to_string().as_bytes(), "hls/")
            .unwrap()
            .identity;
        assert_eq!(event, r#"event:["/api","7"]"#);
        let job = json!({"file_id": "f1", "name": "a", "file_url": "s3://b/k", "job_id": "j1"});
        assert_eq!(
            read(Some(&headers), job.to_string().as_bytes(), "hls/")
                .unwrap()
                .identity,
            "job:j1"
        );
    }

    #[test]
    fn without_a_valid_file_id_or_job_id_an_event_is_malformed() {
        for (value, word) in [
            (json!({"name": "a"}), "file_id is missing"),
            (json!({"file_id": "a.b"}), "file_id"),
            (json!({"file_id": 7}), "file_id is not a text"),
            (json!({"file_id": "f", "job_id": "../x"}), "job_id"),
            (json!([]), "not a JSON object"),
        ] {
            let Malformed(reason) = read_json(&value).unwrap_err();
            assert!(reason.contains(word), "{reason}");
        }
        let Malformed(reason) = read(None, &vec![b' '; MAX_BYTES + 1], "hls/").unwrap_err();
        assert!(reason.contains("bytes"), "{reason}");
    }

    #[test]
    fn everything_else_that_is_wrong_is_named_and_the_event_still_becomes_a_job() {
        let arrival = read_json(&json!({
            "file_id": "f1", "name": "x".repeat(300), "size": -1, "mime_type": "a\u{0}b", "output_prefix": "../../etc/",
            "settings": {"priority": "now", "max_attempts": 0}, "metadata": ["\u{0}"], "retry_of": "a b"
        }))
        .unwrap();
        assert_eq!(arrival.upload.name.len(), 255);
        assert_eq!(arrival.upload.mime_type, "ab");
        assert_eq!(arrival.output_prefix.as_str(), "hls/f1/");
        for word in [
            "name",
            "file_url",
            "size",
            "mime_type",
            "output_prefix",
            "priority",
            "max_attempts",
            "metadata",
            "retry_of",
        ] {
            assert!(
                arrival.violations.iter().any(|violation| violation.contains(word)),
                "{word}: {:?}",
                arrival.violations
            );
        }
    }

    /// `metadata` that is an object nested to `levels`.
    fn nested(levels: usize) -> String {
        format!("{}0{}", "{\"a\":".repeat(levels), "}".repeat(levels))
    }

    fn with_metadata(metadata: &str) -> Arrival {
        let body = format!(r#"{{"file_id":"f1","name":"a","file_url":"s3://b/k","metadata":{metadata}}}"#);
        read(None, body.as_bytes(), "hls/").unwrap()
    }

    #[test]
    fn metadata_may_be_as_deep_and_as_long_as_a_fact_can_hold_it() {
        assert_eq!(with_metadata(&nested(MAX_DEPTH)).violations, Vec::<String>::new());
        let deep = with_metadata(&nested(MAX_DEPTH + 1));
        assert_eq!((deep.violations.len(), deep.upload.metadata), (1, json!({})));
        // Five bytes that are written out as nineteen.
        let grows = with_metadata(&format!(r#"{{"a":[{}0]}}"#, "1e15,".repeat(50_000)));
        assert!(
            grows.violations[0].contains("when it is written out"),
            "{:?}",
            grows.violations
        );
        assert_eq!(grows.upload.metadata, json!({}));
    }

    #[test]
    fn a_long_identity_is_kept_as_its_hash_and_stays_its_own() {
        let identity = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("ce-id", id);
            headers.insert("ce-source", "/api");
            let body = br#"{"file_id":"f1","name":"a","file_url":"s3://b/k"}"#;
            read(Some(&headers), body, "hls/").unwrap().identity
        };
        let (long, longer) = ("x".repeat(100_000), "x".repeat(100_001));
        assert!(identity(&long).starts_with("event:sha256:") && identity(&long).len() < 100);
        assert_ne!(identity(&long), identity(&longer));
        assert_eq!(identity("7"), r#"event:["/api","7"]"#);
    }

    #[test]
    fn a_trace_that_could_end_a_header_is_dropped() {
        for (trace, kept) in [
            ("00-1-2-01", true),
            ("00-1%0d%0aNats-Rollup: all", false),
            ("a b", false),
            ("\u{9b}2J", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", trace);
            let body = br#"{"file_id":"f1","name":"a","file_url":"s3://b/k"}"#;
            let arrival = read(Some(&headers), body, "hls/").unwrap();
            assert_eq!(arrival.traceparent.is_some(), kept, "{trace}");
        }
    }

    #[test]
    fn a_prefix_outside_the_root_is_a_violation() {
        let arrival =
            read_json(&json!({"file_id": "f1", "name": "a", "file_url": "s3://b/k", "output_prefix": "other/f1/"}))
                .unwrap();
        assert_eq!(arrival.violations, ["output_prefix does not start with hls/"]);
    }

    const FIELDS: &[&str] = &[
        "file_id",
        "job_id",
        "name",
        "file_url",
        "mime_type",
        "size",
        "etag",
        "uploaded_by",
        "project_id",
        "folder_path",
        "metadata",
        "settings",
        "output_prefix",
        "retry_of",
        "data",
        "data_base64",
        "id",
        "source",
    ];

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
            "(f1|s3://b/k|hls/x/|[\\x00-\\x1f\\u{7f}-\\u{9f}\\u{202e}\\u{1f3ac}]{0,9}|.{0,300})".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(prop::sample::select(FIELDS), inner, 0..9).prop_map(|map| map
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect::<Map<_, _>>()
                    .into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(body: Vec<u8>) {
            let _ = read(None, &body, "hls/");
        }

        #[test]
        fn whatever_an_event_holds_it_becomes_a_fact_that_reads_back_or_says_what_is_wrong(
            mut fields in prop::collection::btree_map(prop::sample::select(FIELDS), any_json(), 0..18),
            id in prop::option::of("[a-zA-Z0-9_-]{1,128}"), headers in prop::collection::vec(("(ce-id|ce-source|content-type|traceparent|[!-9;-~]{1,9})", "[^\r\n]{0,60}"), 0..5),
        ) {
            if let Some(id) = id {
                fields.insert("file_id", id.into());
                fields.remove("job_id");
            }
            let map: HeaderMap = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            });
            let body = serde_json::to_vec(&fields).unwrap();
            match read(Some(&map), &body, "hls/") {
                Ok(arrival) => {
                    let written = serde_json::to_vec(&arrival.upload).unwrap();
                    prop_assert!(written.len() + arrival.identity.len() < 300 * 1024);
                    prop_assert_eq!(serde_json::from_slice::<Upload>(&written).unwrap(), arrival.upload);
                    prop_assert!(arrival.traceparent.iter().all(|trace| trace.bytes().all(|byte| byte.is_ascii_graphic())));
                    prop_assert!(arrival.violations.iter().all(|violation| violation.len() < 1000));
                }
                Err(Malformed(reason)) => prop_assert!(!reason.is_empty() && reason.len() < 2000),
            }
        }

        #[test]
        fn whatever_is_accepted_fits_the_tables(name in "\\PC{0,600}|.{0,300}", url in "\\PC{0,60}") {
            let arrival = read_json(&json!({"file_id": "f1", "name": name, "file_url": url})).unwrap();
            prop_assert!(arrival.upload.name.chars().count() <= MAX_NAME && !arrival.upload.name.contains('\0'));
            prop_assert!(!arrival.upload.name.is_empty());
        }
    }
}
