//! The two columns by which the projector knows how far a row is in the job log.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::big_integer_null;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["files", "transcoding_jobs"] {
            for column in ["accepted_seq", "fact_seq"] {
                // SQLite has no ADD COLUMN IF NOT EXISTS, so both databases are asked first.
                // Nullable and without a default, the column costs PostgreSQL no rewrite of the
                // table.
                if !manager.has_column(table, column).await? {
                    let statement = Table::alter()
                        .table(table)
                        .add_column(big_integer_null(column))
                        .take();
                    manager.alter_table(statement).await?;
                }
            }
        }
        Ok(())
    }
}
