//! `projection_checkpoint`: how far the job log is in the tables.

use sea_orm::entity::prelude::*;

/// The last message whose effect is in the tables, with enough of it to notice that the log lost
/// its tail.
///
/// Sequences are assigned again when a server is restored from an older store, so the sequence
/// alone proves nothing; the times keep the nanoseconds of the server and are therefore text (RFC
/// 3339).
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "projection_checkpoint")]
pub struct Model {
    /// The projection; there is one.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub name: String,
    /// The stream that is projected.
    #[sea_orm(column_type = "Text")]
    pub stream: String,
    /// When that stream was created.
    #[sea_orm(column_type = "Text")]
    pub stream_created: String,
    /// Stream sequence of the last message applied; 0 before the first.
    pub seq: i64,
    /// The subject of that message.
    #[sea_orm(column_type = "Text", nullable)]
    pub subject: Option<String>,
    /// The server timestamp of that message.
    #[sea_orm(column_type = "Text", nullable)]
    pub message_time: Option<String>,
    /// SHA-256 of that message's body, in hex.
    #[sea_orm(column_type = "Text", nullable)]
    pub message_hash: Option<String>,
    /// Jobs accepted, over all time.
    pub jobs_accepted: i64,
    /// Jobs that ended completed.
    pub jobs_completed: i64,
    /// Jobs that failed.
    pub jobs_failed: i64,
    /// Jobs that were canceled.
    pub jobs_canceled: i64,
}

impl ActiveModelBehavior for ActiveModel {}
