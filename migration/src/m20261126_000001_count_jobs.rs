//! Four counters in the checkpoint table, updated in its transaction: how many jobs were ever
//! accepted, and how they ended.
//!
//! They begin with the jobs whose rows are there; what was pruned before is not known any more.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::big_integer;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Each count, and the rows it begins with.
const COUNTS: [(&str, &str); 4] = [
    ("jobs_accepted", "accepted_seq IS NOT NULL"),
    (
        "jobs_completed",
        "accepted_seq IS NOT NULL AND status = 'completed'",
    ),
    (
        "jobs_failed",
        "accepted_seq IS NOT NULL AND status = 'failed'",
    ),
    (
        "jobs_canceled",
        "accepted_seq IS NOT NULL AND status = 'canceled'",
    ),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (column, rows) in COUNTS {
            if manager.has_column("projection_checkpoint", column).await? {
                continue;
            }

            let statement = Table::alter()
                .table("projection_checkpoint")
                .add_column(big_integer(column).default(0))
                .take();
            manager.alter_table(statement).await?;

            let begin = format!(
                "UPDATE projection_checkpoint SET {column} = (SELECT COUNT(*) FROM transcoding_jobs WHERE {rows})"
            );
            manager.get_connection().execute_unprepared(&begin).await?;
        }
        Ok(())
    }
}
