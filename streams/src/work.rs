//! What workers tell each other about a task: that one was started, handed back, done, or must be done again.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::VERSION;
use crate::id::{JobId, RenditionName};
use crate::task::TaskName;

/// Which work message; the token between job and task in its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WorkKind {
    /// A start. Its stream sequence is the attempt's number, in every key of what it made.
    Attempt,
    /// A start that does not count: handed back on shutdown, a lost lease or an operator's error.
    Released,
    /// The one result of a task.
    Done,
    /// The one order to do a task again.
    Redo,
    /// A range of a long task that is finished (part of the speed issue).
    Part,
}

impl WorkKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Attempt, Self::Released, Self::Done, Self::Redo, Self::Part];

    /// The subject token.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attempt => "attempt",
            Self::Released => "released",
            Self::Done => "done",
            Self::Redo => "redo",
            Self::Part => "part",
        }
    }

    /// The kind of a subject token.
    #[must_use]
    pub fn from_token(token: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == token)
    }
}

/// A worker starts a task. Appended for every start; `Nats-Msg-Id` is `id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Version of the payload.
    pub v: u32,
    /// A fresh cuid2.
    pub id: String,
    /// The job.
    pub job_id: JobId,
    /// The task.
    pub task: TaskName,
    /// Who started it.
    pub worker: String,
    /// The worker's clock, for people.
    pub at: DateTime<Utc>,
}

impl Attempt {
    /// A start of `task` by `worker`, now.
    #[must_use]
    pub fn new(job_id: JobId, task: TaskName, worker: &str) -> Self {
        Self {
            v: VERSION,
            id: cuid2::create_id(),
            job_id,
            task,
            worker: worker.to_owned(),
            at: Utc::now(),
        }
    }
}

/// A start that must not be counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// Version of the payload.
    pub v: u32,
    /// The stream sequence of the attempt.
    pub attempt: u64,
    /// `shutdown`, `lost_lease`, `operator` or `no_room`.
    pub reason: String,
}

/// The result of a task. The first one counts; what later attempts made is swept away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Version of the payload.
    pub v: u32,
    /// The job.
    pub job_id: JobId,
    /// The task.
    pub task: TaskName,
    /// The stream sequence of the attempt that made it: the base36 text of it is in every key.
    pub attempt: u64,
    /// Who made it.
    pub worker: String,
    /// What was made, or where the list of it lies when it is too long for a message.
    pub output: DoneOutput,
}

/// What a task made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DoneOutput {
    /// The list itself.
    Inline(TaskOutput),
    /// An object that holds the list as JSON.
    Object(ObjectRef),
}

/// Everything a task made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskOutput {
    /// One entry for each rendition the task works on.
    pub renditions: Vec<RenditionOutput>,
    /// The poster, made by chunk 0.
    #[serde(default)]
    pub poster: Option<ObjectRef>,
    /// What went wrong without being a failure, as stable words.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// The build that made it.
    #[serde(default)]
    pub ffmpeg: String,
}

/// What a task made of one rendition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RenditionOutput {
    /// The rendition.
    pub name: RenditionName,
    /// The init segment of this attempt.
    pub init: ObjectRef,
    /// Hash of what must be equal in every init of a rendition: codec configuration, coded size, timescale, edit list.
    pub init_match: String,
    /// RFC 6381 codec string.
    pub codecs: String,
    /// Ticks per second of every duration here.
    pub timescale: u32,
    /// Frames (video) or samples (audio) in all segments.
    pub units: u64,
    /// The media segments, in order.
    pub segments: Vec<SegmentOutput>,
}

/// One media segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentOutput {
    /// Its number, counted from zero over the whole rendition.
    pub n: u32,
    /// Decode time of its first sample, in ticks.
    pub start: u64,
    /// Sum of its sample durations, in ticks.
    pub duration: u64,
    /// Bytes.
    pub size: u64,
    /// Hex digest of its bytes.
    pub sha256: String,
    /// The entity tag the storage gave it, where it gave one.
    #[serde(default)]
    pub etag: Option<String>,
}

/// An object in the output bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Hex digest of its bytes.
    pub sha256: String,
    /// The entity tag the storage gave it, where it gave one.
    #[serde(default)]
    pub etag: Option<String>,
}

/// A task whose output failed its check must be done again, under the name `<task>~1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redo {
    /// Version of the payload.
    pub v: u32,
    /// The task.
    pub task: TaskName,
    /// What failed, one sentence.
    pub reason: String,
}

/// Which job owns an output prefix; the body of `hls.v1.current.<hash>`. It only ever advances to a higher `accepted_seq`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    /// The file the prefix belongs to, for ever.
    pub file_id: crate::id::FileId,
    /// The job whose output is public.
    pub job_id: JobId,
    /// Stream sequence of that job's `accepted`.
    pub accepted_seq: u64,
}

/// Which job an identity stands for; the body of `hls.v1.source.<hash>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceOwner {
    /// The job.
    pub job_id: JobId,
    /// The file.
    pub file_id: crate::id::FileId,
}
