//! Whether an event's object is there, whole, and the one that was meant. Asked before an attempt
//! is counted.

use media::ladder::Limits;
use storage::{ObjectMeta, Source, Storage};
use streams::Code;
use streams::task::TaskName;
use streams::upload::SourceObject;

use crate::job::classify::classify_source_error;
use crate::job::denial::{readiness_after_failure, readiness_while_awaited};
use crate::job::failure::Failure;
use crate::job::{JobState, Jobs, Readiness};
use crate::worker::admission::Reservation;

/// The source object of a job, as it is now.
#[derive(Debug, Clone)]
pub(super) struct FoundSource {
    /// Where it is.
    pub(super) object: SourceObject,
    /// What it is.
    pub(super) meta: ObjectMeta,
}

impl FoundSource {
    /// The version that was found, for reading.
    pub(super) fn source(&self, storage: &Storage) -> Source {
        Source {
            bucket: storage.bucket(&self.object.bucket),
            key: self.object.key.clone(),
            etag: self.meta.etag.clone().unwrap_or_default(),
            size: self.meta.size,
        }
    }
}

/// What was found of a source.
pub(super) enum SourceLookup {
    Found(FoundSource),
    /// Not there, or shorter than its event says: it may still be on its way.
    Missing(Code),
    Failed(Failure),
}

impl SourceLookup {
    /// A source that was found, unless it is larger than is accepted.
    pub(super) fn within(self, limits: &Limits) -> Self {
        match self {
            Self::Found(found) => match limits.judge_size(found.meta.size) {
                Ok(()) => Self::Found(found),
                Err(refusal) => Self::Failed(Failure::new(refusal.code, refusal.message)),
            },
            other => other,
        }
    }
}

/// Looks at the object a job's event names.
pub(super) async fn look_up_source(
    jobs: &Jobs,
    storage: &Storage,
    state: &JobState,
) -> SourceLookup {
    let upload = &state.accepted.fact.upload;
    let Some(object) = state.accepted.fact.source.clone() else {
        // Intake ends such a job itself; it may have died before it could.
        let text = "The event is not valid, or names no object that this service may read.";
        return SourceLookup::Failed(Failure::new(Code::InvalidEvent, text));
    };

    let meta = match storage.bucket(&object.bucket).head(&object.key).await {
        Ok(Some(meta)) => meta,
        Ok(None) => return SourceLookup::Missing(Code::SourceNotFound),
        Err(error) => {
            let failure = classify_source_error(jobs, &error).await;
            return if failure.code == Code::SourceNotFound {
                SourceLookup::Missing(failure.code)
            } else {
                SourceLookup::Failed(failure)
            };
        }
    };

    // A source that is shorter than its event says may still be uploaded.
    if meta.size < upload.size {
        return SourceLookup::Missing(if meta.size == 0 {
            Code::EmptyInput
        } else {
            Code::TruncatedUpload
        });
    }
    // Here the event does not promise any bytes either, so there is nothing to wait for.
    if meta.size == 0 {
        return SourceLookup::Failed(Failure::from_code(Code::EmptyInput));
    }

    // An entity tag is quoted (RFC 9110, section 8.8.3), and events name it with the quotes or
    // without.
    let bare = |etag: &str| etag.trim_matches('"').to_owned();
    match (&upload.etag, &meta.etag) {
        (Some(meant), Some(found)) if bare(meant) != bare(found) => {
            SourceLookup::Failed(Failure::from_code(Code::SourceChanged))
        }
        _ => SourceLookup::Found(FoundSource { object, meta }),
    }
}

/// Whether the task can start: a source that is still being uploaded is waited for from the time
/// the event was accepted, and a denied one from the time it was first denied.
pub(super) async fn source_readiness(
    jobs: &Jobs,
    look: SourceLookup,
    state: &JobState,
    task: TaskName,
) -> Readiness {
    match look {
        SourceLookup::Found(_) => Readiness::Ready(Reservation::default()),
        SourceLookup::Missing(code) => {
            readiness_while_awaited(jobs, state.accepted.time, Failure::from_code(code))
        }
        SourceLookup::Failed(failure) => readiness_after_failure(jobs, failure, state, task).await,
    }
}
