//! Removing what the old system watched itself with. Never a migration: someone has to ask for it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DatabaseConnection, DbBackend};

use crate::transaction::{self, Purpose};

/// Drops the views `active_transcoding_jobs` and `transcoding_history` and the function
/// `cleanup_old_transcoding_jobs()`, all or none, where they exist. The metrics and `jobs` commands
/// answer in their place.
///
/// # Errors
/// When something else in the database depends on one of them, or the user does not own them.
pub async fn drop_views(db: &DatabaseConnection) -> Result<(), DbErr> {
    let transaction = transaction::begin(db, Purpose::Write).await?;
    for view in ["active_transcoding_jobs", "transcoding_history"] {
        transaction
            .execute_unprepared(&format!("DROP VIEW IF EXISTS {view}"))
            .await?;
    }

    if transaction.get_database_backend() == DbBackend::Postgres {
        transaction
            .execute_unprepared("DROP FUNCTION IF EXISTS cleanup_old_transcoding_jobs()")
            .await?;
    }

    transaction.commit().await
}
