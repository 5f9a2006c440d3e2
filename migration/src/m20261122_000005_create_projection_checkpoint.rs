//! `projection_checkpoint`: how far the job log is in the tables.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, text, text_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum ProjectionCheckpoint {
    Table,
    Name,
    Stream,
    StreamCreated,
    Seq,
    Subject,
    MessageTime,
    MessageHash,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(ProjectionCheckpoint::Table)
            .if_not_exists()
            .col(text(ProjectionCheckpoint::Name).primary_key())
            .col(text(ProjectionCheckpoint::Stream))
            .col(text(ProjectionCheckpoint::StreamCreated))
            .col(big_integer(ProjectionCheckpoint::Seq))
            .col(text_null(ProjectionCheckpoint::Subject))
            .col(text_null(ProjectionCheckpoint::MessageTime))
            .col(text_null(ProjectionCheckpoint::MessageHash))
            .take();
        manager.create_table(table).await
    }
}
