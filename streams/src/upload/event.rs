//! The upload event as publishers write it. It is read leniently by [`super::read`]; this is what a
//! careful publisher sends.

use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Priority;
use crate::id::{FileId, JobId, OutputPrefix};

/// A file was uploaded. Only `file_id`, `name` and its object are needed: `file_url`, or `bucket`
/// and `key`. Unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct UploadEvent {
    /// What was uploaded.
    pub file_id: FileId,
    /// The name of the file, as people see it.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Where the object is.
    #[serde(flatten)]
    pub source: UploadSource,
    /// The id of its job, cuid2 recommended; generated if missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// The job this one repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<JobId>,
    /// The prefix of the output; `hls/<file_id>/` if missing. It begins with `OUTPUT_ROOT` and
    /// belongs to one file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_prefix: Option<OutputPrefix>,
    /// The media type, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub mime_type: Option<String>,
    /// Bytes of the object. If the object is smaller, the job waits for it, and then fails with
    /// `truncated_upload`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_223_372_036_854_775_807_i64))]
    pub size: Option<u64>,
    /// The version of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub etag: Option<String>,
    /// Who uploaded it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub uploaded_by: Option<String>,
    /// The project it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub project_id: Option<String>,
    /// The folder in which people see it; `/` if missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub folder_path: Option<String>,
    /// Anything to keep with the file, nested at most 64 levels deep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// How to transcode it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<WishedSettings>,
}

/// Where the object of an upload is, in one of two forms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(transform = exclude_the_other_form)]
pub enum UploadSource {
    /// By a URL.
    Url {
        /// `s3://bucket/key` with the key as it is: nothing in it is decoded, and `%`, `?` and `#`
        /// are part of it. Or the `http(s)` URL of an object in a source bucket, which is
        /// percent-decoded once; query and fragment are ignored.
        #[schemars(length(min = 1, max = 2048))]
        file_url: String,
    },
    /// By its bucket and its key.
    Object {
        /// The bucket, one of the source buckets.
        #[schemars(length(min = 1, max = 255), extend("pattern" = "^[^/]+$"))]
        bucket: String,
        /// The key as it is: nothing in it is decoded.
        #[schemars(length(min = 1, max = 1024))]
        key: String,
    },
}

impl From<String> for UploadSource {
    fn from(file_url: String) -> Self {
        Self::Url { file_url }
    }
}

/// Says in a schema that an event of one form has no fields of the other.
fn exclude_the_other_form(schema: &mut Schema) {
    let Some(Value::Array(forms)) = schema.get_mut("anyOf") else {
        return;
    };
    for (form, others) in forms
        .iter_mut()
        .zip([&["bucket", "key"][..], &["file_url"]])
    {
        for other in others {
            form["properties"][other] = json!({ "type": "null" });
        }
    }
}

/// How to transcode a file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct WishedSettings {
    /// Name of the ladder profile; `standard` if missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub profile: Option<String>,
    /// How urgent it is; `normal` if missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Starts per task before the job fails; 5 if missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub max_attempts: Option<u32>,
}

impl UploadEvent {
    /// An event of what is needed.
    #[must_use]
    pub fn new(file_id: FileId, name: impl Into<String>, source: impl Into<UploadSource>) -> Self {
        Self {
            file_id,
            name: name.into(),
            source: source.into(),
            job_id: None,
            retry_of: None,
            output_prefix: None,
            mime_type: None,
            size: None,
            etag: None,
            uploaded_by: None,
            project_id: None,
            folder_path: None,
            metadata: None,
            settings: None,
        }
    }
}
