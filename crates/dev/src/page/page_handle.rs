//! The page handle: what the page asks for, and of whom.

use std::fmt;
use std::io;

use bytes::Bytes;
use futures::stream::BoxStream;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::job_list::JobList;

/// The page's side of the page handle; the code that composes `dev` holds the other ends.
#[derive(Debug, Clone)]
pub struct PageHandle {
    /// Takes files; each request wants its answer.
    pub uploads: mpsc::Sender<UploadRequest>,
    /// Takes cancellations; each request wants its answer.
    pub cancels: mpsc::Sender<CancelRequest>,
    /// What the page shows.
    pub job_list: watch::Receiver<JobList>,
    /// The origin that manifests, segments and posters come from, such as `http://127.0.0.1:9000`.
    pub media_origin: String,
    /// Ends the open event streams, without which a server cannot stop gracefully.
    pub closing: CancellationToken,
}

/// A file on its way in.
pub struct UploadRequest {
    /// The file's name without any folder; 1 to 255 characters, none of them a control character.
    pub name: String,
    /// The length in bytes that the browser announced.
    pub size: Option<u64>,
    /// The media type that the browser guessed.
    pub content_type: Option<String>,
    /// The bytes; an error means that the upload broke off and nothing must come of it.
    pub body: BoxStream<'static, io::Result<Bytes>>,
    /// Takes the answer, once the upload event is published.
    pub reply: oneshot::Sender<Result<Accepted, Refusal>>,
}

impl fmt::Debug for UploadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadRequest")
            .field("name", &self.name)
            .field("size", &self.size)
            .field("content_type", &self.content_type)
            .finish_non_exhaustive()
    }
}

/// The ids of an upload that became a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// The file.
    pub file_id: String,
    /// Its job.
    pub job_id: String,
}

/// Why an upload did not become a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// A stable word, such as `storage_unavailable`.
    pub code: String,
    /// One sentence for a person.
    pub message: String,
}

/// Someone wants a job to stop.
#[derive(Debug)]
pub struct CancelRequest {
    /// The job.
    pub job_id: String,
    /// Takes the answer.
    pub reply: oneshot::Sender<CancelOutcome>,
}

/// What became of a [`CancelRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelOutcome {
    /// The wish is in the log; the job will end as canceled.
    Requested,
    /// The job's outcome was already decided.
    TooLate,
    /// There is no such job.
    Unknown,
}
