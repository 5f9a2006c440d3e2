//! `files`: what was uploaded, one row per file.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// One uploaded file and the address of its stream.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "files")]
pub struct Model {
    /// The producer's id of the file (a cuid in `FluxStudio`).
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    /// The name the uploader gave it.
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub name: String,
    /// The media type; `application/octet-stream` until the source was probed, when the producer
    /// did not say.
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub mime_type: String,
    /// Bytes; 0 until the source was probed, when the producer did not say.
    pub size: i64,
    /// The location of the source, as sent.
    #[sea_orm(column_type = "Text")]
    pub file_url: String,
    /// The poster of the newest finished job.
    #[sea_orm(column_type = "Text", nullable)]
    pub thumbnail_url: Option<String>,
    /// `users.id`, where that table exists.
    #[sea_orm(column_type = "Text", nullable)]
    pub uploaded_by: Option<String>,
    /// `projects.id`, where that table exists.
    #[sea_orm(column_type = "Text", nullable)]
    pub project_id: Option<String>,
    /// The folder the uploader sees it in.
    #[sea_orm(column_type = "Text", nullable)]
    pub folder_path: Option<String>,
    /// The multivariant playlist of the newest finished job.
    #[sea_orm(column_type = "Text", nullable)]
    pub hls_manifest_url: Option<String>,
    /// The status of the file's newest job: pending, processing, completed, failed or canceled.
    #[sea_orm(column_type = "String(StringLen::N(50))", nullable)]
    pub transcoding_status: Option<String>,
    /// Whatever the producer keeps with the file; never read here.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Option<Json>,
    /// When the row came to be.
    #[sea_orm(column_type = "Timestamp", nullable)]
    pub created_at: Option<DateTime>,
    /// When the row last changed; a trigger keeps it where a writer does not.
    #[sea_orm(column_type = "Timestamp", nullable)]
    pub updated_at: Option<DateTime>,
    /// When the API moved the file to the bin.
    #[sea_orm(column_type = "Timestamp", nullable)]
    pub deleted_at: Option<DateTime>,
    /// Guard: stream sequence of the `accepted` fact of the newest job; the row follows that job
    /// alone.
    pub accepted_seq: Option<i64>,
    /// Guard: stream sequence of the last fact applied to this row.
    pub fact_seq: Option<i64>,
    /// The file's jobs.
    #[sea_orm(has_many)]
    pub transcoding_jobs: HasMany<super::transcoding_jobs::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
