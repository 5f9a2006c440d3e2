//! The upload event as publishers write it. It is read leniently by [`super::read`]; this is what a careful publisher sends.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Priority;
use crate::id::{FileId, JobId, OutputPrefix};

/// A file was uploaded. Only `file_id`, `name` and `file_url` are needed; unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct UploadEvent {
    /// What was uploaded.
    pub file_id: FileId,
    /// The file's name, as people see it.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Where the object is: `s3://bucket/key`, or the URL of an object in a source bucket. Query and fragment are dropped.
    #[schemars(length(min = 1, max = 2048))]
    pub file_url: String,
    /// The id of its job, cuid2 recommended; one is made where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// The job this one repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<JobId>,
    /// Where the output goes; `hls/<file_id>/` where it is missing. It begins with `OUTPUT_ROOT` and belongs to one file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_prefix: Option<OutputPrefix>,
    /// The media type, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub mime_type: Option<String>,
    /// Bytes of the object; a smaller one is waited for, and then is a `truncated_upload`.
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
    /// The folder people see it in; `/` where it is missing.
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

/// How to transcode a file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct WishedSettings {
    /// Name of the ladder profile; `standard` where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub profile: Option<String>,
    /// How urgent it is; `normal` where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Starts per task before the job fails; 5 where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub max_attempts: Option<u32>,
}

impl UploadEvent {
    /// An event of the three fields that are needed.
    #[must_use]
    pub fn new(file_id: FileId, name: impl Into<String>, file_url: impl Into<String>) -> Self {
        Self {
            file_id,
            name: name.into(),
            file_url: file_url.into(),
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
