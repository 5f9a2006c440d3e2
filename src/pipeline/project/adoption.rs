//! Jobs that another system left in the tables: FluxStudio's worker, which took its work from
//! `transcoding_jobs`.

use chrono::{DateTime, Utc};
use entity::prelude::{Files, TranscodingJobs};
use entity::transcoding_jobs::{Column, Model};
use entity::{files, transcoding_jobs};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use serde_json::{Map, Value, json};

/// A row that waits for a worker which is no more, with its file.
#[derive(Debug, Clone, PartialEq)]
pub struct Orphan {
    /// The job.
    pub job: transcoding_jobs::Model,
    /// Its file.
    pub file: files::Model,
}

impl Orphan {
    /// Whether its file was deleted by the application, which marks such rows.
    #[must_use]
    pub const fn is_deleted(&self) -> bool {
        self.file.deleted_at.is_some()
    }

    /// The upload event that makes it a job of fluxhls. Its id is the identity of the event, so the
    /// event has one effect however often it is sent.
    #[must_use]
    pub fn event(&self) -> Value {
        let (job, file) = (&self.job, &self.file);
        let mut event = json!({
            "file_id": job.file_id, "job_id": job.id, "name": file.name, "mime_type": file.mime_type,
            "file_url": job.input_url,
        });

        // A size of 0 means that it is not known.
        let optional = [
            ("size", (file.size > 0).then(|| json!(file.size))),
            (
                "output_prefix",
                job.output_prefix.as_ref().map(|prefix| json!(prefix)),
            ),
            (
                "uploaded_by",
                file.uploaded_by.as_ref().map(|user| json!(user)),
            ),
            (
                "project_id",
                file.project_id.as_ref().map(|project| json!(project)),
            ),
            (
                "folder_path",
                file.folder_path.as_ref().map(|path| json!(path)),
            ),
            ("metadata", file.metadata.clone().filter(Value::is_object)),
            ("settings", settings(job)),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                event[name] = value;
            }
        }

        event
    }
}

/// The settings that fluxhls has; those of the old system have other names.
fn settings(job: &Model) -> Option<Value> {
    let old = job.settings.as_ref()?.as_object()?;
    let known = ["profile", "priority", "max_attempts"];
    let kept: Map<String, Value> = old
        .iter()
        .filter(|(name, _)| known.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    (!kept.is_empty()).then_some(Value::Object(kept))
}

/// The ids of jobs that no fluxhls event ever named, and that are pending, or processing since
/// before `stuck_before`; oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn orphans(
    db: &impl ConnectionTrait,
    stuck_before: DateTime<Utc>,
) -> Result<Vec<String>, DbErr> {
    let pending = Condition::any()
        .add(Column::Status.eq("pending"))
        .add(Column::Status.is_null());
    let began = Condition::any()
        .add(Column::StartedAt.lt(stuck_before.naive_utc()))
        .add(Column::StartedAt.is_null());
    let stuck = Condition::all()
        .add(Column::Status.eq("processing"))
        .add(began);

    // Only facts of fluxhls set `accepted_seq`, so a row without it belongs to the old system.
    TranscodingJobs::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::AcceptedSeq.is_null())
        .filter(Condition::any().add(pending).add(stuck))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .into_tuple()
        .all(db)
        .await
}

/// A job with its file, in its current state; none if it no longer exists.
///
/// # Errors
/// When the database cannot be read.
pub async fn orphan(db: &impl ConnectionTrait, id: &str) -> Result<Option<Orphan>, DbErr> {
    let found = TranscodingJobs::find_by_id(id)
        .find_also_related(Files)
        .one(db)
        .await?;
    Ok(found.and_then(|(job, file)| Some(Orphan { job, file: file? })))
}
