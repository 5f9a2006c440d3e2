//! The page of `fluxhls dev`: drop a video, watch it being made, watch it.
//!
//! [`router()`] serves it. The page uses neither NATS nor S3: it passes uploads and cancellations
//! to the holder of the other end of the [`PageHandle`], and shows what that holder writes to the
//! [`JobList`].
//!
//! | request | answer |
//! |---|---|
//! | `GET /`, `GET /assets/…` | the page, embedded in the binary; nothing comes from elsewhere |
//! | `POST /api/files?name=…` | takes the raw body; `{file_id, job_id}` |
//! | `GET /api/updates` | server-sent events: one `snapshot` (all jobs), then `updates` (changed jobs) |
//! | `POST /api/jobs/{job_id}/cancel` | `{outcome}`: `requested`, or 409 `too_late`, or 404 `unknown` |
//!
//! It refuses other sites (`guard`) and restricts the browser to loading the page and the object
//! store (Content-Security-Policy).

mod assets;
mod guard;
mod job_list;
mod page_handle;
mod router;
mod updates;
mod upload;

pub use job_list::{JobError, JobList, JobState, Update};
pub use page_handle::{Accepted, CancelOutcome, CancelRequest, PageHandle, Refusal, UploadRequest};
pub use router::router;

#[cfg(test)]
mod tests;
