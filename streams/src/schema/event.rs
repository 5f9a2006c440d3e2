//! The public messages, each with its schema.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use crate::api::{CancelReply, CancelRequest, RetryReply, RetryRequest, StatusRequest};
use crate::delete::Delete;
use crate::fact::{Accepted, Cancel, Ended, Planned, Playable, Pruned, Verdict};
use crate::progress::Progress;
use crate::upload::UploadEvent;

/// A public message.
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// Its name, also that of its file `<name>.schema.json`.
    pub name: &'static str,
    /// Its subject, with `{job_id}` and `{task}` where they differ.
    pub subject: &'static str,
    /// Who writes it.
    pub writer: Writer,
    /// One sentence.
    pub summary: &'static str,
    schema: fn() -> Value,
}

/// Who writes a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// Publishers and API services; fluxhls reads it.
    Others,
    /// fluxhls.
    Fluxhls,
}

impl Event {
    /// Its JSON Schema (draft 2020-12).
    #[must_use]
    pub fn schema(&self) -> Value {
        (self.schema)()
    }
}

/// What someone else writes: what may be left out is not required.
fn read<T: JsonSchema>() -> Value {
    schema_of::<T>(SchemaSettings::draft2020_12().for_deserialize())
}

/// What fluxhls writes: what is always there is required.
fn written<T: JsonSchema>() -> Value {
    schema_of::<T>(SchemaSettings::draft2020_12().for_serialize())
}

fn schema_of<T: JsonSchema>(settings: SchemaSettings) -> Value {
    settings
        .with_transform(RecursiveTransform(join_description_lines))
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// Makes one line of each paragraph of a description: the line breaks of a docstring have no
/// meaning.
fn join_description_lines(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        let paragraphs = text
            .split("\n\n")
            .map(|paragraph| paragraph.replace('\n', " "));
        *text = paragraphs.collect::<Vec<_>>().join("\n\n");
    }
}

macro_rules! events {
    ($($name:literal $subject:literal $writer:ident $schema:expr, $summary:literal;)*) => {
        /// Every public message, in the order of a job's life.
        pub const EVENTS: &[Event] = &[$(Event {
            name: $name, subject: $subject, writer: Writer::$writer, summary: $summary, schema: $schema,
        }),*];
    };
}

events! {
    "upload" "hls.v1.upload" Others written::<UploadEvent>, "A file was uploaded.";
    "delete" "hls.v1.delete" Others read::<Delete>, "Delete a file and all of its outputs.";
    "accepted" "hls.v1.job.{job_id}.accepted" Fluxhls written::<Accepted>, "The job exists: its event was accepted.";
    "planned" "hls.v1.job.{job_id}.planned" Fluxhls written::<Planned>, "The renditions to make, and the tasks that make them.";
    "progress" "hls.v1.progress.{job_id}.{task}" Fluxhls written::<Progress>, "The progress of a task and its job.";
    "playable" "hls.v1.job.{job_id}.playable" Fluxhls written::<Playable>, "The live output is playable: the lowest rung and audio have begun.";
    "cancel" "hls.v1.job.{job_id}.cancel" Fluxhls written::<Cancel>, "Someone asked for the job to stop.";
    "verdict" "hls.v1.job.{job_id}.verdict" Fluxhls written::<Verdict>, "The one decision that ends the job.";
    "ended" "hls.v1.job.{job_id}.ended" Fluxhls written::<Ended>, "The job is over: completed, failed or canceled.";
    "pruned" "hls.v1.job.{job_id}.pruned" Fluxhls written::<Pruned>, "Rows and objects of the job were removed.";
    "status-request" "hls.v1.api.status" Others read::<StatusRequest>, "What is the status of this job, or of the newest job of this file?";
    "cancel-request" "hls.v1.api.cancel" Others read::<CancelRequest>, "End this job.";
    "cancel-reply" "hls.v1.api.cancel" Fluxhls written::<CancelReply>, "The job has ended as canceled, or soon will.";
    "retry-request" "hls.v1.api.retry" Others read::<RetryRequest>, "Start a new job like this one.";
    "retry-reply" "hls.v1.api.retry" Fluxhls written::<RetryReply>, "The event of the new job is stored.";
}
