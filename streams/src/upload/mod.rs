//! The upload event: what publishers send, read leniently so that whatever has a valid `file_id`
//! becomes a job.

use async_nats::HeaderMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use self::reader::Reader;
use crate::cloudevent;
use crate::id::{FileId, InvalidId, JobId, OutputPrefix};

mod event;
mod reader;
#[cfg(test)]
mod tests;

pub use self::event::{UploadEvent, UploadSource, WishedSettings};

/// Largest body of an upload event, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;
/// Largest number of characters in `files.name`.
pub const MAX_NAME: usize = 255;
/// Longest name of a bucket, in characters; S3 itself allows 63, others more.
pub const MAX_BUCKET: usize = 255;
/// Longest key of an object, in characters; S3 allows as many bytes.
pub const MAX_KEY: usize = 1024;
/// Largest number of characters in `files.mime_type`.
pub const MAX_MIME_TYPE: usize = 100;
/// Longest of the other texts, in characters.
pub const MAX_TEXT: usize = 2048;
/// Largest number of characters in `uploaded_by` and `project_id`: indexed columns cannot hold a
/// text of thousands of bytes.
pub const MAX_REFERENCE: usize = 255;
/// How deep `metadata` may be nested. Readers of JSON give up at 128 levels, and facts nest it
/// deeper than events do.
pub const MAX_DEPTH: usize = 64;
/// Longest identity that is kept as it is, in bytes; of a longer one its hash is.
const MAX_IDENTITY: usize = 4096;
/// The `mime_type` of a file whose type is not known yet.
pub const UNKNOWN_MIME_TYPE: &str = "application/octet-stream";

/// An upload event with its defaults filled and its values cut to the limits of the tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Upload {
    /// What was uploaded.
    pub file_id: FileId,
    /// The name of the file, as people see it.
    pub name: String,
    /// The media type given by the publisher; [`UNKNOWN_MIME_TYPE`] if it gave none.
    pub mime_type: String,
    /// Bytes; 0 if the publisher does not give the size.
    pub size: u64,
    /// The location of the object: `s3://bucket/key` with the key unencoded, even if the event
    /// names bucket and key, or an HTTP URL without query and fragment.
    pub file_url: String,
    /// The version of the object, if the publisher pins one.
    #[serde(default)]
    pub etag: Option<String>,
    /// Who uploaded it.
    #[serde(default)]
    pub uploaded_by: Option<String>,
    /// The project it belongs to.
    #[serde(default)]
    pub project_id: Option<String>,
    /// The folder in which people see it.
    pub folder_path: String,
    /// Anything the publisher wants to keep with the file.
    pub metadata: Value,
    /// How to transcode it.
    pub settings: Settings,
}

/// An object in a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceObject {
    /// The bucket.
    pub bucket: String,
    /// The key, byte for byte as in the storage: nothing is encoded.
    pub key: String,
}

impl SourceObject {
    /// The object as `s3://bucket/key`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

/// How to transcode a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// Name of the ladder profile.
    pub profile: String,
    /// The lane in which its tasks wait.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// The default lanes.
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
    /// The prefix of the output.
    pub output_prefix: OutputPrefix,
    /// What makes two events the same event, as text; see [`read`].
    pub identity: String,
    /// The publisher's trace context.
    pub traceparent: Option<String>,
    /// What breaks the contract: such a job is accepted and fails as `invalid_event`.
    pub violations: Vec<String>,
}

impl Arrival {
    /// Whether only its content distinguishes the event from others: then the same content, sent
    /// again after the file was deleted, is another event.
    #[must_use]
    pub fn is_told_by_content(&self) -> bool {
        self.identity.starts_with(CONTENT)
    }
}

/// The beginning of the identity of an event that has neither a job id nor a source and id.
const CONTENT: &str = "content:";

/// Why an event is a dead letter: it names no file to which a failure could be reported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// Reads an upload event in any of its three envelopes.
///
/// `output_root` is where every output prefix starts, ending in `/`. The identity is exactly one
/// of, by presence: `job_id`; else the CloudEvents source and id; else file, URL, size, version and
/// canonical settings.
///
/// # Errors
/// [`Malformed`] when the event is no JSON object, over [`MAX_BYTES`], or its `file_id` or `job_id`
/// is missing or not valid.
pub fn read(
    headers: Option<&HeaderMap>,
    body: &[u8],
    output_root: &str,
) -> Result<Arrival, Malformed> {
    if body.len() > MAX_BYTES {
        return Err(Malformed(format!(
            "the event has {} bytes; at most {MAX_BYTES} are allowed",
            body.len()
        )));
    }

    let envelope = cloudevent::unwrap_event(headers, body).map_err(Malformed)?;
    let Value::Object(fields) = envelope.data else {
        return Err(Malformed("the event is not a JSON object".to_owned()));
    };

    let file_id: FileId = required_id(&fields, "file_id")?
        .ok_or_else(|| Malformed("file_id is missing".to_owned()))?;
    let job_id: Option<JobId> = required_id(&fields, "job_id")?;

    // From here on the event becomes a job whatever else is wrong with it, so that a row an API has
    // inserted for it never stays pending.
    let mut reader = Reader {
        fields,
        violations: Vec::new(),
    };
    let upload = reader.upload(file_id);
    let output_prefix = reader.output_prefix(output_root, &upload.file_id)?;
    let retry_of = reader.optional_id("retry_of");
    let identity = short(identity(job_id.as_ref(), envelope.origin.as_ref(), &upload));

    // The trace becomes a header of other messages, so nothing in it may end one.
    let is_plain =
        |text: &String| text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic());
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
        // JSON distinguishes ("a", "b c") from ("a b", "c").
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
    format!(
        "{CONTENT}{}",
        json!([file_id, file_url, size, etag, settings])
    )
}

/// An identity no longer than a fact has room for; different ones stay different.
fn short(identity: String) -> String {
    if identity.len() <= MAX_IDENTITY {
        return identity;
    }
    let kind = identity.split(':').next().unwrap_or_default();
    format!("{kind}:sha256:{}", crate::subject::sha256_hex(&identity))
}

/// An id that must be valid if it is given.
pub(crate) fn required_id<T: std::str::FromStr<Err = InvalidId>>(
    fields: &Map<String, Value>,
    name: &str,
) -> Result<Option<T>, Malformed> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => text
            .parse()
            .map(Some)
            .map_err(|error: InvalidId| Malformed(error.to_string())),
        Some(_) => Err(Malformed(format!("{name} is not a text"))),
    }
}
