//! `transcoding_jobs`: one transcoding of one file per row.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// One job, as the facts of the job log have it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "transcoding_jobs")]
pub struct Model {
    /// The job id (a cuid2 if fluxhls made it).
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    /// The file this job transcodes.
    #[sea_orm(column_type = "Text")]
    pub file_id: String,
    /// pending, processing, completed, failed or canceled.
    #[sea_orm(column_type = "String(StringLen::N(50))", nullable)]
    pub status: Option<String>,
    /// `file_url` of the upload event, as sent.
    #[sea_orm(column_type = "Text")]
    pub input_url: String,
    /// The key prefix all output of the file lies under, for example `hls/<file_id>/`.
    #[sea_orm(column_type = "String(StringLen::N(255))", nullable)]
    pub output_prefix: Option<String>,
    /// The live playlist while the job runs, the multivariant playlist once it is completed.
    #[sea_orm(column_type = "Text", nullable)]
    pub manifest_url: Option<String>,
    /// Percent, 0 to 100; 100 only when completed.
    pub progress: Option<i32>,
    /// `<code>: <message>` of a failed job.
    #[sea_orm(column_type = "Text", nullable)]
    pub error_message: Option<String>,
    /// When the job was accepted.
    #[sea_orm(column_type = "Timestamp", nullable)]
    pub created_at: Option<DateTime>,
    /// When the job was planned.
    #[sea_orm(column_type = "Timestamp", nullable)]
    pub started_at: Option<DateTime>,
    /// When the job ended, whatever its outcome.
    #[sea_orm(column_type = "Timestamp", nullable)]
    pub completed_at: Option<DateTime>,
    /// The settings of the upload event.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub settings: Option<Json>,
    /// Guard: stream sequence of the job's `accepted` fact.
    pub accepted_seq: Option<i64>,
    /// Guard: stream sequence of the last fact applied to this row.
    pub fact_seq: Option<i64>,
    /// The file.
    #[sea_orm(belongs_to, from = "file_id", to = "id", on_delete = "Cascade")]
    pub file: BelongsTo<super::files::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
