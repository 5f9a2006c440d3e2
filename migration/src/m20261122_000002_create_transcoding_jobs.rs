//! `transcoding_jobs` and its indexes, as the old system has them.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    integer_null, json_binary_null, string_len_null, text, text_null, timestamp_null,
};
use sea_orm_migration::sea_orm::DbBackend;

use crate::column::timestamp_now;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum TranscodingJobs {
    Table,
    Id,
    FileId,
    Status,
    InputUrl,
    OutputPrefix,
    ManifestUrl,
    Progress,
    ErrorMessage,
    CreatedAt,
    StartedAt,
    CompletedAt,
    Settings,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(table(manager.get_database_backend()))
            .await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

fn table(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table(TranscodingJobs::Table)
        .if_not_exists()
        .col(text(TranscodingJobs::Id).primary_key())
        .col(text(TranscodingJobs::FileId))
        .col(string_len_null(TranscodingJobs::Status, 50).default("pending"))
        .col(text(TranscodingJobs::InputUrl))
        .col(string_len_null(TranscodingJobs::OutputPrefix, 255))
        .col(text_null(TranscodingJobs::ManifestUrl))
        .col(integer_null(TranscodingJobs::Progress).default(0))
        .col(text_null(TranscodingJobs::ErrorMessage))
        .col(timestamp_now(TranscodingJobs::CreatedAt, backend))
        .col(timestamp_null(TranscodingJobs::StartedAt))
        .col(timestamp_null(TranscodingJobs::CompletedAt))
        .col(json_binary_null(TranscodingJobs::Settings).default("{}"))
        .foreign_key(
            ForeignKey::create()
                .name("transcoding_jobs_file_id_fkey")
                .from(TranscodingJobs::Table, TranscodingJobs::FileId)
                .to("files", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .take()
}

fn indexes() -> [IndexCreateStatement; 3] {
    let index = |name: &str| {
        Index::create()
            .name(name)
            .table(TranscodingJobs::Table)
            .if_not_exists()
            .take()
    };
    [
        index("idx_transcoding_jobs_file")
            .col(TranscodingJobs::FileId)
            .take(),
        index("idx_transcoding_jobs_status")
            .col(TranscodingJobs::Status)
            .and_where(Expr::col(TranscodingJobs::Status).is_in(["pending", "processing"]))
            .take(),
        index("idx_transcoding_jobs_created")
            .col((TranscodingJobs::CreatedAt, IndexOrder::Desc))
            .take(),
    ]
}
